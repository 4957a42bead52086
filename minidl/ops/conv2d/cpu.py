"""Numba: convolution by Winograd's algorithm where that takes the fewest multiplications, else by patches."""

import numpy as np
from numpy.typing import NDArray

from minidl.ops.conv2d import patchwise, winograd
from minidl.ops.windows import Windows, output_shape

FEWEST = 8  # channels and filters for which transforming them is worth while
NO_CHOICE = np.empty((0, 0, 0, 0), np.uint8)


def forward(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    n, h, w, channels = x.shape
    y = np.empty((n, *output_shape(windows, h, w), weight.shape[3]), x.dtype)
    m = tile_side(windows, groups, channels, weight.shape[3], y.shape)
    if m:
        tiles = winograd.make_tiles(m, y.shape, windows.top, windows.left)
        winograd.convolve(x, weight, bias, y, NO_CHOICE, tiles, False, False)
    else:
        patchwise.convolve(x, weight, bias, y, windows, groups, False)
    return y


def input_gradient(dy: NDArray, weight: NDArray, x_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    dx = np.empty(x_shape, dy.dtype)
    bias = np.zeros(x_shape[3], dy.dtype)
    m = tile_side(windows, groups, x_shape[3], weight.shape[3], x_shape)
    if m:  # the filters turned round see dy from as far outside as the filters did not see x
        tiles = winograd.make_tiles(m, x_shape, 2 - windows.top, 2 - windows.left)
        winograd.convolve(dy, weight, bias, dx, NO_CHOICE, tiles, True, False)
    else:
        patchwise.convolve(dy, weight, bias, dx, windows, groups, True)
    return dx


def weight_gradient(dy: NDArray, x: NDArray, weight_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    dweight = np.empty(weight_shape, dy.dtype)
    m = tile_side(windows, groups, x.shape[3], weight_shape[3], dy.shape)
    if m:
        winograd.weight_gradient(dy, x, dweight, winograd.make_tiles(m, dy.shape, windows.top, windows.left))
    else:
        patchwise.weight_gradient(dy, x, dweight, windows, groups)
    return dweight


def tile_side(windows: Windows, groups: int, channels: int, filters: int, y_shape: tuple[int, ...]) -> int:
    """4 or 2, the side of Winograd's tiles that takes fewer multiplications; 0 where it does not apply or pay."""
    plain = (windows.stride_h, windows.stride_w, windows.dilation_h, windows.dilation_w, groups) == (1, 1, 1, 1, 1)
    if not plain or windows[:2] != (3, 3) or max(windows.top, windows.left) > 2 or min(channels, filters) < FEWEST:
        return 0
    n, h, w, _ = y_shape
    if n == 0:
        return 0
    products = {m: (m + 2) ** 2 * -(-h // m) * -(-w // m) for m in (2, 4)}
    products[0] = 9 * h * w
    return min(products, key=lambda m: products[m])
