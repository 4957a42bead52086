"""Convolution of 3 x 3 filters with fewer multiplications (Winograd 1980; Lavin and Gray 2015).

Along one line, two outputs of a filter with three taps need six multiplications:

    y0 = d0 g0 + d1 g1 + d2 g2
    y1 = d1 g0 + d2 g1 + d3 g2

But four will do. With q0 = (d0 - d2) g0, q1 = (d1 + d2) (g0 + g1 + g2) / 2, q2 = (d2 - d1) (g0 - g1 + g2) / 2 and
q3 = (d1 - d3) g2,

    y0 = q0 + q1 + q2          y1 = q1 - q2 - q3

as multiplying out shows. Both sides are products of polynomials, computed by way of their values at the points 0, 1, -1
and infinity; with the points 2 and -2 as well, six multiplications make four outputs. Written with matrices, where
(*) multiplies number by number:

    y = AT [(G g) (*) (BT d)]                   one line of m outputs, m + 2 pixels, 3 taps
    Y = AT [(G g GT) (*) (BT d B)] A            a tile of m x m outputs, (m + 2) x (m + 2) pixels, 3 x 3 taps

A tile of 4 x 4 outputs takes 36 multiplications instead of 144, one of 2 x 2 takes 16 instead of 36. The transforms cost
additions, but each is done once for a tile or a filter, and used for all filters or all tiles. The sum over channels
moves inside, so at each of the (m + 2)^2 points there is a matrix product:

    images[p] (tiles, c) @ filters[p] (c, f) -> products[p] (tiles, f)        p = 0 ... (m + 2)^2 - 1

The other two passes have the same shape. The input gradient is a convolution of dy with the filters turned round by half
a turn, c and f exchanged. The weight gradient transposes the formula: with dY = A dy AT, at each point
images[p].T @ dY[p], summed over all tiles; then GT ... G makes 3 x 3 taps of them.

Tiles are worked on in parts that stay in the third-level cache between one step and the next, filters in groups that
each thread transforms for itself. Every number is summed by one thread in a fixed order: the result is the same for any
number of threads.
"""

from typing import NamedTuple

import numpy as np
from numpy import empty
from numba import get_num_threads, get_thread_id, njit, prange
from numpy.typing import NDArray

from minidl.ops.conv2d.winograd_transforms import (
    filter_gradient_transform,
    filter_transform,
    image_transform,
    output_gradient_transform,
    output_transform,
)
from minidl.ops.products import ROWS, multiply_columns, multiply_rows, panel_width, rounded_up
from minidl.ops.simd import at_least, copy, lanes, load, splat, store

PART = 3 * 2**20  # numbers that are transformed before they are used
BLOCK = 11 * ROWS  # tiles whose products a thread keeps in its second-level cache
PANELS = 2  # of filters, likewise
DEPTH = 128  # tiles that are summed up, in the weight gradient, before the next part of the result
CHUNK = 8  # tiles that a thread transforms at a time
CHANNELS = 64  # of a border tile that are copied at a time


class Tiles(NamedTuple):
    """How tiles of m x m outputs lie on images: tile (0, 0) sees pixels from (-top, -left)."""

    m: int
    down: int
    across: int
    top: int
    left: int
    count: int


