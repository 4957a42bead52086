"""The tensors that a function uses beside its arguments: of its layer, its closure, its defaults, its globals."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from minidl.backend import Backend
from minidl.tensor import Tensor, inputs_of


def tensors_used_by(function: Callable[..., Any]) -> dict[str, Tensor]:
    """Tensors by name, each once: `layer.tensors()`, and what a lambda, a method or a partial has captured.

    ValueError for one that asks for its gradient and was itself computed: its gradient belongs to what it came from.
    """
    found = {name: thing for name, thing in _walk(function, "", set()) if thing.dtype.kind == "f"}
    for name, x in found.items():
        if x.requires_grad and inputs_of(x):
            raise ValueError(f"check_gradients: {name!r}, which the function uses, was itself computed; compute it "
                             f"inside the function, or use {name}.detach()")  # fmt: skip
    return found


def _walk(thing: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if id(thing) in seen or isinstance(thing, type | types.ModuleType):
        return
    seen.add(id(thing))
    if isinstance(thing, Tensor):
        yield name or "tensor", thing
        return
    for inner_name, inner in _inside(thing):
        yield from _walk(inner, f"{name}.{inner_name}" if name else inner_name, seen)


def _inside(thing: Any) -> Iterator[tuple[str, Any]]:
    """What a function, a container or an object refers to, with the names that its author gave."""
    if isinstance(thing, list | tuple):
        yield from ((str(position), inner) for position, inner in enumerate(thing))
    elif isinstance(thing, dict):
        yield from ((str(key), inner) for key, inner in thing.items())
    elif isinstance(thing, partial):
        yield from [("", thing.func), *_inside(thing.args), *thing.keywords.items()]
    elif isinstance(thing, types.MethodType):
        yield from [("", thing.__self__), ("", thing.__func__)]
    elif isinstance(thing, types.FunctionType):
        if not (thing.__module__ or "").startswith("minidl."):
            yield from _captured(thing)
    elif hasattr(thing, "tensors") or hasattr(thing, "params"):
        yield from (thing.tensors() if hasattr(thing, "tensors") else thing.params()).items()
        yield "", vars(type(thing)).get("__call__")
    elif hasattr(thing, "__dict__"):
        yield from [*vars(thing).items(), ("", vars(type(thing)).get("__call__"))]


def _captured(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    yield from zip(function.__code__.co_freevars, map(_contents, function.__closure__ or ()), strict=True)
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(names[len(names) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it has no value yet
        return None


def _global_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # a function inside
            yield from _global_names(constant)


@contextmanager
def converted(tensors: Mapping[str, Tensor], dtype: str, backend: Backend | None = None) -> Iterator[None]:
    """Float tensors in another type, on another backend, inside a `with` block; then the very same arrays again."""
    before = [(x, x.array, x.backend, x.version) for x in tensors.values()]
    try:
        for x, array, home, _ in before:
            x.backend = backend or home
            x.array = x.backend.asarray(array).astype(dtype if array.dtype.kind == "f" else array.dtype)
        yield
    finally:
        for x, array, home, version in before:
            x.backend = home
            x.array = array
            x.version = version
