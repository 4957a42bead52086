"""A layer is a function that owns tensors. They are plain attributes, found by looking: nothing is registered.

The currency of everything outside - parameters, gradients, optimisers, checkpoints - is one flat dict from dotted name
to tensor or array, such as "layers.0.weight".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard, TypeVar

import numpy

from minidl.backend import Array, Backend, default_backend, get_backend
from minidl.ops.elementwise import identity
from minidl.tensor import Operand, Tensor

L = TypeVar("L", bound="Layer")

LONE_LAYER_COLUMN = 20  # where Flux starts the comment of a layer that is shown alone


class Layer:
    """What all layers share. A new layer sets tensors as attributes and defines __call__ and code()."""

    statistics: tuple[str, ...] = ()  # the names of tensors that follow the data and are never trained

    def __call__(self, x: Operand) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(self, x)")

    def code(self) -> str:
        """The Python expression that makes such a layer."""
        return f"{type(self).__name__}()"

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor inside by dotted name, running statistics included. One that is shared is named once."""
        return {name: thing for name, thing in _walk(self, "", set()) if isinstance(thing, Tensor)}

    def params(self) -> dict[str, Tensor]:
        """The tensors that are trained, by dotted name."""
        return {name: x for name, x in self.tensors().items() if x.requires_grad}

    @property
    def backend(self) -> Backend:
        """Where its tensors lie, and arrays have to come; the default backend where it has none."""
        return next((x.backend for _, x in _walk(self, "", set()) if isinstance(x, Tensor)), default_backend())

    def layers_inside(self) -> Iterator[Layer]:
        """This layer and all layers in it, each once."""
        return (thing for _, thing in _walk(self, "", set()) if isinstance(thing, Layer))

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Copy `arrays`, named as in tensors(), into this layer; everything is checked before anything is changed."""
        self.check_fits(arrays)
        for name, x in self.tensors().items():
            x.array = x.backend.asarray(arrays[name]).copy()

    def check_fits(self, arrays: Mapping[str, Array]) -> None:
        """ValueError unless the names, shapes and dtypes of `arrays` are those of tensors()."""
        check_same(self.tensors(), arrays)

    def to(self: L, backend: str | None = None, dtype: object = None) -> L:
        """Move every tensor inside, in place, to another backend or float type. Gradients are dropped."""
        for x in self.tensors().values():
            if backend is not None:
                x.backend = get_backend(backend)
            x.array = x.backend.asarray(x.array, dtype)
            x.grad = None
        return self

    def __repr__(self) -> str:
        """The code that makes this layer, and how many parameters that gives, in the manner of Flux."""
        return with_comment(self.code(), LONE_LAYER_COLUMN, comment(self, unsaid=" non-trainable"))


def check_same(expected: Mapping[str, Tensor | Array], came: Mapping[str, Array]) -> None:
    """ValueError unless the names, shapes and dtypes of the arrays in `came` are those in `expected`."""
    problems = [f"{name} is missing" for name in expected.keys() - came.keys()]
    problems += [f"{name} is not part of this network" for name in came.keys() - expected.keys()]
    for name in expected.keys() & came.keys():
        x, y = expected[name], came[name]
        if x.shape != y.shape or x.dtype != y.dtype:
            problems.append(f"{name} is {y.shape} {y.dtype}, expected {x.shape} {x.dtype}")
    if problems:
        shown = "; ".join(sorted(problems)[:3]) + ("; ..." if len(problems) > 3 else "")
        raise ValueError(f"these weights are of another network: {len(problems)} of {len(expected)} tensors differ: "
                         f"{shown}")  # fmt: skip


def freeze(layer: L) -> L:
    """Train no parameter inside from now on, as Flux's freeze!; returns the layer."""
    for x in layer.params().values():
        x.requires_grad, x.grad = False, None
    return layer


def thaw(layer: L) -> L:
    """Train every parameter inside, as Flux's thaw!; returns the layer."""
    for inner in layer.layers_inside():
        for name, value in vars(inner).items():
            if isinstance(value, Tensor) and name not in inner.statistics:
                value.requires_grad = True
    return layer


