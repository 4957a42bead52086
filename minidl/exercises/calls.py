"""What kernels are asked for while a network is computed with: recorded on the reference, repeated on the student's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.backend import use_kernels
from minidl.exercises.lessons import Kernel, Lesson
from minidl.exercises.rows import Row, Step
from minidl.gradient_examples import Example
from minidl.tensor import Tensor

DTYPES: Sequence[type[np.floating[Any]]] = (np.float64, np.float32)
Numbers = NDArray[Any]


@dataclass
class Call:
    """One call of a kernel: what it was given, and what it left behind: its results, and its inputs, by name."""

    kernel: Kernel
    row: str
    given: dict[str, Any]
    results: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)

    def repeat(self, function: Callable[..., Any]) -> Call:
        """The same call of another function, on copies."""
        return call(function, self.kernel, self.row, self.given)


def call(function: Callable[..., Any], kernel: Kernel, row: str, given: dict[str, Any]) -> Call:
    """Call it and keep everything: copies of what is given, as it was before and as it is afterwards."""
    made = Call(kernel, row, deepcopy(given))
    inputs = deepcopy(given)
    with np.errstate(all="ignore"):
        result = function(*inputs.values())
    made.inputs = _flat(inputs)
    if len(kernel.results) > 1 and isinstance(result, tuple | list) and len(result) == len(kernel.results):
        made.results = dict(zip(kernel.results, result, strict=True))
    elif kernel.results:
        made.results = {" and ".join(kernel.results): result}
    return made


def _flat(inputs: dict[str, Any]) -> dict[str, Any]:
    """The arrays among the inputs; those in a list have names like velocities[0]."""
    flat = {}
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            flat[name] = value
        elif isinstance(value, list):
            flat.update({f"{name}[{i}]": array for i, array in enumerate(value)})
    return flat


@cache
def recorded_calls(lesson: Lesson) -> list[Call]:
    """All calls of the lesson's kernels that its rows lead to, forwards and backwards, in float64 and float32."""
    made: list[Call] = []
    for row in lesson.rows:
        for dtype in DTYPES:
            with use_kernels(lesson.op, _recorder(lesson, f"{row.name}, {dtype.__name__}", made)):
                _run(row, dtype)
    return made


def _recorder(lesson: Lesson, row: str, made: list[Call]) -> ModuleType:
    """The reference kernels, which note down how they are called."""
    recorder = ModuleType(f"recorder of {lesson.reference.__name__}")
    vars(recorder).update({name: value for name, value in vars(lesson.reference).items() if name[:2] != "__"})
    for kernel in lesson.kernels:
        function = getattr(lesson.reference, kernel.name)
        setattr(recorder, kernel.name, _recording(function, kernel, row, made))
    return recorder


def _recording(function: Callable[..., Any], kernel: Kernel, row: str, made: list[Call]) -> Callable[..., Any]:
    names = list(inspect.signature(function).parameters)

    def run(*arguments: Any) -> Any:
        made.append(call(function, kernel, row, dict(zip(names, arguments, strict=True))))
        return function(*arguments)

    return run


def _run(row: Row, dtype: type[np.floating[Any]]) -> None:
    """Forwards, and backwards from random numbers."""
    if isinstance(row, Step):
        row.run(dtype)
        return
    with np.errstate(all="ignore"):
        y = row(*_tensors(row, dtype))
        dy = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
        if y.requires_grad:
            y.backward(Tensor(dy, "reference"))


def _tensors(row: Example, dtype: type[np.floating[Any]]) -> Iterator[Tensor]:
    for x in row.inputs:
        floats = x.dtype.kind == "f"
        yield Tensor(x.astype(dtype) if floats else x, "reference", requires_grad=floats)
