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

A tile of 4 x 4 outputs takes 36 multiplications instead of 144, one of 2 x 2 takes 16 instead of 36. Nine are enough
where images have only 2 x 2 pixels and zeros around them, since zeros need not be multiplied: with q0 = (d0 + d1) g1,
q1 = d1 (g2 - g1) and q2 = d0 (g0 - g1), the two outputs of a line are q0 + q1 and q0 + q2.

The transforms cost additions, but each is done once for a tile or a filter, and used for all filters or all tiles. The
sum over channels moves inside, so at each of the points p, 36 or 16 or 9, there is a matrix product:

    images[p] (tiles, c) @ filters[p] (c, f) -> products[p] (tiles, f)

The other two passes have the same shape. The input gradient is a convolution of dy with the filters turned round by
half a turn, c and f exchanged. The weight gradient transposes the formula: with dY = A dy AT, at each point
images[p].T @ dY[p], summed over all tiles; then GT ... G makes 3 x 3 taps of them (winograd_weight_gradient.py).

A pixel that is nan or infinite, or too large to be multiplied by 5, is in all numbers of a transformed tile, and comes
out in outputs that do not see it. So every tile of outputs is looked at, and what calls this file computes those with
such numbers again, in another way.

A thread works on a block of tiles at a time, and on a few panels of filters: what it transforms, multiplies and
transforms back stays in its second-level cache. Every number is summed by one thread in a fixed order: the result is
the same for any number of threads.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.conv2d.finish import Finish, write_finished
from minidl.ops.conv2d.winograd_lines import output_transform
from minidl.ops.conv2d.winograd_tiles import (
    DEPTH,
    PANELS,
    Tiles,
    make_layout,
    place,
    transform_block,
    transform_filters,
    transform_panels,
    transform_tiles,
)
from minidl.ops.memory import empty
from minidl.ops.products import multiply_rows, rounded_up
from minidl.ops.register_tile import ROWS, tile_width
from minidl.ops.simd import has_nan, lanes, load, zeros
from minidl.ops.tasks import take_task
from minidl.ops.threads import thread_count
from minidl.ops.windows import Windows

BLOCK = 48 // ROWS  # times ROWS tiles that a thread works on at a time
PREPARATION = {6: 17, 4: 32, 3: 48, 0: 10}  # of a filter, as long as to multiply it with so many tiles or positions
FEWEST = 8  # channels and filters for which transforming them is worth while


