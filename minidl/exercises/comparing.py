"""The first number in which a student's call differs from the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.exercises.calls import Call

Numbers = NDArray[Any]
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}  # relative to the largest number


@dataclass
class Difference:
    """What differs first: a result or an input, by name, and how it does."""

    name: str
    problem: str
    has_numbers: bool  # wrong ones, which can be looked at


def first_difference(expected: Call, got: Call) -> Difference | None:
    """None when the results are the same, and the inputs afterwards."""
    for name, right in expected.results.items():
        if name not in got.results:
            return Difference(name, _wrong_count(expected, got), False)
        problem = _difference(name, right, got.results[name])
        if problem:
            return Difference(name, problem, True)
    for name, right in expected.inputs.items():
        problem = _difference(name, right, got.inputs[name])
        if problem and same(right, before(expected, name)):
            return Difference(name, f"it changes its input {name}: work on a copy, or in a new array", False)
        if problem:
            return Difference(name, problem, True)
    return None


def before(made: Call, name: str) -> Numbers:
    """The input of that name as it was given; "velocities[0]" is the first of a list."""
    name, _, position = name.rstrip("]").partition("[")
    value = made.given[name]
    return np.asarray(value[int(position)] if position else value)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays agree in shape and, up to rounding, in each number."""
    return np.shape(a) == np.shape(b) and not wrong_numbers(np.asarray(a), np.asarray(b)).any()


def wrong_numbers(expected: Numbers, got: Numbers) -> NDArray[np.bool_]:
    """Which numbers differ by more than rounding explains."""
    tolerance = TOLERANCES.get(str(expected.dtype), 0)
    finite = np.abs(expected[np.isfinite(expected)]).astype(np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(~np.isclose(got, expected, tolerance, tolerance * finite.max(initial=0), equal_nan=True))


def _wrong_count(expected: Call, got: Call) -> str:
    (came,) = got.results.values()
    came = f"{len(came)} things" if isinstance(came, tuple | list) else _kind(came)
    return f"expected the results ({', '.join(expected.results)}), got {came}"


def _kind(value: Any) -> str:
    if value is None:
        return "None: is there a return?"
    return f"shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _difference(name: str, expected: Any, got: Any) -> str | None:
    if isinstance(got, np.generic):
        got = np.asarray(got)
    if not isinstance(got, np.ndarray):
        return f"{name}: expected an array {expected.shape}, got {_kind(got)}"
    if got.shape != expected.shape:
        return f"{name} has shape {got.shape}, expected {expected.shape}"
    if got.dtype.kind not in "fiu" or (got.dtype != expected.dtype and expected.dtype.kind == "f"):
        return f"{name} is of type {got.dtype}, expected {expected.dtype}, the type of the inputs"
    wrong = wrong_numbers(expected, got)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"[{', '.join(map(str, index))}]" if index else ""
    return (f"{name}{place} is {got[index]:.6g}, expected {expected[index]:.6g}; "
            f"{wrong.sum()} of {wrong.size} numbers are wrong")  # fmt: skip
