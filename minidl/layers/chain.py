"""Layers joined to layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy

from minidl.layers.fusion import Step, plan
from minidl.layers.layer import Layer, comment, is_plain, name_of, parameter_count, with_comment
from minidl.modes import evaluation_mode, is_recording, no_grad
from minidl.operands import operands
from minidl.tensor import Operand, Tensor

# Where Flux starts its comments: behind a layer, behind the last line, and there when it needs a second line
LAYER_COLUMN, TOTAL_COLUMN, LONG_TOTAL_COLUMN = 40, 20, 10


class Chain(Layer):
    """Call layers one after another. A layer is anything callable: Chain(Conv((3, 3), (3, 64)), relu, flatten).

    chain[2] is a layer, chain[1:3] a Chain that shares its layers. Arrays join the backend of the parameters. An error
    in a layer carries a note that names it.

    Some layers that follow each other are computed together, such as Conv, relu and MaxPool. Results are the same:
    chain(x) is chain[k:](chain[:k](x)). `with minidl.unfused():` calls each layer by itself.
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        self.layers = _checked("Chain", layers)

    def __call__(self, x: Operand) -> Tensor:
        x = self._beside_parameters(x)
        for step in plan(self.layers, is_recording()):
            x = self._run(step, x)
        return x

    def _run(self, step: Step, x: Any) -> Any:
        try:
            return step.compute(x)
        except Exception as error:
            error.add_note(self._place(step, x))
            raise

    def _place(self, step: Step, x: Any) -> str:
        """Where an error is, in words."""
        names = ", ".join(_safe_name_of(layer) for layer in self.layers[step.start : step.end])
        if step.end == step.start + 1:
            return f"in layer {step.start} of the Chain, {names}, given {_describe(x)}"
        return f"in layers {step.start}-{step.end - 1} of the Chain: {names}, given {_describe(x)}"

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Callable[..., Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Chain: ...
    def __getitem__(self, index: int | slice) -> Callable[..., Any]:
        return Chain(*self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def code(self) -> str:
        return f"{type(self).__name__}({', '.join(name_of(layer) for layer in self.layers)})"

    def __repr__(self) -> str:
        *lines, last = _lines(self, "")
        return "\n".join([*lines, *_with_total(last, self)])

    def outputsize(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of what comes out for an input of that shape, batch included: vgg19().outputsize((1, 32, 32, 3)).

        Found by computing with zeros; the errors are those of the layers.
        """
        with no_grad(), evaluation_mode():
            return self(numpy.zeros(tuple(shape), numpy.float32)).shape

    if TYPE_CHECKING:  # written in minidl/displays.py

        def explain(self, x: Any, labels: Any = None) -> Any: ...
        def _repr_html_(self) -> str: ...

    def _beside_parameters(self, x: Operand) -> Tensor:
        return x if isinstance(x, Tensor) else Tensor(x, self.backend)


def activations(chain: Chain, x: Operand) -> tuple[Tensor, ...]:
    """What comes out of each layer of a chain, in order: Flux's activations."""
    return tuple(layer_by_layer(chain, x))


def layer_by_layer(chain: Chain, x: Operand) -> Iterator[Tensor]:
    """activations(), each computed when it is asked for."""
    x = chain._beside_parameters(x)
    for i, layer in enumerate(chain.layers):
        x = chain._run(Step(i, i + 1, layer), x)
        yield x


def as_chain(model: Layer) -> Chain:
    """The layers that a model calls one after another; one whose class does something else is a layer by itself."""
    return model if is_plain(model, Chain) else Chain(model)


class Parallel(Layer):
    """connection(layer(x), layer(x), ...): Parallel(add, Dense(2, 3), Dense(2, 3)), as in Flux.

    Called with as many inputs as it has layers, each layer gets its own.
    """

    def __init__(self, connection: Callable[..., Tensor], *layers: Callable[..., Tensor]) -> None:
        if not layers:
            raise ValueError("Parallel: expected at least one layer")
        self.connection, self.layers = connection, _checked("Parallel", layers)

    def __call__(self, *inputs: Operand) -> Tensor:
        if len(inputs) not in (1, len(self.layers)):
            raise ValueError(f"Parallel: expected one input or {len(self.layers)}, got {len(inputs)}")
        given = operands("Parallel", *inputs)
        given = given * len(self.layers) if len(given) == 1 else given
        return self.connection(*(layer(x) for layer, x in zip(self.layers, given, strict=True)))

    def code(self) -> str:
        return f"{type(self).__name__}({', '.join(name_of(part) for part in (self.connection, *self.layers))})"


class SkipConnection(Layer):
    """connection(layer(x), x): SkipConnection(block, add) is the residual block of He et al. 2015, as in Flux."""

    def __init__(self, layer: Callable[..., Tensor], connection: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.layer, self.connection = layer, connection

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("SkipConnection", x)
        return self.connection(self.layer(x), x)

    def code(self) -> str:
        return f"{type(self).__name__}({name_of(self.layer)}, {name_of(self.connection)})"


def _checked(name: str, layers: Sequence[Callable[..., Any]]) -> list[Callable[..., Any]]:
    for i, layer in enumerate(layers):
        if not callable(layer):
            raise TypeError(f"{name}: expected layers or functions, got {layer!r} at position {i}")
    return list(layers)


CONTAINERS = (Chain, Parallel, SkipConnection)


def _safe_name_of(layer: Callable[..., Any]) -> str:
    """name_of(), or the class: an error of code(), which a broken layer may have, must not hide the first one."""
    try:
        return name_of(layer)
    except Exception:
        return type(layer).__name__


def _describe(x: object) -> str:
    return f"a tensor of shape {x.shape}" if isinstance(x, Tensor) else f"a {type(x).__name__}"


def _lines(layer: Callable[..., Any], indent: str) -> Iterator[str]:
    """The lines that show a layer: containers opened, everything else with its parameter count."""
    if isinstance(layer, Chain):
        yield f"{indent}{type(layer).__name__}("
        for inner in layer:
            yield from _closed_with_comma(_lines(inner, indent + "  "), inner)
        yield f"{indent})"
    elif isinstance(layer, SkipConnection):
        yield f"{indent}{type(layer).__name__}("
        yield from _closed_with_comma(_lines(layer.layer, indent + "  "), layer.layer)
        yield f"{indent}  {name_of(layer.connection)},"
        yield f"{indent})"
    elif isinstance(layer, Parallel):
        yield f"{indent}{type(layer).__name__}("
        yield f"{indent}  {name_of(layer.connection)},"
        for inner in layer.layers:
            yield from _closed_with_comma(_lines(inner, indent + "  "), inner)
        yield f"{indent})"
    else:
        yield indent + name_of(layer)


def _closed_with_comma(lines: Iterator[str], layer: Callable[..., Any]) -> Iterator[str]:
    *before, last = lines
    yield from before
    text = comment(layer) if isinstance(layer, Layer) and not isinstance(layer, CONTAINERS) else ""
    yield with_comment(last + ",", LAYER_COLUMN, text)


def _with_total(line: str, chain: Chain) -> Iterator[str]:
    """The last line with the sum of all parameters; like Flux, without it for up to two arrays."""
    tensors, params = chain.tensors(), chain.params()
    size = _bytes(sum(x.size * x.dtype.itemsize for x in tensors.values()))
    count, fixed = parameter_count(params), parameter_count(tensors) - parameter_count(params)
    if len(params) <= 2:
        yield line
    elif not fixed:
        yield with_comment(line, TOTAL_COLUMN, f"Total: {len(params)} arrays, {count:_} parameters, {size}.")
    else:
        yield with_comment(line, LONG_TOTAL_COLUMN, f"Total: {len(params)} trainable arrays, {count:_} parameters,")
        untrained = f"plus {len(tensors) - len(params)} non-trainable, {fixed:_} parameters, {size}."
        yield with_comment("", LONG_TOTAL_COLUMN, untrained)


def _bytes(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3f} {unit}"
        count /= 1024
    return f"{count:.3f} GiB"
