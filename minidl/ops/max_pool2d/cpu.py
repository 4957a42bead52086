"""Numba: the definition, image by image on all threads; the innermost loop runs along the channels."""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from minidl.ops.windows import Windows, choice_dtype, output_shape


def forward(x: NDArray, windows: Windows) -> tuple[NDArray, NDArray]:
    n, h, w, c = x.shape
    shape = (n, *output_shape(windows, h, w), c)
    y, choice = np.empty(shape, x.dtype), np.empty(shape, choice_dtype(windows))
    _forward(x, y, choice, windows)
    return y, choice


def gather(x: NDArray, choice: NDArray, windows: Windows) -> NDArray:
    y = np.empty(choice.shape, x.dtype)
    _gather(x, choice, y, windows)
    return y


def scatter(dy: NDArray, choice: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    dx = np.zeros(x_shape, dy.dtype)
    _scatter(dy, choice, dx, windows)
    return dx


@njit(parallel=True, cache=True)
def _forward(x, y, choice, windows):
    n, out_h, out_w, channels = y.shape
    _, h, w, _ = x.shape
    for m in prange(n):
        for i in range(out_h):
            for j in range(out_w):
                first = True
                for ki in range(windows.height):
                    for kj in range(windows.width):
                        row = i * windows.stride_h + ki - windows.top
                        column = j * windows.stride_w + kj - windows.left
                        if not (0 <= row < h and 0 <= column < w):
                            continue
                        tap = ki * windows.width + kj
                        for c in range(channels):
                            value, best = x[m, row, column, c], y[m, i, j, c]
                            # nan counts as the largest, so that it cannot disappear; the first of equal ones wins
                            better = first or value > best or (value != value and best == best)
                            y[m, i, j, c] = value if better else best
                            choice[m, i, j, c] = tap if better else choice[m, i, j, c]
                        first = False


@njit(parallel=True, cache=True)
def _gather(x, choice, y, windows):
    n, out_h, out_w, channels = y.shape
    for m in prange(n):
        for i in range(out_h):
            for j in range(out_w):
                for c in range(channels):
                    row, column = _pixel(choice[m, i, j, c], i, j, windows)
                    y[m, i, j, c] = x[m, row, column, c]


@njit(parallel=True, cache=True)
def _scatter(dy, choice, dx, windows):
    n, out_h, out_w, channels = dy.shape
    for m in prange(n):  # windows may overlap, images never do: no two threads add to the same pixel
        for i in range(out_h):
            for j in range(out_w):
                for c in range(channels):
                    row, column = _pixel(choice[m, i, j, c], i, j, windows)
                    dx[m, row, column, c] += dy[m, i, j, c]


@njit(cache=True)
def _pixel(tap, i, j, windows):
    """The pixel under tap ki * width + kj of the window at (i, j)."""
    tap = np.int64(tap)
    row = i * windows.stride_h + tap // windows.width - windows.top
    column = j * windows.stride_w + tap % windows.width - windows.left
    return row, column
