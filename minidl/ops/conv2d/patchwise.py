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
from minidl.ops.memory import empty, zeros
from minidl.ops.products import ROWS, multiply_columns, multiply_rows, panel_width, rounded_up
from minidl.ops.simd import copy, copy_transposed, lanes
from minidl.ops.threads import thread_count
from minidl.ops.windows import Windows

BLOCK = 8 * ROWS  # patches that a thread works on at a time
DEPTH = 512  # numbers of each, or one tap's where those are more
PARTS = 16  # into which the positions are split for a weight gradient at most, each with sums of its own


def convolve(
    x: NDArray, weight: NDArray, bias: NDArray, y: NDArray, windows: Windows, groups: int, backwards: bool, relu: bool
) -> None:
    """Fill y: x * weight + bias, at least 0 if `relu`; `backwards`, x is an output gradient, y the input gradient."""
    kh, kw, channels, filters = weight.shape
    channels, filters = (filters // groups, channels) if backwards else (channels, filters // groups)
    width = panel_width(x.dtype)
    panels = empty((groups, -(-filters // width), kh * kw, channels, width), x.dtype)
    _pack(weight.reshape(kh * kw, *weight.shape[2:]), panels, filters, backwards)
    blocks = -(-(y.size // y.shape[3]) // BLOCK)
    parts = max(1, min(panels.shape[1], 2 * thread_count() // max(1, blocks * groups)))  # where positions are too few
    _convolve(x, panels, bias, y, windows, filters, parts, backwards, relu)


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


@compiled(parallel=True)
def _pack(weight, panels, filters, backwards):
    """panels[group][panel][tap][k][f of the panel] from weight (tap, c, f), or from (tap, f, c) if `backwards`."""
    (groups, count, taps, channels, width), (_, rows, columns) = panels.shape, weight.shape
    flat, target = weight.reshape(-1), panels.reshape(-1)
    for task in prange(groups * count * taps):
        group, panel, tap = task // (count * taps), task // taps % count, task % taps
        first, f_count = task * channels * width, min(width, filters - panel * width)
        if f_count < width:  # what the last panel has too much is read, but never written
            target[first : first + channels * width] = 0
        if backwards:
            source = (tap * rows + panel * width) * columns + group * channels
            copy_transposed(flat, source, columns, f_count, channels, target, first, width)
        else:
            source = tap * rows * columns + group * filters + panel * width
            for k in range(channels):
                copy(flat, source + k * columns, target, first + k * width, f_count)


@compiled(parallel=True)
def _convolve(x, panels, bias, y, windows, filters, parts, backwards, relu):
    (groups, count, tap_count, channels, width), rows = panels.shape, y.size // y.shape[3]
    flat, results, taps = panels.reshape(-1), y.reshape(rows, y.shape[3]), max(1, DEPTH // channels)
    for task in prange((rows + BLOCK - 1) // BLOCK * groups * parts):
        first, group, part = task // (groups * parts) * BLOCK, task // parts % groups, task % parts
        last, step = min(first + BLOCK, rows), taps * channels + 2 * width
        first_panel, last_panel = count * part // parts, count * (part + 1) // parts
        columns = (last_panel - first_panel) * width
        patches, products = np.zeros(BLOCK * step, x.dtype), np.zeros(BLOCK * columns, x.dtype)
        for tap in range(0, tap_count, taps):
            last_tap = min(tap + taps, tap_count)
            if not _gather(x, y.shape, first, last, tap, last_tap, group * channels, channels, windows, backwards,
                           patches, step):  # fmt: skip
                continue
            for panel in range(first_panel, last_panel):
                for row in range(0, last - first, ROWS):
                    multiply_rows(
                        products, row * columns + (panel - first_panel) * width, columns, patches, row * step, step,
                        flat, ((group * count + panel) * tap_count + tap) * channels * width,
                        (last_tap - tap) * channels, True,
                    )  # fmt: skip
        f_first, f_last = group * filters + first_panel * width, group * filters + min(last_panel * width, filters)
        for row in range(first, last):
            source, target = products[(row - first) * columns :], results[row, f_first:f_last]
            for f in range(target.size):
                value = source[f] + bias[f_first + f]
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
    anything, flat, (_, h, w, x_channels) = False, x.reshape(-1), x.shape
    # then what the taps of a row see lies side by side
    in_a_row = not backwards and windows.dilation_w == 1 and channels == x_channels
    for number in range(first, last):
        n, i, j = number // (y_shape[1] * y_shape[2]), number // y_shape[2] % y_shape[1], number % y_shape[2]
        t = tap
        while t < last_tap:
            ki, kj, count = t // windows.width, t % windows.width, 1
            if backwards:
                row = _position(i, ki, windows.top, windows.dilation_h, windows.stride_h)
                column = _position(j, kj, windows.left, windows.dilation_w, windows.stride_w)
            else:
                row = i * windows.stride_h + ki * windows.dilation_h - windows.top
                column = j * windows.stride_w + kj * windows.dilation_w - windows.left
            start = (number - first) * step + (t - tap) * channels
            if 0 <= row < h and 0 <= column < w:
                if in_a_row:
                    count = min(windows.width - kj, w - column, last_tap - t)
                copy(flat, ((n * h + row) * w + column) * x_channels + c_first, patches, start, count * channels)
                anything = True
            else:
                patches[start : start + channels] = 0
            t += count
    return anything


@compiled
def _position(pixel, k, before, dilation, stride):
    """The position whose tap k meets the pixel; -1 where there is none."""
    distance = pixel + before - k * dilation
    return distance // stride if distance % stride == 0 else -1