def line_size(windows: Windows, groups: int, weight_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
    """How many products in a line take least time: 6, 4 or 3; 0 where the algorithm does not apply or pay."""
    kh, kw, channels, filters = weight_shape
    plain = (windows.stride_h, windows.stride_w, windows.dilation_h, windows.dilation_w, groups) == (1, 1, 1, 1, 1)
    if not plain or (kh, kw) != (3, 3) or max(windows.top, windows.left) > 2 or min(channels, filters) < FEWEST:
        return 0
    n, h, w, _ = y_shape
    tiles = {size: n * -(-h // (size - 2)) * -(-w // (size - 2)) for size in (6, 4)} | {0: n * h * w}
    if (h, w) == (2, 2) and (windows.top, windows.bottom, windows.left, windows.right) == (1, 1, 1, 1):
        tiles[3] = n
    multiplications = {
        size: (size or 3) ** 2 * (rounded_up(count, ROWS) + PREPARATION[size]) for size, count in tiles.items()
    }
    return min(multiplications, key=lambda size: multiplications[size]) if n else 0


class Work(NamedTuple):
    """How a convolution is split into tasks.

    With many tiles, all filters are transformed first, and each task computes all outputs of a block of tiles, whose
    images it transforms itself. With few tiles it is the other way round: the images are transformed first, and each
    task computes a few panels of filters of all tiles, transforming the filters itself, a group of channels at a time.
    """

    many: bool
    block: int  # the most tiles of a task
    tasks: int


def convolve(
    x: NDArray, weight: NDArray, y: NDArray, finish: Finish, choice: NDArray, tiles: Tiles, turned: bool
) -> NDArray:
    """Fill y: x * weight, finished; `turned` filters (3, 3, f, c) compute an input gradient.

    With a `choice` that is not empty, y is half as large: of 2 x 2 outputs it gets the largest, choice its number.
    Returns where the sums have numbers that are not finite: broken[tile][filter // columns(y)], 1 or 0.
    """
    points, channels, filters, workers = tiles.size**2, x.shape[3], y.shape[3], thread_count()
    columns = columns_of(x.dtype)
    work = _split(tiles.total, -(-filters // columns), workers)
    layout = make_layout(work.block, channels, DEPTH, points, x.dtype)
    images = empty((workers if work.many else 1, layout.size), x.dtype)
    panels_of_group = points * (layout.width + 1) * columns
    if work.many:
        panels = empty((1, -(-filters // columns) * -(-channels // DEPTH) * panels_of_group), x.dtype)
        transform_filters(weight, turned, channels, filters, tiles.size, panels[0])
    else:
        panels = empty((workers, panels_of_group), x.dtype)
        transform_tiles(x, tiles, images[0], layout)
    products = empty((workers, make_layout(work.block, columns, columns, points, x.dtype).size), x.dtype)
    counter, broken = np.zeros(1, np.int64), np.zeros((tiles.total, -(-filters // columns)), np.uint8)
    _convolve(x, images, layout, weight, turned, panels, products, finish, y, choice, tiles, work, broken, counter)
    return broken


def columns_of(dtype: np.dtype) -> int:
    """Filters that a thread works on at a time."""
    return PANELS * tile_width(dtype)


def _split(tiles: int, groups: int, workers: int) -> Work:
    """`groups` is the number of tasks with few tiles."""
    rows = -(-tiles // ROWS)
    if rows <= 2 * BLOCK and groups >= 2 * workers:
        return Work(False, tiles, groups)
    tasks = min(rows, rounded_up(max(-(-rows // BLOCK), 2 * workers), workers))  # as many for each worker
    return Work(True, -(-rows // tasks) * ROWS, tasks)


@compiled(parallel=True)
def _convolve(x, images, layout, weight, turned, panels, products, finish, y, choice, tiles, work, broken, counter):
    """y = AT (images[p] @ filters[p]) A, finished."""
    for worker in prange(len(products)):
        own_images = images[worker] if work.many else images[0]
        own_panels = panels[0] if work.many else panels[worker]
        own_products = products[worker]
        task = take_task(counter)
        while task < work.tasks:
            _convolve_task(
                x, own_images, layout, weight, turned, own_panels, own_products, finish, y, choice, tiles, work, broken,
                task,
            )  # fmt: skip
            task = take_task(counter)


@compiled
def _convolve_task(x, images, layout, weight, turned, panels, products, finish, y, choice, tiles, work, broken, task):
    points, panel, channels, filters = tiles.size**2, 2 * lanes(x), x.shape[3], y.shape[3]
    columns, panel_size = PANELS * panel, points * (layout.width + 1) * panel
    groups = (channels + DEPTH - 1) // DEPTH
    if work.many:
        rows = (tiles.total + ROWS - 1) // ROWS
        first, last = rows * task // work.tasks * ROWS, min(rows * (task + 1) // work.tasks * ROWS, tiles.total)
        f_first, f_last = 0, filters
        transform_block(x, tiles, first, last, first, 0, channels, images, layout)
    else:
        first, last, f_first, f_last = 0, tiles.total, task * columns, min((task + 1) * columns, filters)
    for f in range(f_first, f_last, columns):
        end = min(f + columns, f_last)
        for group in range(groups):
            c, depth = group * DEPTH, min(DEPTH, channels - group * DEPTH)
            start, step = (f // panel * groups + group) * panel_size, groups * panel_size
            if not work.many:
                start, step = 0, panel_size
                transform_panels(
                    weight, turned, c, c + depth, f, end, tiles.size,
                    panels, start, step, (layout.width + 1) * panel,
                )  # fmt: skip
            _multiply(images, layout, group, last - first, depth, panels, start, step, end - f, products, points)
        _transform_back(products, finish, y, choice, tiles, first, last, f, end, broken)


@compiled
def _multiply(images, layout, group, tiles, depth, panels, start, step, filters, products, points):
    """products[p][tile][filter] = images[p][tile] @ panels[p] over the channels of the first group, then this added.

    Panels are used one after the other; meanwhile the next one is fetched into the first-level cache.
    """
    panel, columns, point = 2 * lanes(images), PANELS * 2 * lanes(images), products.size // points
    point_step = (layout.width + 1) * panel
    for p in range(points):
        image = group * layout.group + p * layout.point
        for f in range(0, filters, panel):
            here, following = start + p * point_step + f // panel * step, start + (p + 1) * point_step
            if f + panel < filters:
                following = here + step
            multiply_rows(
                products, p * point + f, columns, images, image, layout.step, tiles,
                panels, here, depth, group > 0, following, depth,
            )  # fmt: skip


@compiled
def _transform_back(products, finish, y, choice, tiles, first, last, f_first, f_last, broken):
    """y = AT products A, finished, for these tiles and filters."""
    size, lane, columns = tiles.size, lanes(y), PANELS * 2 * lanes(y)
    outputs, between = np.zeros(tiles.step**2 * columns, y.dtype), np.empty(size**2 * lane, y.dtype)
    point = products.size // size**2
    for tile in range(first, last):
        output_transform(
            size, products, (tile - first) * columns, size * point, point,
            between, outputs, 0, tiles.step * columns, columns, f_last - f_first,
        )  # fmt: skip
        if not _are_finite(outputs, lane):
            broken[tile, f_first // columns] = 1
        _write_outputs(outputs, columns, finish, y, choice, tiles, tile, f_first, f_last)


@compiled
def _are_finite(numbers, lane):
    """Whether all numbers, a multiple of four vectors, are finite: then 0 times their sums is 0, and else nan."""
    a, b, c, d = zeros(numbers), zeros(numbers), zeros(numbers), zeros(numbers)
    for first in range(0, numbers.size, 4 * lane):
        a, b = a + load(numbers, first), b + load(numbers, first + lane)
        c, d = c + load(numbers, first + 2 * lane), d + load(numbers, first + 3 * lane)
    return not has_nan(0.0 * (a + b) + 0.0 * (c + d))


@compiled
def _write_outputs(outputs, columns, finish, y, choice, tiles, tile, f_first, f_last):
    """y = what the outputs become, where the tile lies on y; with a choice, the largest of 2 x 2 each."""
    (_, h, w, filters), (n, row, column), flat = y.shape, place(tiles, tile), y.reshape(-1)
    apart = 2 if choice.size else 1  # the outputs that are written
    side = tiles.step // apart
    count = min(side, w - column * side)
    for i in range(min(side, h - row * side)):
        source = i * apart * tiles.step * columns
        target = ((n * h + row * side + i) * w + column * side) * filters + f_first
        if choice.size:
            for j in range(count):
                chosen = choice[n, row * side + i, column * side + j, f_first:f_last]
                _pool(outputs, source + 2 * j * columns, columns, tiles.step * columns, chosen)
        write_finished(
            outputs, source, apart * columns, finish, f_first, flat, target, filters, count, f_last - f_first
        )


@compiled
def _pool(outputs, first, across, down, chosen):
    """Put the largest of each 2 x 2 outputs in the place of the first, and say which it was."""
    q0, q1 = outputs[first : first + across], outputs[first + across : first + 2 * across]
    q2, q3 = outputs[first + down : first + down + across], outputs[first + down + across : first + down + 2 * across]
    for f in range(chosen.size):
        best, tap = q0[f], np.uint8(0)
        best, tap = (q1[f], np.uint8(1)) if q1[f] > best else (best, tap)
        best, tap = (q2[f], np.uint8(2)) if q2[f] > best else (best, tap)
        best, tap = (q3[f], np.uint8(3)) if q3[f] > best else (best, tap)
        q0[f], chosen[f] = best, tap
