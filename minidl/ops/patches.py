"""How the reference kernels see images: padded with zeros, and patch by patch under each window."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from minidl.ops.windows import Windows


def pad(x: NDArray, windows: Windows) -> NDArray:
    """x (n, h, w, c) with the zeros around it that the windows ask for."""
    return np.pad(x, ((0, 0), (windows.top, windows.bottom), (windows.left, windows.right), (0, 0)))


def crop(padded: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    """The images without what pad() put around them."""
    _, h, w, _ = x_shape
    return padded[:, windows.top : windows.top + h, windows.left : windows.left + w]


def patches(padded: NDArray, y_shape: tuple[int, ...], windows: Windows) -> Iterator[tuple[int, int, NDArray]]:
    """Each output position (i, j) with the part (n, kh, kw, c) of the padded images under its window: a view."""
    for i in range(y_shape[1]):
        for j in range(y_shape[2]):
            top, left = i * windows.stride_h, j * windows.stride_w
            rows = slice(top, top + windows.dilation_h * (windows.height - 1) + 1, windows.dilation_h)
            columns = slice(left, left + windows.dilation_w * (windows.width - 1) + 1, windows.dilation_w)
            yield i, j, padded[:, rows, columns]
