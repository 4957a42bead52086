"""The definition, in NumPy: look at the patch under each window, and remember which tap was the largest."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from minidl.ops.windows import Windows, choice_dtype, output_shape


def forward(x: NDArray, windows: Windows) -> tuple[NDArray, NDArray]:
    """(y, choice): choice is the number ki * width + kj of the tap that won."""
    n, h, w, c = x.shape
    shape = (n, *output_shape(windows, h, w), c)
    choice = np.empty(shape, choice_dtype(windows))
    padded = _pad(x, windows, -np.inf)
    for i, j, patch in _patches(padded, shape, windows):
        taps = patch.reshape(n, windows.height * windows.width, c)
        choice[:, i, j] = taps.argmax(axis=1)  # the first of equal ones; nan counts as the largest
        for tap in _padding_taps(i, j, h, w, windows):  # when all pixels are -inf, padding must not win
            choice[:, i, j][choice[:, i, j] == tap] = _first_pixel(i, j, h, w, windows)
    return gather(x, choice, windows), choice


def gather(x: NDArray, choice: NDArray, windows: Windows) -> NDArray:
    n, _, _, c = x.shape
    y = np.empty(choice.shape, x.dtype)
    for i, j, patch in _patches(_pad(x, windows, 0), choice.shape, windows):
        taps = patch.reshape(n, windows.height * windows.width, c)
        y[:, i, j] = np.take_along_axis(taps, choice[:, None, i, j].astype(np.intp), axis=1)[:, 0]
    return y


def scatter(dy: NDArray, choice: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    _, h, w, _ = x_shape
    padded = _pad(np.zeros(x_shape, dy.dtype), windows, 0)
    for i, j, patch in _patches(padded, dy.shape, windows):
        for ki in range(windows.height):
            for kj in range(windows.width):
                patch[:, ki, kj] += dy[:, i, j] * (choice[:, i, j] == ki * windows.width + kj)
    return padded[:, windows.top : windows.top + h, windows.left : windows.left + w]


def _patches(padded: NDArray, y_shape: tuple[int, ...], windows: Windows) -> Iterator[tuple[int, int, NDArray]]:
    for i in range(y_shape[1]):
        for j in range(y_shape[2]):
            top, left = i * windows.stride_h, j * windows.stride_w
            yield i, j, padded[:, top : top + windows.height, left : left + windows.width]


def _pixels_under(i: int, j: int, h: int, w: int, windows: Windows) -> Iterator[tuple[int, bool]]:
    """Each tap of the window at (i, j), and whether it lies on a pixel."""
    for ki in range(windows.height):
        for kj in range(windows.width):
            row, column = i * windows.stride_h + ki - windows.top, j * windows.stride_w + kj - windows.left
            yield ki * windows.width + kj, 0 <= row < h and 0 <= column < w


def _padding_taps(i: int, j: int, h: int, w: int, windows: Windows) -> list[int]:
    return [tap for tap, on_pixel in _pixels_under(i, j, h, w, windows) if not on_pixel]


def _first_pixel(i: int, j: int, h: int, w: int, windows: Windows) -> int:
    return next(tap for tap, on_pixel in _pixels_under(i, j, h, w, windows) if on_pixel)


def _pad(x: NDArray, windows: Windows, value: float) -> NDArray:
    sides = ((0, 0), (windows.top, windows.bottom), (windows.left, windows.right), (0, 0))
    return np.pad(x, sides, constant_values=value)
