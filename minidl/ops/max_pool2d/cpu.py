"""Numba: the definition, image by image on all threads; the innermost loop runs along the channels.

The pool that halves the image, as all of VGG's do, has kernels of its own: its four taps are looked at together, and
since each pixel is in one window only, its gradient is written once.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.memory import empty
from minidl.ops.windows import HALVING, Windows, choice_dtype, output_shape


def forward(x: NDArray, windows: Windows) -> tuple[NDArray, NDArray]:
    n, h, w, c = x.shape
    shape = (n, *output_shape(windows, h, w), c)
    y, choice = empty(shape, x.dtype), empty(shape, choice_dtype(windows))
    if windows == HALVING:
        _forward_halving(x, y, choice)
    else:
        _forward(x, y, choice, windows)
    return y, choice


def gather(x: NDArray, choice: NDArray, windows: Windows) -> NDArray:
    y = empty(choice.shape, x.dtype)
    _gather(x, choice, y, windows)
    return y


def scatter(dy: NDArray, choice: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    if windows == HALVING and x_shape[1] % 2 == x_shape[2] % 2 == 0:  # no pixel is left over
        dx = empty(x_shape, dy.dtype)
        _scatter_halving(dy, choice, dx)
    else:
        dx = empty(x_shape, dy.dtype)
        _scatter(dy, choice, dx, windows)
    return dx


@compiled
def _larger(value, tap, largest, chosen):
    """The larger number with its tap; at a tie the earlier one. nan counts as larger, so that it cannot disappear."""
    better = (not value <= largest) & (largest == largest)
    return value if better else largest, tap if better else chosen


@compiled(parallel=True)
def _forward_halving(x, y, choice):
    n, out_h, out_w, channels = y.shape
    zero, one, two, three = np.uint8(0), np.uint8(1), np.uint8(2), np.uint8(3)
    for m in prange(n):
        for i in range(out_h):
            upper, lower = x[m, 2 * i], x[m, 2 * i + 1]
            for j in range(out_w):
                left, right = 2 * j, 2 * j + 1
                for c in range(channels):
                    best, tap = _larger(upper[right, c], one, upper[left, c], zero)
                    best, tap = _larger(lower[left, c], two, best, tap)
                    y[m, i, j, c], choice[m, i, j, c] = _larger(lower[right, c], three, best, tap)


@compiled(parallel=True)
def _scatter_halving(dy, choice, dx):
    n, out_h, out_w, channels = dy.shape
    zero = dy.dtype.type(0)
    for m in prange(n):
        for i in range(out_h):
            for j in range(out_w):
                for tap in range(4):
                    pixel = dx[m, 2 * i + tap // 2, 2 * j + tap % 2]
                    for c in range(channels):
                        number = dy[m, i, j, c]  # read in any case, so that the compiler finds vector instructions
                        pixel[c] = number if choice[m, i, j, c] == tap else zero


@compiled(parallel=True)
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
                            value, best, chosen = x[m, row, column, c], y[m, i, j, c], choice[m, i, j, c]
                            y[m, i, j, c], choice[m, i, j, c] = (
                                (value, tap) if first else _larger(value, tap, best, chosen)
                            )
                        first = False


@compiled(parallel=True)
def _gather(x, choice, y, windows):
    n, out_h, out_w, channels = y.shape
    for m in prange(n):
        for i in range(out_h):
            for j in range(out_w):
                for c in range(channels):
                    row, column = _pixel(choice[m, i, j, c], i, j, windows)
                    y[m, i, j, c] = x[m, row, column, c]


@compiled(parallel=True)
def _scatter(dy, choice, dx, windows):
    n, out_h, out_w, channels = dy.shape
    for m in prange(n):  # windows may overlap, images never do: no two threads add to the same pixel
        sums = np.zeros(dx.shape[1:])
        for i in range(out_h):
            for j in range(out_w):
                for c in range(channels):
                    row, column = _pixel(choice[m, i, j, c], i, j, windows)
                    sums[row, column, c] += dy[m, i, j, c]
        dx[m] = sums


@compiled
def _pixel(tap, i, j, windows):
    """The pixel under tap ki * width + kj of the window at (i, j)."""
    tap = np.int64(tap)
    row = i * windows.stride_h + tap // windows.width - windows.top
    column = j * windows.stride_w + tap % windows.width - windows.left
    return row, column
