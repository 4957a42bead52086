"""Sums of arrays over any axes: the one way in which minidl adds up many numbers.

The sum over the axes (0, 2) of x (2, 3, 4, 5) is taken in steps of one pattern, (groups, rows, columns) -> (groups,
columns): (1, 2, 60), then (3, 4, 5). What lies between two steps stays float64, so the result is rounded once.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby

import numpy

from minidl.backend import Array, Backend, ieee

KERNELS = "minidl.ops.sum"


@ieee
def summed(x: Array, backend: Backend, axes: Sequence[int], divisor: int = 1) -> Array:
    """x added up over `axes`, which are gone then, and divided: as exact as in float64, rounded once. A new array."""
    steps, shape = _plan(x.shape, tuple(axes))
    if not steps:  # there is nothing to add
        return x.reshape(shape).copy()
    x, forward, dtype = backend.asarray(x), backend.kernels(KERNELS).forward, x.dtype
    for step in steps[:-1]:
        x = forward(x.reshape(step), 1, numpy.float64)
    return forward(x.reshape(steps[-1]), divisor, dtype).reshape(shape)


@lru_cache(maxsize=1024)
def _plan(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[list[tuple[int, int, int]], tuple[int, ...]]:
    """(steps, the shape in the end). Axes of length 1 say nothing, and neighbours that share a fate are one."""
    left = [(size, axis in axes) for axis, size in enumerate(shape)]
    merged = [
        (math.prod(size for size, _ in run), added)
        for added, run in groupby([one for one in left if one[0] != 1], key=lambda one: one[1])
    ]
    return list(_steps(merged)), tuple(size for size, added in left if not added)


def _steps(merged: list[tuple[int, bool]]) -> Iterator[tuple[int, int, int]]:
    groups = 1
    for i, (size, added) in enumerate(merged):
        if added:
            yield groups, size, math.prod(size for size, _ in merged[i + 1 :])
        else:
            groups *= size
