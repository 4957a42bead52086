"""Numba: image by image on all threads; the innermost loop runs along the channels, each with its sum in float64."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.memory import empty
from minidl.ops.windows import Windows, output_shape


def forward(x: NDArray, windows: Windows) -> NDArray:
    n, h, w, c = x.shape
    y = empty((n, *output_shape(windows, h, w), c), x.dtype)
    _forward(x, y, windows)
    return y


def gradient(dy: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    dx = empty(x_shape, dy.dtype)
    _gradient(dy, dx, windows)
    return dx


@compiled(parallel=True)
def _forward(x, y, windows):
    n, out_h, out_w, _ = y.shape
    _, h, w, channels = x.shape
    for m in prange(n):
        sums = np.empty(channels)
        for i in range(out_h):
            rows = _span(i, windows.stride_h, windows.top, windows.height, h)
            for j in range(out_w):
                columns = _span(j, windows.stride_w, windows.left, windows.width, w)
                _average(x, m, rows, columns, windows, sums, y, i, j)


@compiled(parallel=True)
def _gradient(dy, dx, windows):
    n, h, w, channels = dx.shape
    _, out_h, out_w, _ = dy.shape
    for m in prange(n):
        sums, columns = np.empty(channels), np.empty((w, 2), np.int64)
        for column in range(w):  # once for all rows: it takes two divisions
            columns[column] = _windows_over(column, windows.stride_w, windows.left, windows.width, out_w)
        for row in range(h):
            rows = _windows_over(row, windows.stride_h, windows.top, windows.height, out_h)
            for column in range(w):
                _average(dy, m, rows, (columns[column, 0], columns[column, 1]), windows, sums, dx, row, column)


@compiled
def _average(x, m, rows, columns, windows, sums, y, i, j):
    """y[m, i, j] = the sum of image m over these rows and columns, divided by the size of a window."""
    channels = len(sums)
    for c in range(channels):
        sums[c] = 0
    for row in range(rows[0], rows[1]):
        for column in range(columns[0], columns[1]):
            for c in range(channels):
                sums[c] += x[m, row, column, c]
    share = 1 / (windows.height * windows.width)
    for c in range(channels):
        y[m, i, j, c] = sums[c] * share


@compiled
def _span(position, stride, before, taps, size):
    """The pixels under a window along one axis, from the first to one past the last, padding left out."""
    start = position * stride - before
    return max(0, start), min(size, start + taps)


@compiled
def _windows_over(pixel, stride, before, taps, count):
    """The windows that hold a pixel, along one axis, from the first to one past the last."""
    return max(0, pixel + before - taps + stride) // stride, min(count, (pixel + before) // stride + 1)
