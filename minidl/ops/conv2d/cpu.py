"""Numba: convolution by Winograd's algorithm where that takes the fewest multiplications, else by patches.

Images with few channels have a way of their own. Winograd's algorithm spreads what is not finite over its tiles; those
are computed again by patches, which is what exact_convolution() asks for everywhere.
"""

import numpy as np
from numpy.typing import NDArray

from minidl.modes import is_exact_convolution
from minidl.ops.conv2d import direct, patchwise, reference, winograd, winograd_weight_gradient
from minidl.ops.conv2d.finish import Finish, make_finish
from minidl.ops.conv2d.winograd_tiles import Tiles, make_tiles
from minidl.ops.finite import mark_finite
from minidl.ops.max_pool2d import cpu as max_pool2d
from minidl.ops.memory import empty
from minidl.ops.windows import HALVING, Windows, output_shape

MOST_POSITIONS = 2**18  # whose products are added up in their own type, for a weight gradient
NO_CHOICE = np.empty((0, 0, 0, 0), np.uint8)


def forward(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    return _forward(x, weight, make_finish(bias), windows, groups)


def forward_relu(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    return _forward(x, weight, make_finish(bias, relu=True), windows, groups)


def forward_normalise(
    x: NDArray, weight: NDArray, factor: NDArray, shift: NDArray, windows: Windows, groups: int, relu: bool
) -> NDArray:
    return _forward(x, weight, make_finish(shift, relu, factor), windows, groups)


def _forward(x: NDArray, weight: NDArray, finish: Finish, windows: Windows, groups: int) -> NDArray:
    y = empty(_output_shape(x, weight, windows), x.dtype)
    size = _line_size(windows, groups, weight.shape, y.shape)
    if size:
        tiles = make_tiles(size, y.shape, windows.top, windows.left)
        broken = winograd.convolve(x, weight, y, finish, NO_CHOICE, tiles, turned=False)
        if broken.any():
            _replace([(y, _by_patches(x, weight, finish, windows, groups))], broken, tiles.step, tiles)
    elif direct.applies(windows, groups, weight.shape):
        direct.convolve(x, weight, y, finish, windows)
    else:
        return _by_patches(x, weight, finish, windows, groups)
    return y


def _by_patches(x: NDArray, weight: NDArray, finish: Finish, windows: Windows, groups: int) -> NDArray:
    y = empty(_output_shape(x, weight, windows), x.dtype)
    patchwise.convolve(x, weight, y, finish, windows, groups, backwards=False)
    return y


def _line_size(windows: Windows, groups: int, weight_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
    return 0 if is_exact_convolution() else winograd.line_size(windows, groups, weight_shape, y_shape)


def _replace(pairs: list[tuple[NDArray, NDArray]], broken: NDArray, side: int, tiles: Tiles) -> None:
    """In each pair, take the numbers of broken[tile][filter // columns] from the other one; tiles are side x side."""
    y = pairs[0][0]
    n, h, w, filters = y.shape
    blocks = broken.astype(bool).reshape(n, tiles.down, tiles.across, -1)
    for axis, size in enumerate((side, side, winograd.columns_of(y.dtype)), 1):
        blocks = blocks.repeat(size, axis)
    for array, other in pairs:
        np.copyto(array, other, where=blocks[:, :h, :w, :filters])


def forward_relu_max_pool(
    x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int
) -> tuple[NDArray, NDArray]:
    return _forward_max_pool(x, weight, make_finish(bias, relu=True), windows, groups)


def forward_normalise_relu_max_pool(
    x: NDArray, weight: NDArray, factor: NDArray, shift: NDArray, windows: Windows, groups: int
) -> NDArray:
    y, _ = _forward_max_pool(x, weight, make_finish(shift, True, factor), windows, groups)
    return y


def _forward_max_pool(
    x: NDArray, weight: NDArray, finish: Finish, windows: Windows, groups: int
) -> tuple[NDArray, NDArray]:
    shape = _output_shape(x, weight, windows)
    size = _line_size(windows, groups, weight.shape, shape)
    if not size or (finish.factor < 0).any():  # those turn the largest sum into the smallest number
        return max_pool2d.forward(_forward(x, weight, finish, windows, groups), HALVING)
    n, h, w, filters = shape
    y, choice = empty((n, h // 2, w // 2, filters), x.dtype), empty((n, h // 2, w // 2, filters), np.uint8)
    tiles = make_tiles(size, shape, windows.top, windows.left)
    broken = winograd.convolve(x, weight, y, finish, choice, tiles, turned=False)
    if broken.any():
        other_y, other_choice = max_pool2d.forward(_by_patches(x, weight, finish, windows, groups), HALVING)
        _replace([(y, other_y), (choice, other_choice)], broken, tiles.step // 2, tiles)
    return y, choice


def input_gradient(dy: NDArray, weight: NDArray, x_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    size = _line_size(windows, groups, weight.shape, x_shape)
    if not size:
        return _input_gradient_by_patches(dy, weight, x_shape, windows, groups)
    dx, finish = empty(x_shape, dy.dtype), make_finish(np.zeros(x_shape[3], dy.dtype))
    # The filters turned round see dy from as far outside as the filters did not see x
    tiles = make_tiles(size, x_shape, 2 - windows.top, 2 - windows.left)
    broken = winograd.convolve(dy, weight, dx, finish, NO_CHOICE, tiles, turned=True)
    if broken.any():
        other = _input_gradient_by_patches(dy, weight, x_shape, windows, groups)
        _replace([(dx, other)], broken, tiles.step, tiles)
    return dx


def _input_gradient_by_patches(
    dy: NDArray, weight: NDArray, x_shape: tuple[int, ...], windows: Windows, groups: int
) -> NDArray:
    if not np.isfinite(weight).all():  # patches have zeros where a tap meets no position, and 0 * nan is nan
        return reference.input_gradient(dy, weight, x_shape, windows, groups)
    dx = empty(x_shape, dy.dtype)
    patchwise.convolve(dy, weight, dx, make_finish(np.zeros(x_shape[3], dy.dtype)), windows, groups, backwards=True)
    return dx


def weight_gradient(dy: NDArray, x: NDArray, weight_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    images = max(1, MOST_POSITIONS // max(1, dy.shape[1] * dy.shape[2]))
    if len(dy) > images:  # parts of them, added up in float64
        total = np.zeros(weight_shape)
        for first in range(0, len(dy), images):
            part = slice(first, first + images)
            total += weight_gradient(dy[part], x[part], weight_shape, windows, groups)
        return total.astype(dy.dtype)
    dweight = empty(weight_shape, dy.dtype)
    size = _line_size(windows, groups, weight_shape, dy.shape)
    if size:
        tiles = make_tiles(size, dy.shape, windows.top, windows.left)
        broken = winograd_weight_gradient.weight_gradient(dy, x, dweight, tiles)
        if broken.any():
            other = empty(weight_shape, dy.dtype)
            patchwise.weight_gradient(dy, x, other, windows, groups)
            np.copyto(dweight, other, where=broken)
        else:
            mark_finite(dweight)
    elif direct.applies(windows, groups, weight_shape):
        direct.weight_gradient(dy, x, dweight, windows)
    else:
        patchwise.weight_gradient(dy, x, dweight, windows, groups)
    return dweight


def _output_shape(x: NDArray, weight: NDArray, windows: Windows) -> tuple[int, int, int, int]:
    n, h, w, _ = x.shape
    return n, *output_shape(windows, h, w), weight.shape[3]
