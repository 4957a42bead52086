"""The weight gradient of Winograd's convolution: dweight = GT (images[p].T @ outputs[p]) G, as winograd.py derives it.

A thread works on a block of channels and of filters at a time, whose sums stay in its second-level cache. As on the way
forward, what calls this file computes the blocks with numbers that are not finite again, in another way.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.conv2d.winograd_lines import filter_gradient_transform
from minidl.ops.conv2d.winograd_tiles import Tiles, make_layout, transform_block, transform_tiles
from minidl.ops.copying import copy
from minidl.ops.memory import empty
from minidl.ops.products import multiply_columns
from minidl.ops.simd import has_nan, lanes, load, prefetch, zeros
from minidl.ops.tasks import take_task
from minidl.ops.threads import thread_count

HEIGHT, WIDTH = 64, 128  # channels and filters whose weight gradients a thread sums up at a time, in that cache, too
TILES = 64  # that it multiplies for that at a time
AHEAD = 4 * TILES  # if there are no more, and many channels and filters, they are transformed before, once for all
RANGES = 8  # of tiles that threads share, where a weight gradient has few channels and filters


def weight_gradient(dy: NDArray, x: NDArray, dweight: NDArray, tiles: Tiles) -> NDArray:
    """Fill dweight (3, 3, c, f). Returns which of its numbers are in a block that is not finite: booleans (c, f)."""
    points, (channels, filters) = tiles.size**2, dweight.shape[2:]
    height, width = min(HEIGHT, channels), min(WIDTH, filters)
    blocks = -(-channels // height) * -(-filters // width)
    ranges = max(1, min(RANGES // blocks, tiles.total // TILES))
    workers, ahead = min(thread_count(), ranges * blocks), ranges == 1 and tiles.total <= AHEAD
    dy_tiles, rows = tiles.on_outputs(), tiles.total if ahead else TILES
    layout = make_layout(rows, channels if ahead else height, height, points, x.dtype)
    dy_layout = make_layout(rows, filters if ahead else width, width, points, x.dtype)
    sums_layout = make_layout(height, width, width, points, x.dtype)
    images, outputs = (empty((1 if ahead else workers, one.size), x.dtype) for one in (layout, dy_layout))
    sums = empty((workers, sums_layout.size), x.dtype)
    if ahead:
        transform_tiles(x, tiles, images[0], layout)
        transform_tiles(dy, dy_tiles, outputs[0], dy_layout)
    results = empty((ranges, *dweight.shape), x.dtype) if ranges > 1 else dweight[np.newaxis]
    broken, counter = np.zeros((blocks, ranges), np.uint8), np.zeros(1, np.int64)
    _weight_gradient(
        x, tiles, dy, dy_tiles, images, outputs, sums, layout, dy_layout, sums_layout, ahead, results, broken, counter
    )
    if ranges > 1:
        results.sum(axis=0, dtype=np.float64, out=dweight)
        if not np.isfinite(dweight).all():  # finite numbers whose sum is too large, too
            broken[:] = True
    return _blocks(broken.max(axis=1) > 0, height, width, channels, filters)


def _blocks(broken: NDArray, height: int, width: int, channels: int, filters: int) -> NDArray:
    """For each channel and filter, what is said of its block; blocks of channels come one after the other."""
    by_block = broken.reshape(-1, -(-channels // height)).T
    return by_block.repeat(height, axis=0).repeat(width, axis=1)[:channels, :filters]


@compiled(parallel=True)
def _weight_gradient(
    x, tiles, dy, dy_tiles, images, outputs, sums, layout, dy_layout, sums_layout, ahead, results, broken, counter
):
    """results[range] (3, 3, c, f) = GT (images[p].T @ outputs[p]) G over the tiles of each range.

    A task is a block of channels and of filters. Where the tiles were not transformed ahead, a few at a time are, and
    multiplied at once, so that they stay in the caches of one thread.
    """
    ranges, _, _, channels, filters = results.shape
    heights, widths = (channels + layout.width - 1) // layout.width, (filters + dy_layout.width - 1) // dy_layout.width
    for worker in prange(len(sums)):
        own_images = images[0] if ahead else images[worker]
        own_outputs = outputs[0] if ahead else outputs[worker]
        task = take_task(counter)
        while task < ranges * heights * widths:
            number, block = task % ranges, task // ranges
            finite = _weight_gradient_task(
                x, tiles, dy, dy_tiles, tiles.total * number // ranges, tiles.total * (number + 1) // ranges,
                block % heights, block // heights, own_images, own_outputs, sums[worker],
                layout, dy_layout, sums_layout, ahead, results[number],
            )  # fmt: skip
            broken[block, number] = not finite
            task = take_task(counter)


@compiled
def _weight_gradient_task(
    x, tiles, dy, dy_tiles, first, last, c_group, f_group,
    images, outputs, sums, layout, dy_layout, sums_layout, ahead, dweight,
):  # fmt: skip
    """dweight of a block of channels and filters over these tiles. Returns whether all its numbers are finite."""
    c, f = c_group * layout.width, f_group * dy_layout.width
    c_last, f_last = min(c + layout.width, dweight.shape[2]), min(f + dy_layout.width, dweight.shape[3])
    for start in range(first, max(last, first + 1), TILES):  # no tiles have a sum, too: zero
        end = min(start + TILES, last)
        image, output = 0, 0
        if ahead:
            image = c_group * layout.group + start * layout.step
            output = f_group * dy_layout.group + start * dy_layout.step
        else:
            transform_block(x, tiles, start, end, start, c, c_last, images, layout)
            transform_block(dy, dy_tiles, start, end, start, f, f_last, outputs, dy_layout)
        for p in range(tiles.size**2):
            _add_tiles(
                images, image + p * layout.point, layout.step, c_last - c,
                outputs, output + p * dy_layout.point, dy_layout.step, f_last - f,
                end - start, sums, p * sums_layout.point, sums_layout.step, start > first,
            )  # fmt: skip
    finite = True
    for row in range(c_last - c):
        finite &= _finish_weight_gradient(sums, sums_layout, row, dweight, tiles.size, c + row, f, f_last - f)
    return finite


@compiled
def _add_tiles(images, image, step, channels, outputs, output, dy_step, filters, tiles, sums, first, sums_step, more):
    """sums[c][f] = the sum over all tiles of images[tile][c] * outputs[tile][f], or this added."""
    for f in range(0, filters, 2 * lanes(images)):
        multiply_columns(
            sums, first + f, sums_step, images, image, step, channels, outputs, output + f, dy_step, tiles, more
        )


@compiled
def _finish_weight_gradient(sums, layout, row, dweight, size, c, f_first, f_count):
    """dweight[:, :, c] = GT sums G for these filters. Returns whether that is finite."""
    lane, flat, (_, _, channels, filters) = lanes(sums), dweight.reshape(-1), dweight.shape
    taps, between, signs = np.empty(9 * lane, sums.dtype), np.empty(3 * size * lane, sums.dtype), zeros(sums)
    for f in range(0, f_count, lane):
        for tap in range(9):  # what the next row writes
            prefetch(flat, (tap * channels + c + 1) * filters + f_first + f)
        filter_gradient_transform(
            size, sums, row * layout.step + f, size * layout.point, layout.point, between, taps, 0, 3 * lane, lane, lane
        )
        for tap in range(9):
            copy(taps, tap * lane, flat, (tap * channels + c) * filters + f_first + f, min(lane, f_count - f))
            signs = signs + 0.0 * load(taps, tap * lane)
    return not has_nan(signs)
