"""The first number that is wrong, and what the wrong numbers look like: hints that are computed, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.exercises.calls import Call

Numbers = NDArray[Any]
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}  # relative to the largest number


def first_difference(expected: Call, got: Call) -> tuple[str, str] | None:
    """(what differs, how): ("y", "y[0, 1] is 3, expected 4; ..."); None when results and inputs are the same."""
    for name, right in expected.results.items():
        problem = _difference(name, right, got.results[name]) if name in got.results else _wrong_count(expected, got)
        if problem:
            return name, problem
    for name, right in expected.inputs.items():
        problem = _difference(name, right, got.inputs[name])
        if problem:
            meant = not same(right, before(expected, name))
            return name, problem if meant else f"it changes its input {name}: work on a copy, or in a new array"
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


def look_of(expected: Numbers, got: Any) -> Iterator[str]:
    """What wrong numbers have in common with the right ones, whatever was to be computed."""
    if not isinstance(got, np.ndarray) or not got.size:
        return
    for axes in permutations(range(expected.ndim)):
        turned = expected.transpose(axes)
        if axes != tuple(range(expected.ndim)) and not same(expected, turned) and same(turned, got):
            yield f"it looks transposed: its axes are those of the right result in the order {axes}"
            return
    if got.shape != expected.shape or not np.isfinite(expected).all():
        return
    if not np.isfinite(got).all():
        yield "numbers are nan or infinite: exp() of a large number, a logarithm of 0, or a division by 0"
        return
    expected, got = expected.astype(np.float64), got.astype(np.float64)
    yield from _size_of(expected, got)
    yield from _parts_of(expected, got, wrong_numbers(expected.astype(np.float32), got.astype(np.float32)))


def _size_of(expected: Numbers, got: Numbers) -> Iterator[str]:
    def alike(a: Numbers) -> bool:
        return bool(np.allclose(a, got, 1e-4, 1e-4 * np.abs(got).max()))

    if not got.any():
        yield "everything is 0: is the result ever written to?"
    elif alike(-expected):
        yield "the sign is turned round"
    elif expected.any():
        factor = float((expected * got).sum() / (expected * expected).sum())
        if abs(factor) > 1e-6 and abs(factor - 1) > 1e-3 and alike(factor * expected):
            whole = f" (1 / {1 / factor:.6g})" if abs(factor) < 1 else ""
            yield f"everything is {factor:.6g} times as large as it should be{whole}"
        difference = float((got - expected).mean())
        if got.size > 1 and alike(expected + difference):
            yield f"everything is off by the same {difference:.6g}"
    for axis in range(got.ndim):
        if got.shape[axis] > 1 and alike(np.flip(expected, axis)):
            yield f"it is in reverse order along axis {axis}"


def _parts_of(expected: Numbers, got: Numbers, wrong: NDArray[np.bool_]) -> Iterator[str]:
    """Where the wrong numbers are."""
    if not wrong.any() or wrong.all():
        return
    for axis in (0, -1):
        others = tuple(i for i in range(wrong.ndim) if i != axis % wrong.ndim)
        of_axis = np.asarray(wrong.any(others))
        if len(of_axis) > 1 and of_axis[1:].all() and not of_axis[0]:
            yield f"only index 0 of axis {axis % wrong.ndim} is right"
        elif len(of_axis) > 1 and of_axis[:-1].all() and not of_axis[-1]:
            yield f"only the last index of axis {axis % wrong.ndim} is right"
    if wrong.ndim == 4 and min(wrong.shape[1:3]) > 2 and not wrong[:, 1:-1, 1:-1].any():
        yield "only numbers at the border are wrong: look at the padding"


Feature = Callable[[Call], bool]


def common_feature(wrong: list[Call], right: list[Call]) -> str | None:
    """What all wrong calls have and no right one, such as "images are padded"."""
    if not wrong or not right:
        return None
    for words, has in FEATURES.items():
        if all(map(has, wrong)) and not any(map(has, right)):
            return words
    return None


def _windows(test: Callable[[Any], bool]) -> Feature:
    return lambda made: "windows" in made.given and test(made.given["windows"])


def _has_many_images(made: Call) -> bool:
    first = next(iter(made.given.values()))
    return isinstance(first, np.ndarray) and first.ndim > 1 and len(first) > 1


FEATURES: dict[str, Feature] = {
    "images are padded": _windows(lambda w: any((w.top, w.bottom, w.left, w.right))),
    "the padding is not the same on all sides": _windows(lambda w: len({w.top, w.bottom, w.left, w.right}) > 1),
    "the stride is not 1": _windows(lambda w: (w.stride_h, w.stride_w) != (1, 1)),
    "the strides of rows and columns differ": _windows(lambda w: w.stride_h != w.stride_w),
    "the dilation is not 1": _windows(lambda w: (w.dilation_h, w.dilation_w) != (1, 1)),
    "windows overlap": _windows(lambda w: w.stride_h < w.height or w.stride_w < w.width),
    "windows are not square": _windows(lambda w: w.height != w.width),
    "there are groups": lambda made: made.given.get("groups", 1) > 1,
    "relu is asked for": lambda made: made.given.get("relu") is True,
    "there is weight decay": lambda made: bool(made.given.get("weight_decay")),
    "there is more than one row, or image": _has_many_images,
    "numbers are float32": lambda made: made.row.endswith("float32"),
}
