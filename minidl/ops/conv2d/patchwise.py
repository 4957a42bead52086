"""Convolution as matrix products of patches: any filter size, stride, padding, dilation and number of groups.

Number the output positions p = (n, i, j) and the pixels q = (n, row, column) in memory order. Each tap t = (ki, kj) of
the window pairs an output position with the pixel under it. A patch is what a position sees: the pixels' channels, tap
by tap, zeros outside of the image. The other way round, it is the output gradients of all positions that see a pixel.

    y[p]    = patch(x, p)   @ weight                    dweight = sum over p of outer(patch(x, p), dy[p])
    dx[q]   = patch(dy, q)  @ weight, f and c exchanged

Patches are gathered for a few dozen positions and a few hundred numbers at a time, which stay in the thread's caches:
there is never a matrix of all patches, which would be kh * kw times as large as the images.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.memory import zeros
from minidl.ops.products import ROWS, multiply_columns, multiply_rows, panel_width, rounded_up
from minidl.ops.simd import copy, lanes
from minidl.ops.windows import Windows

BLOCK = 8 * ROWS  # patches that a thread works on at a time
DEPTH = 512  # numbers of each, or one tap's where those are more
PARTS = 16  # into which the positions are split for a weight gradient at most, each with sums of its own


def convolve(
    x: NDArray, weight: NDArray, bias: NDArray, y: NDArray, windows: Windows, groups: int, backwards: bool, relu: bool
) -> None:
    """Fill y: x * weight + bias, at least 0 if `relu`; `backwards`, x is an output gradient, y the input gradient."""
    kh, kw, channels, filters = weight.shape
    split = weight.reshape(kh * kw, channels, groups, filters // groups)
    # (group, tap, what is summed over, what comes out)
    split = split.transpose(2, 0, 3, 1) if backwards else split.transpose(2, 0, 1, 3)
    _convolve(x, _panels(split), bias, y, windows, groups, split.shape[2], split.shape[3], backwards, relu)


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, windows: Windows, groups: int) -> None:
    """Fill dweight (kh, kw, c / groups, f)."""
    kh, kw, channels, filters = dweight.shape
    taps = max(1, DEPTH // channels)
    blocks = -(-kh * kw // taps)
    positions = dy.size // filters
    parts = max(1, min(PARTS // (blocks * groups), positions // BLOCK))  # fixed: not the number of threads
    width = rounded_up(filters // groups, panel_width(dy.dtype))
    sums = zeros((parts, groups, blocks, rounded_up(taps * channels, ROWS), width), dy.dtype)
    _weight_gradient(dy, x, sums, windows, channels, filters // groups, taps)
    total = sums.sum(axis=0)[:, :, : taps * channels, : filters // groups].reshape(groups, -1, filters // groups)
    dweight[:] = total[:, : kh * kw * channels].transpose(1, 0, 2).reshape(dweight.shape)


def _panels(split: NDArray) -> NDArray:
    """(group, tap, k, f) -> (group, panel, tap, k, f of the panel), zeros where the last panel has none."""
    groups, taps, inner, filters = split.shape
    width = panel_width(split.dtype)
    panels = zeros((groups, rounded_up(filters, width) // width, taps, inner, width), split.dtype)
    for panel in range(panels.shape[1]):
        part = split[..., panel * width : (panel + 1) * width]
        panels[:, panel, :, :, : part.shape[-1]] = part
    return panels


@compiled(parallel=True)
def _convolve(x, panels, bias, y, windows, groups, channels, filters, backwards, relu):
    rows, width, count = y.size // y.shape[3], 2 * lanes(x), panels.shape[1]
    tap_count, taps = panels.shape[2], max(1, DEPTH // channels)
    flat, results = panels.reshape(-1), y.reshape(rows, y.shape[3])
    for task in prange((rows + BLOCK - 1) // BLOCK * groups):
        first, group = task // groups * BLOCK, task % groups
        last, step = min(first + BLOCK, rows), taps * channels + 2 * width
        patches, products = np.zeros(BLOCK * step, x.dtype), np.zeros(BLOCK * count * width, x.dtype)
        for tap in range(0, tap_count, taps):
            some = min(taps, tap_count - tap)
            if not _gather(x, y.shape, first, last, tap, tap + some, group * channels, channels, windows, backwards,
                           patches, step):  # fmt: skip
                continue
            for panel in range(count):
                for row in range(0, last - first, ROWS):
                    multiply_rows(
                        products, row * count * width + panel * width, count * width, patches, row * step, step,
                        flat, (((group * count + panel) * tap_count) + tap) * channels * width, some * channels, True,
                    )  # fmt: skip
        for row in range(first, last):
            source = products[(row - first) * count * width : (row - first + 1) * count * width]
            target = results[row, group * filters : (group + 1) * filters]
            for f in range(filters):
                value = source[f] + bias[group * filters + f]
                target[f] = 0 if relu and value < 0 else value


@compiled(parallel=True)
def _weight_gradient(dy, x, sums, windows, channels, filters, taps):
    parts, groups, blocks, height, width = sums.shape
    rows, results, flat = dy.size // dy.shape[3], dy.reshape(-1, dy.shape[3]), sums.reshape(-1)
    tap_count, step, dy_step = windows.height * windows.width, height + 2 * width, width + 2 * lanes(dy)
    for task in prange(parts * groups * blocks):
        part, group, block = task // (groups * blocks), task // blocks % groups, task % blocks
        tap, last_tap = block * taps, min((block + 1) * taps, tap_count)
        patches, gradients = np.zeros(BLOCK * step, x.dtype), np.zeros(BLOCK * dy_step, x.dtype)
        for first in range(rows * part // parts, rows * (part + 1) // parts, BLOCK):
            last = min(first + BLOCK, rows * (part + 1) // parts)
            if not _gather(x, dy.shape, first, last, tap, last_tap, group * channels, channels, windows, False,
                           patches, step):  # fmt: skip
                continue
            for row in range(first, last):
                target = gradients[(row - first) * dy_step : (row - first) * dy_step + filters]
                target[:] = results[row, group * filters : (group + 1) * filters]
            for k in range(0, (last_tap - tap) * channels, ROWS):
                for f in range(0, width, 2 * lanes(dy)):
                    multiply_columns(
                        flat, (task * height + k) * width + f, width, patches, k, step, gradients, f, dy_step,
                        last - first, True,
                    )  # fmt: skip


@compiled
def _gather(x, y_shape, first, last, tap, last_tap, c_first, channels, windows, backwards, patches, step):
    """patches[row] = what row `first` + row of y sees of x through some taps. Returns whether that is anything."""
    anything, flat = False, x.reshape(-1)
    for number in range(first, last):
        n, i, j = number // (y_shape[1] * y_shape[2]), number // y_shape[2] % y_shape[1], number % y_shape[2]
        for t in range(tap, last_tap):
            ki, kj = t // windows.width, t % windows.width
            if backwards:
                row, column = _position(i, ki, windows.top, windows.dilation_h, windows.stride_h), _position(
                    j, kj, windows.left, windows.dilation_w, windows.stride_w)  # fmt: skip
            else:
                row = i * windows.stride_h + ki * windows.dilation_h - windows.top
                column = j * windows.stride_w + kj * windows.dilation_w - windows.left
            start = (number - first) * step + (t - tap) * channels
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                pixel = (n * x.shape[1] + row) * x.shape[2] + column
                copy(flat, pixel * x.shape[3] + c_first, patches, start, channels)
                anything = True
            else:
                patches[start : start + channels] = 0
    return anything


@compiled
def _position(pixel, k, before, dilation, stride):
    """The position whose tap k meets the pixel; -1 where there is none."""
    distance = pixel + before - k * dilation
    return distance // stride if distance % stride == 0 else -1
