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

A tile of 4 x 4 outputs takes 36 multiplications instead of 144, one of 2 x 2 takes 16 instead of 36. The transforms
cost additions, but each is done once for a tile or a filter, and used for all filters or all tiles. The sum over
channels moves inside, so at each of the (m + 2)^2 points there is a matrix product:

    images[p] (tiles, c) @ filters[p] (c, f) -> products[p] (tiles, f)        p = 0 ... (m + 2)^2 - 1

The other two passes have the same shape. The input gradient is a convolution of dy with the filters turned round by
half a turn, c and f exchanged. The weight gradient transposes the formula: with dY = A dy AT, at each point
images[p].T @ dY[p], summed over all tiles; then GT ... G makes 3 x 3 taps of them.

Tiles are worked on in parts that stay in the third-level cache between one step and the next, filters in groups that
each thread transforms for itself. Every number is summed by one thread in a fixed order: the result is the same for any
number of threads.
"""

import numpy as np
from numba import get_thread_id, prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.conv2d.winograd_lines import filter_gradient_transform, output_transform
from minidl.ops.conv2d.winograd_tiles import Tiles, place, transform_filters, transform_tiles
from minidl.ops.memory import empty
from minidl.ops.products import ROWS, multiply_columns, multiply_rows, panel_width, rounded_up
from minidl.ops.simd import at_least, lanes, load, splat, store
from minidl.ops.threads import thread_count
from minidl.ops.windows import Windows

PART = 2**20  # numbers that are transformed before they are used
BLOCK = 11 * ROWS  # tiles whose products a thread keeps in its second-level cache
PANELS = 2  # of filters, likewise
DEPTH = 128  # tiles that are summed up, in the weight gradient, before the next part of the result
PREPARATION = {4: 25, 2: 40, 0: 10}  # of a filter: it takes as long as to multiply it with so many tiles or positions
FEWEST = 8  # channels and filters for which transforming them is worth while


def tile_side(windows: Windows, groups: int, weight_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
    """4 or 2, the side of the tiles with which this takes least time; 0 where the algorithm does not apply or pay."""
    kh, kw, channels, filters = weight_shape
    plain = (windows.stride_h, windows.stride_w, windows.dilation_h, windows.dilation_w, groups) == (1, 1, 1, 1, 1)
    if not plain or (kh, kw) != (3, 3) or max(windows.top, windows.left) > 2 or min(channels, filters) < FEWEST:
        return 0
    n, h, w, _ = y_shape
    multiplications = {m: (m + 2) ** 2 * (n * -(-h // m) * -(-w // m) + PREPARATION[m]) for m in (4, 2)}
    multiplications[0] = 9 * (n * h * w + PREPARATION[0])
    return min(multiplications, key=lambda m: multiplications[m]) if n else 0


def convolve(
    x: NDArray, weight: NDArray, bias: NDArray, y: NDArray, choice: NDArray, tiles: Tiles, turned: bool, relu: bool
) -> None:
    """Fill y: x * weight + bias, at least 0 if `relu`; `turned` filters (3, 3, f, c) compute an input gradient.

    With a `choice` that is not empty, y is half as large: of 2 x 2 outputs it gets the largest, choice its number.
    """
    size, channels, filters, columns = tiles.m + 2, x.shape[3], y.shape[3], PANELS * panel_width(x.dtype)
    step = _row_step(channels, x.dtype)
    part = _part(tiles.total, size**2 * step)
    groups = -(-filters // columns)
    ranges = max(1, min(part // BLOCK, thread_count() * 2 // groups))  # of tiles, where the filters are too few
    images = empty((size**2 * _apart(rounded_up(part, ROWS) * step, x.dtype),), x.dtype)
    panels = empty((thread_count(), size**2 * _apart(channels * columns, x.dtype)), x.dtype)
    products = empty((thread_count(), size**2 * _apart(BLOCK * columns, x.dtype)), x.dtype)
    low = np.array([0 if relu else -np.inf], x.dtype)
    for first in range(0, tiles.total, part):
        last = min(first + part, tiles.total)
        transform_tiles(x, tiles, size, tiles.top, tiles.left, False, first, last, images, step)
        _multiply(images, step, weight, turned, panels, products, bias, low, y, choice, tiles, first, last, ranges)


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, tiles: Tiles) -> None:
    """Fill dweight (3, 3, c, f)."""
    points, (channels, filters) = (tiles.m + 2) ** 2, dweight.shape[2:]
    step, dy_step = _row_step(channels, x.dtype), _row_step(filters, x.dtype)
    part = _part(tiles.total, points * max(step, dy_step))
    sums_step = rounded_up(filters, panel_width(x.dtype))
    height = rounded_up(channels, ROWS)
    if part == tiles.total:
        height = min(height, rounded_up(PART // 2 // (points * sums_step), ROWS))
    images = empty((points * _apart(part * step, x.dtype),), x.dtype)
    outputs = empty((points * _apart(part * dy_step, x.dtype),), x.dtype)
    sums = empty((points * _apart(height * sums_step, x.dtype),), x.dtype)
    for first in range(0, tiles.total, part):
        last = min(first + part, tiles.total)
        transform_tiles(x, tiles, tiles.m + 2, tiles.top, tiles.left, False, first, last, images, step)
        transform_tiles(dy, tiles, tiles.m, 0, 0, True, first, last, outputs, dy_step)
        for c_first in range(0, channels, height):
            c_last = min(c_first + height, channels)
            _multiply_gradients(
                images, step, outputs, dy_step, sums, sums_step, points, last - first, c_first, c_last, first > 0
            )
            if last == tiles.total:
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


@compiled(parallel=True)
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
        transform_filters(weight, turned, channels, f_first, f_last, tiles.m, own_panels)
        for number in range(task // groups * blocks // ranges, (task // groups + 1) * blocks // ranges):
            start, end = number * block, min((number + 1) * block, last - first)
            _multiply_block(
                images, step, own_panels, channels, f_last - f_first, own_products, columns, size**2, start, end
            )
            for tile in range(start, end):
                for f in range(0, f_last - f_first, lane):
                    output_transform(
                        tiles.m, own_products, (tile - start) * columns + f, size * point, point,
                        between, outputs, f, tiles.m * columns, columns,
                    )  # fmt: skip
                _write_outputs(outputs, columns, bias, low, y, choice, tiles, first + tile, f_first, f_last)


@compiled
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


@compiled
def _write_outputs(outputs, columns, bias, low, y, choice, tiles, tile, f_first, f_last):
    """y = outputs + bias, at least `low`, where the tile lies on y; with a choice, the largest of 2 x 2 each."""
    (_, h, w, filters), (n, row, column) = y.shape, place(tiles, tile)
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


@compiled
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


@compiled(parallel=True)
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


@compiled(parallel=True)
def _finish_weight_gradient(sums, sums_step, dweight, m, c_first, c_last):
    """dweight = GT sums G for the channels from c_first to c_last."""
    size, filters, lane, point = m + 2, dweight.shape[3], lanes(sums), sums.size // (m + 2) ** 2
    for c in prange(c_first, c_last):
        taps, between = np.empty(9 * lane, sums.dtype), np.empty(3 * size * lane, sums.dtype)
        for f in range(0, filters, lane):
            filter_gradient_transform(
                m, sums, (c - c_first) * sums_step + f, size * point, point, between, taps, 0, 3 * lane, lane
            )
            width = min(lane, filters - f)
            for tap in range(9):
                dweight[tap // 3, tap % 3, c, f : f + width] = taps[tap * lane : tap * lane + width]
