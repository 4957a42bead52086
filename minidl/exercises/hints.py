"""What is behind wrong numbers: hints that are computed, never guessed.

A known mistake is named when a student's numbers are those of the mistake. Otherwise a hint says what the wrong numbers
look like, and what the calls that are wrong have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.exercises.calls import Call, Numbers
from minidl.exercises.comparing import Difference, same, wrong_numbers


def hints(
    mistakes: Mapping[str, Callable[..., Any]],
    calls: Sequence[Call],
    repeated: Sequence[Call],
    differences: Sequence[Difference | None],
) -> list[str]:
    """What can be said about calls that differ. `repeated` are the student's; those that are right differ by None."""
    wrong = [i for i, difference in enumerate(differences) if difference]
    first = differences[wrong[0]]
    if first is None or not first.has_numbers:
        return []
    pairs = [(calls[i], repeated[i]) for i in wrong]
    known = [hint for hint, mistake in mistakes.items() if _explains(mistake, first.name, pairs[:1])]
    for_all = [hint for hint in known if _explains(mistakes[hint], first.name, pairs)]
    if known:
        return for_all or known
    expected, got = (_named(first.name, call) for call in pairs[0])
    shared = common_feature([calls[i] for i in wrong], [call for i, call in enumerate(calls) if i not in wrong])
    return [*look_of(expected, got), *([f"it is wrong just where {shared}"] if shared else [])]


def _explains(mistake: Callable[..., Any], name: str, pairs: Sequence[tuple[Call, Call]]) -> bool:
    """Whether it gives the student's numbers in all of these calls, as far as their shapes allow it."""
    explained = 0
    for expected, got in pairs:
        try:
            mistaken = _named(name, expected.repeat(mistake))
        except (ValueError, IndexError, TypeError, ZeroDivisionError):
            continue  # with these shapes, that mistake cannot be made
        if not same(mistaken, _named(name, got)) or same(mistaken, _named(name, expected)):
            return False
        explained += 1
    return explained > 0


def _named(name: str, call: Call) -> Any:
    return call.results[name] if name in call.results else call.inputs.get(name)


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
        factor = float((expected * got).sum(dtype=np.float64) / (expected * expected).sum(dtype=np.float64))
        if abs(factor) > 1e-6 and abs(factor - 1) > 1e-3 and alike(factor * expected):
            whole = f" (1 / {1 / factor:.6g})" if abs(factor) < 1 else ""
            yield f"everything is {factor:.6g} times as large as it should be{whole}"
        difference = float((got - expected).mean(dtype=np.float64))
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


def common_feature(wrong: Sequence[Call], right: Sequence[Call]) -> str | None:
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
