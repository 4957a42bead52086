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
    n, out_h, out_w, channels = y.shape
    _, h, w, _ = x.shape
    share = 1 / (windows.height * windows.width)
    for m in prange(n):
        sums = np.empty((out_w, channels))
        for i in range(out_h):
            sums[:] = 0
            for row in range(*_span(i, windows.stride_h, windows.top, windows.height, h)):
                for j in range(out_w):
                    for column in range(*_span(j, windows.stride_w, windows.left, windows.width, w)):
                        for c in range(channels):
                            sums[j, c] += x[m, row, column, c]
            for j in range(out_w):
                for c in range(channels):
                    y[m, i, j, c] = sums[j, c] * share


@compiled(parallel=True)
def _gradient(dy, dx, windows):
    n, out_h, out_w, channels = dy.shape
    _, h, w, _ = dx.shape
    share = 1 / (windows.height * windows.width)
    for m in prange(n):  # windows may overlap, images never do: no two threads add to the same pixel
        sums = np.zeros((h, w, channels))
        for i in range(out_h):
            for j in range(out_w):
                for row in range(*_span(i, windows.stride_h, windows.top, windows.height, h)):
                    for column in range(*_span(j, windows.stride_w, windows.left, windows.width, w)):
                        for c in range(channels):
                            sums[row, column, c] += dy[m, i, j, c]
        for row in range(h):
            for column in range(w):
                for c in range(channels):
                    dx[m, row, column, c] = sums[row, column, c] * share


@compiled
def _span(position, stride, before, taps, size):
    """The pixels under a window along one axis, from the first to one past the last, padding left out."""
    start = position * stride - before
    return max(0, start), min(size, start + taps)
