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
from minidl.ops.conv2d.patchwise import write_outputs
from minidl.ops.products import ROWS, multiply_columns, multiply_rows, panel_width, rounded_up
from minidl.ops.simd import copy, lanes
from minidl.ops.windows import Windows

FEW = 8  # channels; with more of them, patches that lie one behind the other are worth gathering
MOST = 512  # numbers of a patch, so that all of a panel of filters stays in the first-level cache
LINES = 16  # rows of outputs that a thread works on at a time
PARTS = 16  # of the rows of outputs, each with sums of its own for the weight gradient


def applies(windows: Windows, groups: int, weight_shape: tuple[int, ...]) -> bool:
    kh, kw, channels, _ = weight_shape
    return groups == windows.dilation_w == 1 and channels < FEW and kh * kw * channels <= MOST


def convolve(x: NDArray, weight: NDArray, bias: NDArray, y: NDArray, windows: Windows, relu: bool) -> None:
    """Fill y: x * weight + bias, at least 0 if `relu`."""
    filters, width = weight.shape[3], panel_width(x.dtype)
    panels = np.zeros((weight.size // filters, rounded_up(filters, width)), x.dtype)
    panels[:, :filters] = weight.reshape(-1, filters)
    panels = np.ascontiguousarray(panels.reshape(len(panels), -1, width).transpose(1, 0, 2))  # [panel][tap][filter]
    _convolve(x, panels, bias, np.array([0 if relu else -np.inf], x.dtype), y, windows)


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, windows: Windows) -> None:
    """Fill dweight (kh, kw, c, f)."""
    kh, kw, channels, filters = dweight.shape
    shape = (kh, rounded_up(kw * channels, ROWS), rounded_up(filters, panel_width(dy.dtype)))
    sums = np.zeros((PARTS, *shape), dy.dtype)
    _weight_gradient(dy, x, sums, windows)
    dweight[:] = sums.sum(axis=0)[:, : kw * channels, :filters].reshape(dweight.shape)


@compiled(parallel=True)
def _convolve(x, panels, bias, low, y, windows):
    for task in prange((y.shape[0] * y.shape[1] + LINES - 1) // LINES):
        _convolve_lines(x, panels, bias, low, y, windows, task * LINES)


@compiled
def _convolve_lines(x, panels, bias, low, y, windows, first):
    """LINES rows of outputs, from number `first` of all images on."""
    (count, _, width), (n, out_h, out_w, filters), channels = panels.shape, y.shape, x.shape[3]
    line, step, flat = windows.width * channels, windows.stride_w * channels, panels.reshape(-1)
    height = (out_w + ROWS - 1) // ROWS * ROWS
    strip, products = _empty_strip(x, height, windows), np.empty(count * height * width, x.dtype)
    for row in range(first, min(first + LINES, n * out_h)):
        _fill_strip(x, row // out_h, row % out_h, windows, strip)
        for panel in range(count):
            for j in range(0, out_w, ROWS):
                multiply_rows(
                    products, (panel * height + j) * width, width, strip.reshape(-1), j * step, step,
                    flat, panel * windows.height * line * width, width, line, False,
                    windows.height, strip.shape[1],
                )  # fmt: skip
        write_outputs(products, height, bias, low, y, row * out_w, (row + 1) * out_w, 0, 0, filters)


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