def make_tiles(m: int, y_shape: tuple[int, ...], top: int, left: int) -> Tiles:
    n, out_h, out_w, _ = y_shape
    down, across = -(-out_h // m), -(-out_w // m)
    return Tiles(m, down, across, top, left, n * down * across)


def convolve(
    x: NDArray, weight: NDArray, bias: NDArray, y: NDArray, choice: NDArray, tiles: Tiles, turned: bool, relu: bool
) -> None:
    """Fill y: x * weight + bias, at least 0 if `relu`; `turned` filters (3, 3, f, c) compute an input gradient.

    With a `choice` that is not empty, y is half as large: of 2 x 2 outputs it gets the largest, choice its number.
    """
    size, channels, filters, columns = tiles.m + 2, x.shape[3], y.shape[3], PANELS * panel_width(x.dtype)
    step = _row_step(channels, x.dtype)
    part = _part(tiles.count, size**2 * step)
    groups = -(-filters // columns)
    ranges = max(1, min(part // BLOCK, get_num_threads() * 2 // groups))  # of tiles, where the filters are too few
    images = empty(size**2 * _apart(rounded_up(part, ROWS) * step, x.dtype), x.dtype)
    panels = empty((get_num_threads(), size**2 * _apart(channels * columns, x.dtype)), x.dtype)
    products = empty((get_num_threads(), size**2 * _apart(BLOCK * columns, x.dtype)), x.dtype)
    low = np.array([0 if relu else -np.inf], x.dtype)
    for first in range(0, tiles.count, part):
        last = min(first + part, tiles.count)
        _transform_tiles(x, tiles, size, tiles.top, tiles.left, False, first, last, images, step)
        _multiply(images, step, weight, turned, panels, products, bias, low, y, choice, tiles, first, last, ranges)


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, tiles: Tiles) -> None:
    """Fill dweight (3, 3, c, f)."""
    points, (channels, filters) = (tiles.m + 2) ** 2, dweight.shape[2:]
    step, dy_step = _row_step(channels, x.dtype), _row_step(filters, x.dtype)
    part = _part(tiles.count, points * max(step, dy_step))
    sums_step = rounded_up(filters, panel_width(x.dtype))
    height = rounded_up(channels, ROWS)
    if part == tiles.count:
        height = min(height, rounded_up(PART // 2 // (points * sums_step), ROWS))
    images = empty(points * _apart(part * step, x.dtype), x.dtype)
    outputs = empty(points * _apart(part * dy_step, x.dtype), x.dtype)
    sums = empty(points * _apart(height * sums_step, x.dtype), x.dtype)
    for first in range(0, tiles.count, part):
        last = min(first + part, tiles.count)
        _transform_tiles(x, tiles, tiles.m + 2, tiles.top, tiles.left, False, first, last, images, step)
        _transform_tiles(dy, tiles, tiles.m, 0, 0, True, first, last, outputs, dy_step)
        for c_first in range(0, channels, height):
            c_last = min(c_first + height, channels)
            _multiply_gradients(
                images, step, outputs, dy_step, sums, sums_step, points, last - first, c_first, c_last, first > 0
            )
            if last == tiles.count:
                _finish_weight_gradient(sums, sums_step, dweight, tiles.m, c_first, c_last)


def _row_step(channels, dtype):
    """Rows are whole vectors, and never a power of two apart: such rows would share one place in the cache."""
    return rounded_up(channels, panel_width(dtype)) + panel_width(dtype)


def _apart(count, dtype):
    """A distance of at least `count` numbers, at which neighbours lie one line of the first-level cache further on.

    At multiples of 4096 bytes all of them would share one place in it, which has room for eight.
    """
    return rounded_up(count, 4096 // dtype.itemsize) + 64 // dtype.itemsize


def _part(tiles, numbers):
    """How many tiles to transform at a time: parts of equal size, whole blocks."""
    parts = -(-tiles * numbers // PART)
    return min(tiles, rounded_up(-(-tiles // parts), BLOCK))


@njit(parallel=True, cache=True)
def _transform_tiles(x, tiles, side, top, left, backwards, first, last, target, step):
    """The tiles from `first` to `last`, side x side pixels of x, become target[p][tile][channel].

    BT d B of images, or where `backwards` A dy AT of output gradients.
    """
    (_, h, w, channels), size, point = x.shape, tiles.m + 2, target.size // (tiles.m + 2) ** 2
    flat, lane = x.reshape(-1), lanes(x)
    for task in prange((last - first + CHUNK - 1) // CHUNK):
        patch = np.empty(side * side * CHANNELS, x.dtype)
        between = np.empty(size * side * lane, x.dtype)
        for tile in range(first + task * CHUNK, min(first + (task + 1) * CHUNK, last)):
            n, i, j = _place(tiles, tile)
            row, column, t_first = i * tiles.m - top, j * tiles.m - left, (tile - first) * step
            inside = 0 <= row <= h - side and 0 <= column <= w - side and channels % lane == 0
            for c_first in range(0, channels, CHANNELS):
                if inside:
                    source, s_first, s_across = flat, ((n * h + row) * w + column) * channels + c_first, channels
                else:
                    _copy_patch(x, n, row, column, side, c_first, patch)
                    source, s_first, s_across = patch, 0, CHANNELS
                s_down = s_across * (w if inside else side)
                for c in range(0, min(CHANNELS, channels - c_first), lane):
                    if backwards:
                        output_gradient_transform(
                            tiles.m, side, size, source, s_first + c, s_down, s_across, between,
                            target, t_first + c_first + c, size * point, point,
                        )  # fmt: skip
                    else:
                        image_transform(
                            tiles.m, side, size, source, s_first + c, s_down, s_across, between,
                            target, t_first + c_first + c, size * point, point,
                        )  # fmt: skip


@njit
def _place(tiles, tile):
    """The image of a tile, and its row and column there."""
    return tile // (tiles.down * tiles.across), tile // tiles.across % tiles.down, tile % tiles.across


@njit
def _copy_patch(x, n, row, column, side, c_first, patch):
    """patch[i][j] = the CHANNELS channels from `c_first` of pixel (row + i, column + j); zeros outside of x."""
    (_, h, w, channels), flat = x.shape, x.reshape(-1)
    for i in range(side):
        for j in range(side):
            target, width = (i * side + j) * CHANNELS, 0
            if 0 <= row + i < h and 0 <= column + j < w:
                width = min(CHANNELS, channels - c_first)
                copy(flat, ((n * h + row + i) * w + column + j) * channels + c_first, patch, target, width)
            patch[target + width : target + CHANNELS] = 0


@njit(parallel=True, cache=True)
def _multiply(images, step, weight, turned, panels, products, bias, low, y, choice, tiles, first, last, ranges):
    """products[p] = images[p] @ filters[p], and y = AT products A + bias: by ranges of tiles and groups of filters."""
    size, lane, columns, filters = tiles.m + 2, lanes(images), PANELS * 2 * lanes(images), y.shape[3]
    channels, point = weight.shape[3] if turned else weight.shape[2], products.shape[1] // size**2
    groups, blocks = (filters + columns - 1) // columns, (last - first + BLOCK - 1) // BLOCK
    block = ((last - first + blocks - 1) // blocks + ROWS - 1) // ROWS * ROWS
    for task in prange(ranges * groups):
        f_first, f_last = task % groups * columns, min((task % groups + 1) * columns, filters)
        own_panels, own_products = panels[get_thread_id()], products[get_thread_id()]
        outputs, between = np.empty(tiles.m**2 * columns, images.dtype), np.empty(size**2 * lane, images.dtype)
        _transform_filters(weight, turned, channels, f_first, f_last, tiles.m, own_panels)
        for number in range(task // groups * blocks // ranges, (task // groups + 1) * blocks // ranges):
            start, end = number * block, min((number + 1) * block, last - first)
            _multiply_block(
                images, step, own_panels, channels, f_last - f_first, own_products, columns, size**2, start, end
            )
            for tile in range(start, end):
                for f in range(0, f_last - f_first, lane):
                    output_transform(
                        tiles.m, size, tiles.m, own_products, (tile - start) * columns + f, size * point, point,
                        between, outputs, f, tiles.m * columns, columns,
                    )  # fmt: skip
                _write_outputs(outputs, columns, bias, low, y, choice, tiles, first + tile, f_first, f_last)


@njit
def _transform_filters(weight, turned, channels, f_first, f_last, m, panels):
    """G g GT for the filters from `f_first` to `f_last`, in panels: panels[p][panel][channel][filter of the panel]."""
    lane, panel, point = lanes(weight), 2 * lanes(weight), panels.size // (m + 2) ** 2
    taps, between = np.zeros(9 * panel * panel, weight.dtype), np.empty((m + 2) * 3 * lane, weight.dtype)
    for f in range(f_first, f_last, panel):
        for c_first in range(0, channels, panel):
            c_last = min(c_first + panel, channels)
            _copy_taps(weight, turned, c_first, c_last, f, min(f + panel, f_last), panel, taps)
            for c in range(c_first, c_last):
                for half in range(0, panel, lane):
                    filter_transform(
                        m, 3, m + 2, taps, (c - c_first) * panel + half, 3 * panel * panel, panel * panel, between,
                        panels, (f - f_first) * channels + c * panel + half, (m + 2) * point, point,
                    )  # fmt: skip


@njit
def _copy_taps(weight, turned, c_first, c_last, f_first, f_last, panel, taps):
    """taps[ki][kj][channel][filter], from filters as they are, or turned by half a turn, c and f exchanged."""
    (_, _, rows, width), flat = weight.shape, weight.reshape(-1)
    for tap in range(9):
        first = tap * panel * panel
        for f in range(f_last - f_first if turned else 0):
            source = ((8 - tap) * rows + f_first + f) * width + c_first
            for c in range(c_last - c_first):
                taps[first + c * panel + f] = flat[source + c]
        for c in range(0 if turned else c_last - c_first):
            copy(flat, (tap * rows + c_first + c) * width + f_first, taps, first + c * panel, f_last - f_first)


@njit
def _multiply_block(images, step, panels, channels, filters, products, columns, points, start, end):
    """products[p][tile][filter] for the tiles from `start` to `end`."""
    panel, point = 2 * lanes(images), products.size // points
    image_point, panel_point = images.size // points, panels.size // points
    for p in range(points):
        for f in range(0, filters, panel):
            for tile in range(start, end, ROWS):
                multiply_rows(
                    products, p * point + (tile - start) * columns + f, columns,
                    images, p * image_point + tile * step, step,
                    panels, p * panel_point + f * channels, channels, False,
                )  # fmt: skip


@njit
def _write_outputs(outputs, columns, bias, low, y, choice, tiles, tile, f_first, f_last):
    """y = outputs + bias, at least `low`, where the tile lies on y; with a choice, the largest of 2 x 2 each."""
    (_, h, w, filters), (n, row, column) = y.shape, _place(tiles, tile)
    side = tiles.m // 2 if choice.size else tiles.m
    flat, lane, lowest = y.reshape(-1), lanes(y), splat(low, 0)
    for i in range(min(side, h - row * side)):
        for j in range(min(side, w - column * side)):
            target = ((n * h + row * side + i) * w + column * side + j) * filters + f_first
            if choice.size:
                chosen = choice[n, row * side + i, column * side + j, f_first:f_last]
                source = _pool(outputs, (2 * i * tiles.m + 2 * j) * columns, columns, tiles.m * columns, chosen)
            else:
                source = (i * tiles.m + j) * columns
            vectors = (f_last - f_first) // lane * lane
            for f in range(0, vectors, lane):
                store(flat, target + f, at_least(load(outputs, source + f) + load(bias, f_first + f), lowest))
            for f in range(vectors, f_last - f_first):
                value = outputs[source + f] + bias[f_first + f]
                flat[target + f] = low[0] if value < low[0] else value


@njit
def _pool(outputs, first, across, down, chosen):
    """Put the largest of each 2 x 2 outputs in the place of the first, and say which it was. Nan counts as largest."""
    q0, q1 = outputs[first : first + across], outputs[first + across : first + 2 * across]
    q2, q3 = outputs[first + down : first + down + across], outputs[first + down + across : first + down + 2 * across]
    for f in range(chosen.size):
        best, tap = q0[f], np.uint8(0)
        best, tap = (q1[f], np.uint8(1)) if q1[f] > best or q1[f] != q1[f] else (best, tap)
        best, tap = (q2[f], np.uint8(2)) if q2[f] > best or q2[f] != q2[f] else (best, tap)
        best, tap = (q3[f], np.uint8(3)) if q3[f] > best or q3[f] != q3[f] else (best, tap)
        q0[f], chosen[f] = best, tap
    return first


@njit(parallel=True, cache=True)
def _multiply_gradients(images, step, outputs, dy_step, sums, sums_step, points, tiles, c_first, c_last, accumulate):
    """sums[p] (c, f) = images[p].T @ outputs[p] over the tiles, for the channels from c_first to c_last."""
    point, dy_point, sums_point = images.size // points, outputs.size // points, sums.size // points
    for p in prange(points):
        for start in range(0, tiles, DEPTH):
            depth = min(DEPTH, tiles - start)
            for f in range(0, sums_step, 2 * lanes(images)):
                for c in range(c_first, c_last, ROWS):
                    multiply_columns(
                        sums, p * sums_point + (c - c_first) * sums_step + f, sums_step,
                        images, p * point + start * step + c, step,
                        outputs, p * dy_point + start * dy_step + f, dy_step, depth, accumulate or start > 0,
                    )  # fmt: skip


@njit(parallel=True, cache=True)
def _finish_weight_gradient(sums, sums_step, dweight, m, c_first, c_last):
    """dweight = GT sums G for the channels from c_first to c_last."""
    size, filters, lane, point = m + 2, dweight.shape[3], lanes(sums), sums.size // (m + 2) ** 2
    for c in prange(c_first, c_last):
        taps, between = np.empty(9 * lane, sums.dtype), np.empty(3 * size * lane, sums.dtype)
        for f in range(0, filters, lane):
            filter_gradient_transform(
                m, size, 3, sums, (c - c_first) * sums_step + f, size * point, point, between, taps, 0, 3 * lane, lane
            )
            width = min(lane, filters - f)
            for tap in range(9):
                dweight[tap // 3, tap % 3, c, f : f + width] = taps[tap * lane : tap * lane + width]
