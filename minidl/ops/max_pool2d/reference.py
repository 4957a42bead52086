"""The definition, in NumPy: look at the pixels under each window, and remember which tap was the largest."""

import numpy as np
from numpy.typing import NDArray

from minidl.ops.windows import Windows, choice_dtype, output_shape


def forward(x: NDArray, windows: Windows) -> tuple[NDArray, NDArray]:
    """(y, choice): choice is the number ki * width + kj of the tap that won."""
    n, h, w, c = x.shape
    choice = np.empty((n, *output_shape(windows, h, w), c), choice_dtype(windows))
    for i in range(choice.shape[1]):
        for j in range(choice.shape[2]):
            top, left = i * windows.stride_h - windows.top, j * windows.stride_w - windows.left
            first_row, first_column = max(0, top), max(0, left)  # padding is left out, so it cannot win
            pixels = x[:, first_row : top + windows.height, first_column : left + windows.width]
            _, rows, columns, _ = pixels.shape
            winner = pixels.reshape(n, rows * columns, c).argmax(axis=1)  # the first of equal ones; nan is largest
            row, column = winner // columns + first_row, winner % columns + first_column
            choice[:, i, j] = (row - top) * windows.width + column - left
    return gather(x, choice, windows), choice


def gather(x: NDArray, choice: NDArray, windows: Windows) -> NDArray:
    return x[_chosen(choice, windows)]


def scatter(dy: NDArray, choice: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    dx = np.zeros(x_shape, np.float64)
    np.add.at(dx, _chosen(choice, windows), dy)  # windows may overlap, so add
    return dx.astype(dy.dtype)


def _chosen(choice: NDArray, windows: Windows) -> tuple[NDArray, ...]:
    """The index (image, row, column, channel) of the pixel that each number of `choice` names."""
    image, i, j, channel = np.ogrid[tuple(slice(size) for size in choice.shape)]
    tap = choice.astype(np.intp)
    row = i * windows.stride_h + tap // windows.width - windows.top
    column = j * windows.stride_w + tap % windows.width - windows.left
    return image, row, column, channel
