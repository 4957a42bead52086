"""Numba: convolution by Winograd's algorithm where that takes the fewest multiplications, else by patches.

Images with few channels have a way of their own.
"""

import numpy as np
from numpy.typing import NDArray

from minidl.ops.conv2d import direct, patchwise, winograd
from minidl.ops.conv2d.winograd_tiles import make_tiles
from minidl.ops.max_pool2d import cpu as max_pool2d
from minidl.ops.memory import empty
from minidl.ops.windows import HALVING, Windows, output_shape

NO_CHOICE = np.empty((0, 0, 0, 0), np.uint8)


def forward(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    return _forward(x, weight, bias, windows, groups, relu=False)


def forward_relu(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    return _forward(x, weight, bias, windows, groups, relu=True)


def _forward(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int, relu: bool) -> NDArray:
    y = empty(_output_shape(x, weight, windows), x.dtype)
    size = winograd.line_size(windows, groups, weight.shape, y.shape)
    if size:
        tiles = make_tiles(size, y.shape, windows.top, windows.left)
        winograd.convolve(x, weight, bias, y, NO_CHOICE, tiles, turned=False, relu=relu)
    elif direct.applies(windows, groups, weight.shape):
        direct.convolve(x, weight, bias, y, windows, relu)
    else:
        patchwise.convolve(x, weight, bias, y, windows, groups, backwards=False, relu=relu)
    return y


def forward_relu_max_pool(
    x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int
) -> tuple[NDArray, NDArray]:
    shape = _output_shape(x, weight, windows)
    size = winograd.line_size(windows, groups, weight.shape, shape)
    if not size:
        return max_pool2d.forward(forward_relu(x, weight, bias, windows, groups), HALVING)
    n, h, w, filters = shape
    y, choice = empty((n, h // 2, w // 2, filters), x.dtype), empty((n, h // 2, w // 2, filters), np.uint8)
    tiles = make_tiles(size, shape, windows.top, windows.left)
    winograd.convolve(x, weight, bias, y, choice, tiles, turned=False, relu=True)
    return y, choice


def input_gradient(dy: NDArray, weight: NDArray, x_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    dx = empty(x_shape, dy.dtype)
    bias = np.zeros(x_shape[3], dy.dtype)
    size = winograd.line_size(windows, groups, weight.shape, x_shape)
    if size:  # the filters turned round see dy from as far outside as the filters did not see x
        tiles = make_tiles(size, x_shape, 2 - windows.top, 2 - windows.left)
        winograd.convolve(dy, weight, bias, dx, NO_CHOICE, tiles, turned=True, relu=False)
    else:
        patchwise.convolve(dy, weight, bias, dx, windows, groups, backwards=True, relu=False)
    return dx


def weight_gradient(dy: NDArray, x: NDArray, weight_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    dweight = empty(weight_shape, dy.dtype)
    size = winograd.line_size(windows, groups, weight_shape, dy.shape)
    if size:
        winograd.weight_gradient(dy, x, dweight, make_tiles(size, dy.shape, windows.top, windows.left))
    elif direct.applies(windows, groups, weight_shape):
        direct.weight_gradient(dy, x, dweight, windows)
    else:
        patchwise.weight_gradient(dy, x, dweight, windows, groups)
    return dweight


def _output_shape(x: NDArray, weight: NDArray, windows: Windows) -> tuple[int, int, int, int]:
    n, h, w, _ = x.shape
    return n, *output_shape(windows, h, w), weight.shape[3]
