"""The definition, in NumPy: average the patch under each window."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from minidl.ops.windows import Windows, output_shape


def forward(x: NDArray, windows: Windows) -> NDArray:
    n, h, w, c = x.shape
    y = np.empty((n, *output_shape(windows, h, w), c), x.dtype)
    for i, j, patch in _patches(_pad(x, windows), y.shape, windows):
        y[:, i, j] = patch.mean(axis=(1, 2))
    return y


def gradient(dy: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    padded = _pad(np.zeros(x_shape, dy.dtype), windows)
    for i, j, patch in _patches(padded, dy.shape, windows):
        patch += dy[:, i : i + 1, j : j + 1] / (windows.height * windows.width)  # windows may overlap, so add
    _, h, w, _ = x_shape
    return padded[:, windows.top : windows.top + h, windows.left : windows.left + w]


def _patches(padded: NDArray, y_shape: tuple[int, ...], windows: Windows) -> Iterator[tuple[int, int, NDArray]]:
    for i in range(y_shape[1]):
        for j in range(y_shape[2]):
            top, left = i * windows.stride_h, j * windows.stride_w
            yield i, j, padded[:, top : top + windows.height, left : left + windows.width]


def _pad(x: NDArray, windows: Windows) -> NDArray:
    return np.pad(x, ((0, 0), (windows.top, windows.bottom), (windows.left, windows.right), (0, 0)))
