"""The definition, in NumPy: average the patch under each window."""

import numpy as np
from numpy.typing import NDArray

from minidl.ops.patches import crop, pad, patches
from minidl.ops.windows import Windows, output_shape


def forward(x: NDArray, windows: Windows) -> NDArray:
    n, h, w, c = x.shape
    y = np.empty((n, *output_shape(windows, h, w), c), x.dtype)
    for i, j, patch in patches(pad(x, windows), y.shape, windows):
        y[:, i, j] = patch.mean(axis=(1, 2), dtype=np.float64)
    return y


def gradient(dy: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    padded = pad(np.zeros(x_shape, np.float64), windows)
    for i, j, patch in patches(padded, dy.shape, windows):
        patch += dy[:, i : i + 1, j : j + 1]  # windows may overlap, so add
    return (crop(padded, x_shape, windows) / (windows.height * windows.width)).astype(dy.dtype)
