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
from minidl.ops.conv2d.finish import Finish, write_finished
from minidl.ops.copying import copy, copy_transposed
from minidl.ops.memory import empty
from minidl.ops.products import add_in_place, multiply_columns, multiply_rows, rounded_up
from minidl.ops.register_tile import ROWS, tile_width
from minidl.ops.simd import lanes, load, store
from minidl.ops.threads import thread_count
from minidl.ops.windows import Windows

BLOCK = 96 // ROWS * ROWS  # patches that a thread works on at a time
GATHERED = 512  # numbers of each, or one tap's where those are more
DEPTH = 128  # of those that are multiplied with a panel: so many rows of it stay in the first-level cache
PANELS = 4  # of filters, whose weight gradients a thread sums up at a time
PARTS = 16  # into which the positions are split for a weight gradient at most, each with sums of its own


def convolve(
    x: NDArray, weight: NDArray, y: NDArray, finish: Finish, windows: Windows, groups: int, backwards: bool
) -> None:
    """Fill y: x * weight, finished; `backwards`, x is an output gradient, y the input gradient."""
    channels, filters = weight.shape[2:]
    channels, filters = (filters // groups, channels) if backwards else (channels, filters // groups)
    rows, panels = y.size // y.shape[3], -(-filters // tile_width(x.dtype))
    blocks = -(-rows // BLOCK)
    block = rounded_up(-(-rows // max(1, blocks)), ROWS)
    parts = 1 if blocks * groups >= 4 * thread_count() else min(panels, thread_count())
    _convolve(x, weight, finish, y, windows, channels, filters, groups, blocks, block, parts, backwards)


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, windows: Windows, groups: int) -> None:
    """Fill dweight (kh, kw, c / groups, f)."""
    if not dy.size:
        dweight.fill(0)
        return
    kh, kw, channels, filters = dweight.shape
    taps, panels = max(1, min(kh * kw, GATHERED // channels)), -(-(filters // groups) // tile_width(dy.dtype))
    tasks = groups * -(-kh * kw // taps) * -(-panels // PANELS)
    parts = max(1, min(PARTS // tasks, dy.size // filters // BLOCK))  # fixed: not the number of threads
    sums = empty((parts, *dweight.shape), dy.dtype) if parts > 1 else dweight[np.newaxis]
    _weight_gradient(dy, x, sums.reshape(parts, -1, filters), windows, channels, filters // groups, groups, taps)
    if parts > 1:
        sums.sum(axis=0, dtype=np.float64, out=dweight)


@compiled(parallel=True)
def _convolve(x, weight, finish, y, windows, channels, filters, groups, blocks, block, parts, backwards):
    """Tasks are blocks of positions and, where these are too few for all threads, parts of the panels of filters."""
    rows, width = y.size // y.shape[3], 2 * lanes(x)
    panels, tap_count = (filters + width - 1) // width, windows.height * windows.width
    taps = max(1, min(tap_count, GATHERED // channels))
    for task in prange(blocks * groups * parts):
        first, group, part = task // (groups * parts) * block, task // parts % groups, task % parts
        last, height = min(first + block, rows), (block + ROWS - 1) // ROWS * ROWS
        f_first, f_last = panels * part // parts * width, min(panels * (part + 1) // parts * width, filters)
        step = taps * channels + width
        across = (f_last - f_first + width - 1) // width * width + width  # never a power of two
        patches, products = np.zeros(height * step, x.dtype), np.zeros(height * across, x.dtype)
        for tap in range(0, tap_count, taps):
            last_tap = min(tap + taps, tap_count)
            anything = _gather(x, y.shape, first, last, tap, last_tap, group * channels, channels, windows, backwards,
                               patches, step)  # fmt: skip
            of_tap = weight.size // tap_count
            if not anything and (backwards or _are_finite(weight.reshape(-1), tap * of_tap, last_tap * of_tap)):
                continue
            if backwards:
                _add_turned(
                    products, across, patches, step, last - first, weight, tap * channels, last_tap * channels,
                    channels, group, f_first, f_last,
                )  # fmt: skip
            else:
                weights = tap * channels * weight.shape[3] + group * filters + f_first
                add_in_place(
                    products, 0, across, patches, 0, step, last - first,
                    weight.reshape(-1), weights, weight.shape[3], (last_tap - tap) * channels, f_last - f_first,
                )  # fmt: skip
        number = group * filters + f_first
        write_finished(
            products, 0, across, finish, number,
            y.reshape(-1), first * y.shape[3] + number, y.shape[3], last - first, f_last - f_first,
        )  # fmt: skip


@compiled
def _add_turned(products, across, patches, step, rows, weight, k_first, k_last, channels, group, f_first, f_last):
    """products[row] += patches[row] @ weights (k, f), from k_first to k_last, a panel at a time."""
    width = 2 * lanes(patches)
    panel = np.zeros(DEPTH * width, patches.dtype)
    for k in range(k_first, k_last, DEPTH):
        depth = min(DEPTH, k_last - k)
        for f in range(f_first, f_last, width):
            _copy_panel(weight, k, depth, channels, group, f, min(width, f_last - f), panel)
            multiply_rows(products, f - f_first, across, patches, k - k_first, step, rows, panel, 0, depth, True, 0, 0)


@compiled
def _copy_panel(weight, k_first, depth, channels, group, f, f_count, panel):
    """panel[k][f] from weight (tap, f, c), where k counts taps and channels."""
    flat, (rows, columns), width, k = weight.reshape(-1), weight.shape[2:], 2 * lanes(weight), k_first
    while k < k_first + depth:
        tap, c = k // channels, k % channels
        count = min(channels - c, k_first + depth - k)
        source = (tap * rows + f) * columns + group * channels + c
        copy_transposed(flat, source, columns, f_count, count, panel, (k - k_first) * width, width)
        k += count


@compiled(parallel=True)
def _weight_gradient(dy, x, results, windows, channels, filters, groups, taps):
    """results[part] (tap and channel, filter) = the sum over a part of the positions of outer(patch, dy)."""
    (parts, k_count, columns), rows, width = results.shape, dy.size // dy.shape[3], 2 * lanes(x)
    sums, ranges = results.reshape(-1), (filters + PANELS * width - 1) // (PANELS * width)
    blocks, flat = (k_count + taps * channels - 1) // (taps * channels), dy.reshape(-1)
    for task in prange(parts * groups * blocks * ranges):
        part, group = task // (groups * blocks * ranges), task // (blocks * ranges) % groups
        tap, f_first = task // ranges % blocks * taps, task % ranges * PANELS * width
        last_tap, f_last = min(tap + taps, k_count // channels), min(f_first + PANELS * width, filters)
        step, k_first, k_last = taps * channels + width, tap * channels, last_tap * channels
        row_first, row_last = rows * part // parts, rows * (part + 1) // parts
        most, edge = min(BLOCK, row_last - row_first), np.zeros(ROWS * width, x.dtype)
        patches, gradients = np.zeros(most * step, x.dtype), np.zeros(PANELS * most * width, x.dtype)
        for first in range(row_first, row_last, BLOCK):
            last, more = min(first + BLOCK, row_last), first > row_first
            anything = _gather(x, dy.shape, first, last, tap, last_tap, group * channels, channels, windows, False,
                               patches, step)  # fmt: skip
            if more and not anything and _are_finite(flat, first * columns, last * columns):
                continue
            for f in range(f_first, f_last, width):
                for row in range(first, last):
                    source, target = row * columns + group * filters + f, (f - f_first) * most + (row - first) * width
                    copy(flat, source, gradients, target, min(width, f_last - f))
            whole = (k_last - k_first) // ROWS * ROWS
            for f in range(f_first, f_last, width):
                gradient, target = (f - f_first) * most, (part * k_count + k_first) * columns + group * filters + f
                inside = whole if f + width <= f_last else 0  # the other tiles reach over the edge of the sums
                multiply_columns(sums, target, columns, patches, 0, step, inside,
                                 gradients, gradient, width, last - first, more)  # fmt: skip
                for k in range(inside, k_last - k_first, ROWS):
                    multiply_columns(edge, 0, width, patches, k, step, ROWS,
                                     gradients, gradient, width, last - first, False)  # fmt: skip
                    for i in range(k, min(k + ROWS, k_last - k_first)):
                        for j in range(min(width, f_last - f)):
                            number = edge[(i - k) * width + j]
                            sums[target + i * columns + j] = number + sums[target + i * columns + j] if more else number


@compiled(fastmath={"reassoc"})
def _are_finite(numbers, first, last):
    """Whether numbers[first:last] are finite: if not, 0 times them is nan, and must not be left out."""
    total = 0.0
    for i in range(first, last):
        total += 0 * numbers[i]
    return total == 0


@compiled
def _gather(x, y_shape, first, last, tap, last_tap, c_first, channels, windows, backwards, patches, step):
    """patches[row] = what row `first` + row of y sees of x through some taps. Returns whether that is anything."""
    anything, flat, (_, h, w, x_channels), lane = False, x.reshape(-1), x.shape, lanes(x)
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
                source = ((n * h + row) * w + column) * x_channels + c_first
                if source + count * channels + lane <= flat.size:
                    # whole vectors: what they bring too much, the next tap overwrites, or it lies between two rows
                    for k in range(0, count * channels, lane):
                        store(patches, start + k, load(flat, source + k))
                else:
                    copy(flat, source, patches, start, count * channels)
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