def testmode(layer: L, on: bool | None = True) -> L:  # noqa: PT028 - Flux's name, and no test
    """Let dropout and batch norm inside do what they do in evaluation, whatever happens around; returns the layer.

    on=False: what they do in training. on=None: what fits, as at first. Flux's testmode!; trainmode() is the inverse.
    """
    return _set_active(layer, None if on is None else not on)


testmode.__test__ = False  # type: ignore[attr-defined]  # pytest takes what is called test... for one


def trainmode(layer: L, on: bool | None = True) -> L:
    """Let dropout and batch norm inside do what they do in training, whatever happens around; see testmode()."""
    return _set_active(layer, on)


def _set_active(layer: L, active: bool | None) -> L:
    for inner in layer.layers_inside():
        if hasattr(inner, "active"):
            inner.active = active
    return layer


def comment(layer: Layer, unsaid: str = "") -> str:
    """What Flux says behind a layer: "9 parameters", those that are not trained, and numbers that look wrong."""
    params = layer.params()
    if not params:
        return ""
    trained, fixed = parameter_count(params), parameter_count(layer.tensors()) - parameter_count(params)
    text = f"{trained:_} parameters" + (f", plus {fixed:_}{unsaid}" if fixed else "")
    arrays = [x.numpy() for x in params.values()]
    if not any(array.any() for array in arrays):
        return f"{text}  (all zero)"
    if any(numpy.isnan(array).any() for array in arrays):
        return f"{text}  (some NaN)"
    return f"{text}  (some Inf)" if any(numpy.isinf(array).any() for array in arrays) else text


def with_comment(line: str, column: int, text: str) -> str:
    """`line  # text` with the # in that column, or further right when the line is long."""
    return f"{line:<{column - 2}}  # {text}" if text else line


def is_plain(layer: object, kind: type[L]) -> TypeGuard[L]:
    """Whether a layer computes what `kind` does: it is one, or of a subclass that changes no method of it.

    For those who look inside a layer instead of calling it. __init__() and code() may differ.
    """
    classes = type(layer).__mro__
    if kind not in classes:
        return False
    return not any(_changes(name, kind) for own in classes[: classes.index(kind)] for name in vars(own))


def _changes(name: str, kind: type[Layer]) -> bool:
    """Whether a subclass that defines `name` may compute something else than `kind`."""
    return name in ("__call__", "__getattribute__") or (hasattr(kind, name) and name[:2] != "__" and name != "code")


def parameter_count(tensors: Mapping[str, Tensor]) -> int:
    """How many numbers there are in all."""
    return sum(x.size for x in tensors.values())


def name_of(function: object) -> str:
    """How code names a function or a layer."""
    return function.code() if isinstance(function, Layer) else getattr(function, "__name__", repr(function))


def arguments(*required: object, **optional: tuple[object, object]) -> str:
    """The inside of a call: the required arguments, and those optional ones, (value, default), that differ.

    The activation `identity` stands for none, and is not shown.
    """
    shown = [_shown(value) for value in required if value is not identity]
    shown += [f"{name}={_shown(value)}" for name, (value, default) in optional.items() if value != default]
    return ", ".join(shown)


def _shown(value: object) -> str:
    """As it is written in code: a function by its name, NumPy's numbers as Python's."""
    if callable(value):
        return name_of(value)
    if isinstance(value, tuple) and type(value) is tuple:
        return f"({', '.join(map(_shown, value))}{',' * (len(value) == 1)})"
    return repr(value.item() if isinstance(value, numpy.generic) else value)


def _walk(thing: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Layer | Tensor]]:
    """Every layer and tensor inside by dotted name, each once."""
    if isinstance(thing, Layer | Tensor):
        if id(thing) in seen:
            return
        seen.add(id(thing))
        yield name, thing
    if isinstance(thing, Layer):
        thing = vars(thing)
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield from _walk(value, f"{name}.{key}" if name else key, seen)
    elif isinstance(thing, list | tuple):
        for position, value in enumerate(thing):
            yield from _walk(value, f"{name}.{position}", seen)
