"""Convolution of images with few channels, such as the red, green and blue of a first layer.

The channels under a row of taps lie side by side, and for the next position one or two pixels further on: patches
overlap in memory, and nothing needs to be gathered. Only zeros must stand around the image, so for each row of outputs
the kh rows of pixels that it sees are copied to a strip of their own, zeros at both ends:

    patch of position j, row of taps ki = strip[ki][j * stride * channels : ... + kw * channels]
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.conv2d.finish import Finish
from minidl.ops.copying import copy
from minidl.ops.products import multiply_columns, rounded_up
from minidl.ops.register_tile import ROWS, add_products, finish_tile, store_tile, tile_width, zero_tile
from minidl.ops.simd import lanes
from minidl.ops.windows import Windows

FEW = 8  # channels; with more of them, patches that lie one behind the other are worth gathering
MOST = 512  # numbers of a patch, so that all of a panel of filters stays in the first-level cache
LINES = 16  # rows of outputs that a thread works on at a time
PARTS = 16  # of the rows of outputs, each with sums of its own for the weight gradient


def applies(windows: Windows, groups: int, weight_shape: tuple[int, ...]) -> bool:
    kh, kw, channels, _ = weight_shape
    return groups == windows.dilation_w == 1 and channels < FEW and kh * kw * channels <= MOST


def convolve(x: NDArray, weight: NDArray, y: NDArray, finish: Finish, windows: Windows) -> None:
    """Fill y: x * weight, finished."""
    filters, width = weight.shape[3], tile_width(x.dtype)
    panels = _to_whole_panels(weight.reshape(-1, filters), width)
    panels = np.ascontiguousarray(panels.reshape(len(panels), -1, width).transpose(1, 0, 2))  # [panel][tap][filter]
    factor, shift = (_to_whole_panels(numbers, width) for numbers in (finish.factor, finish.shift))
    _convolve(x, panels, Finish(factor, shift, finish.low), y, windows)


def _to_whole_panels(array: NDArray, width: int) -> NDArray:
    """Zeros behind the last axis, until panels of this width are full."""
    filters = array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, rounded_up(filters, width) - filters)])


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, windows: Windows) -> None:
    """Fill dweight (kh, kw, c, f)."""
    kh, kw, channels, filters = dweight.shape
    shape = (kh, rounded_up(kw * channels, ROWS), rounded_up(filters, tile_width(dy.dtype)))
    sums = np.zeros((PARTS, *shape), dy.dtype)
    _weight_gradient(dy, x, sums, windows)
    dweight[:] = sums.sum(axis=0)[:, : kw * channels, :filters].reshape(dweight.shape)


@compiled(parallel=True)
def _convolve(x, panels, finish, y, windows):
    for task in prange((y.shape[0] * y.shape[1] + LINES - 1) // LINES):
        _convolve_lines(x, panels, finish, y, windows, task * LINES)


@compiled
def _convolve_lines(x, panels, finish, y, windows, first):
    """LINES rows of outputs, from number `first` of all images on."""
    (count, panel, width), (n, out_h, out_w, filters) = panels.shape, y.shape
    line, step, flat = windows.width * x.shape[3], windows.stride_w * x.shape[3], y.reshape(-1)
    strip, edge = _empty_strip(x, out_w + ROWS, windows), np.empty(ROWS * width, x.dtype)
    piece = strip.shape[1]
    for row in range(first, min(first + LINES, n * out_h)):
        _fill_strip(x, row // out_h, row % out_h, windows, strip)
        for f in range(0, count * width, width):
            for j in range(0, out_w, ROWS):
                target, rows, columns = (row * out_w + j) * filters + f, min(ROWS, out_w - j), min(width, filters - f)
                whole = rows == ROWS and columns == width  # else the tile reaches over the edge of y
                tile, first_sum, y_step = (flat, target, filters) if whole else (edge, 0, width)
                _convolve_tile(
                    strip.reshape(-1), j * step, step, piece, panels.reshape(-1), f * panel, width, line,
                    windows.height, finish, f, tile, first_sum, y_step,
                )  # fmt: skip
                for r in range(0 if whole else rows):
                    copy(edge, r * width, flat, target + r * filters, columns)


@compiled
def _convolve_tile(strip, first, step, piece, panels, k, width, line, lines, finish, f, y, target, y_step):
    """A tile of y: its windows consist of so many lines each, which lie `piece` apart."""
    sums = zero_tile(y)
    for _ in range(lines):
        for tap in range(line):
            sums = add_products(sums, strip, first + tap, step, panels, k)
            k += width
        first += piece
    store_tile(y, target, y_step, finish_tile(sums, finish.factor, finish.shift, f, finish.low))


@compiled(parallel=True)
def _weight_gradient(dy, x, sums, windows):
    for part in prange(PARTS):
        _weight_gradient_of_part(dy, x, sums[part], windows, part)


@compiled
def _weight_gradient_of_part(dy, x, sums, windows, part):
    """sums (ki, kj and channel, filter) += dweight, over a part of the rows of outputs."""
    (kh, line, columns), (n, out_h, out_w, filters), width = sums.shape, dy.shape, 2 * lanes(dy)
    strip, gradients = _empty_strip(x, out_w + ROWS, windows), np.zeros(out_w * columns, dy.dtype)
    for row in range(n * out_h * part // PARTS, n * out_h * (part + 1) // PARTS):
        _fill_strip(x, row // out_h, row % out_h, windows, strip)
        for j in range(out_w):
            copy(dy.reshape(-1), (row * out_w + j) * filters, gradients, j * columns, filters)
        for ki in range(kh):
            for k in range(0, line, ROWS):
                for f in range(0, columns, width):
                    multiply_columns(
                        sums.reshape(-1), (ki * line + k) * columns + f, columns,
                        strip.reshape(-1), ki * strip.shape[1] + k, windows.stride_w * x.shape[3],
                        gradients, f, columns, out_w, True,
                    )  # fmt: skip


@compiled
def _empty_strip(x, positions, windows):
    """Zeros for the rows of pixels that so many positions side by side see."""
    pixels = max((positions - 1) * windows.stride_w + windows.width, windows.left + x.shape[2])
    return np.zeros((windows.height, pixels * x.shape[3]), x.dtype)


@compiled
def _fill_strip(x, n, i, windows, strip):
    """The pixels that row i of the outputs sees; what lies left and right of them stays zero."""
    (_, h, w, channels), flat = x.shape, x.reshape(-1)
    for ki in range(windows.height):
        row, start = i * windows.stride_h + ki * windows.dilation_h - windows.top, ki * strip.shape[1]
        if 0 <= row < h:
            copy(flat, (n * h + row) * w * channels, strip.reshape(-1), start + windows.left * channels, w * channels)
        else:
            strip[ki] = 0
