"""Convolution of images with few channels, such as the red, green and blue of a first layer.

Of the rows of pixels that a row of outputs sees, all that one column has is copied side by side, with zeros around the
image. In such a strip the patch of every position lies in one piece, and the next one begins one or two columns later;
they overlap in memory, and nothing else needs to be gathered:

    strip[column][ki][channel]
    patch of position j = strip[j * stride * kh * channels : ... + kw * kh * channels], in the order kj, ki, channel
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.conv2d.finish import Finish
from minidl.ops.copying import copy
from minidl.ops.products import multiply_columns, rounded_up
from minidl.ops.register_tile import ROWS, add_products, finish_tile, store_tile, tile_width, zero_tile
from minidl.ops.simd import lanes, load_part, store_part, zeros
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
    taps = _to_whole_panels(weight.transpose(1, 0, 2, 3).reshape(-1, filters), width)
    panels = np.ascontiguousarray(taps.reshape(len(taps), -1, width).transpose(1, 0, 2))  # [panel][tap][filter]
    factor, shift = (_to_whole_panels(numbers, width) for numbers in (finish.factor, finish.shift))
    _convolve(x, panels, Finish(factor, shift, finish.low), y, windows)


def _to_whole_panels(array: NDArray, width: int) -> NDArray:
    """Zeros behind the last axis, until panels of this width are full."""
    whole = np.zeros((*array.shape[:-1], rounded_up(array.shape[-1], width)), array.dtype)
    whole[..., : array.shape[-1]] = array
    return whole


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, windows: Windows) -> None:
    """Fill dweight (kh, kw, c, f)."""
    kh, kw, channels, filters = dweight.shape
    taps = kw * kh * channels
    sums = np.zeros((PARTS, rounded_up(taps, ROWS), rounded_up(filters, tile_width(dy.dtype))), dy.dtype)
    _weight_gradient(dy, x, sums, windows)
    total = sums.sum(axis=0, dtype=np.float64)[:taps, :filters]
    dweight[:] = total.reshape(kw, kh, channels, filters).transpose(1, 0, 2, 3)


@compiled(parallel=True)
def _convolve(x, panels, finish, y, windows):
    for task in prange((y.shape[0] * y.shape[1] + LINES - 1) // LINES):
        _convolve_lines(x, panels, finish, y, windows, task * LINES)


@compiled
def _convolve_lines(x, panels, finish, y, windows, first):
    """LINES rows of outputs, from number `first` of all images on."""
    (count, taps, width), (n, out_h, out_w, filters) = panels.shape, y.shape
    flat, flat_panels, edge = y.reshape(-1), panels.reshape(-1), np.empty(ROWS * width, x.dtype)
    whole, whole_filters = out_w // ROWS * ROWS, filters // width * width  # other tiles reach over the edge of y
    strip, step = _empty_strip(x, out_w, windows)
    for row in range(first, min(first + LINES, n * out_h)):
        _fill_strip(x, row // out_h, row % out_h, windows, strip)
        target = row * out_w * filters
        _convolve_tiles(strip, 0, step, whole, flat_panels, taps, finish, 0, whole_filters, flat, target, filters)
        for f in range(0, count * width, width):
            for j in range(whole if f < whole_filters else 0, out_w, ROWS):
                _convolve_tiles(strip, j * step, step, ROWS, flat_panels, taps, finish, f, f + width, edge, 0, width)
                for r in range(min(ROWS, out_w - j)):
                    copy(edge, r * width, flat, target + (j + r) * filters + f, min(width, filters - f))


@compiled
def _convolve_tiles(strip, first, step, positions, panels, taps, finish, f_first, f_last, y, y_first, y_step):
    """So many positions side by side, whole tiles of them, and some panels of filters, which begin at y_first in y."""
    width = 2 * lanes(y)
    for f in range(f_first, f_last, width):
        source, target = first, y_first + f - f_first
        for _ in range(0, positions, ROWS):
            sums = zero_tile(y)
            for tap in range(taps):
                sums = add_products(sums, strip, source + tap, step, panels, f * taps + tap * width)
            store_tile(y, target, y_step, finish_tile(sums, finish.factor, finish.shift, f, finish.low))
            source, target = source + ROWS * step, target + ROWS * y_step


@compiled(parallel=True)
def _weight_gradient(dy, x, sums, windows):
    for part in prange(PARTS):
        _weight_gradient_of_part(dy, x, sums[part], windows, part)


@compiled
def _weight_gradient_of_part(dy, x, sums, windows, part):
    """sums (tap, filter) += dweight, over a part of the rows of outputs."""
    (taps, columns), (n, out_h, out_w, filters), width = sums.shape, dy.shape, 2 * lanes(dy)
    (strip, step), flat, flat_sums = _empty_strip(x, out_w, windows), dy.reshape(-1), sums.reshape(-1)
    padded = np.zeros(out_w * columns, dy.dtype)
    for row in range(n * out_h * part // PARTS, n * out_h * (part + 1) // PARTS):
        _fill_strip(x, row // out_h, row % out_h, windows, strip)
        gradients, first = flat, row * out_w * filters
        if columns != filters:  # the last panel is not full
            gradients, first = padded, 0
            for j in range(out_w):
                copy(flat, (row * out_w + j) * filters, padded, j * columns, filters)
        for f in range(0, columns, width):
            multiply_columns(flat_sums, f, columns, strip, 0, step, taps, gradients, first + f, columns, out_w, True)


@compiled
def _empty_strip(x, positions, windows):
    """(strip, step): zeros for what so many positions side by side see, and the distance between their patches.

    There is room for the positions and taps that whole tiles have too many.
    """
    column = windows.height * x.shape[3]
    pixels = max((positions + ROWS) * windows.stride_w + windows.width, windows.left + x.shape[2])
    return np.zeros(pixels * column + ROWS, x.dtype), windows.stride_w * column


@compiled
def _fill_strip(x, n, i, windows, strip):
    """The pixels that row i of the outputs sees; what lies left and right of them stays zero."""
    (_, h, w, channels), flat, lane = x.shape, x.reshape(-1), lanes(x)
    for ki in range(windows.height):
        row = i * windows.stride_h + ki * windows.dilation_h - windows.top
        source, target = (n * h + row) * w * channels, (windows.left * windows.height + ki) * channels
        for _ in range(w):
            for c in range(0, channels, lane):
                count = channels - c
                pixel = load_part(flat, source + c, count, 0.0) if 0 <= row < h else zeros(x)
                store_part(strip, target + c, pixel, count)
            source, target = source + channels, target + windows.height * channels
