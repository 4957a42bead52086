"""Winograd's transforms of all tiles of the images and of all filters: where the numbers come from, and go to."""

from typing import NamedTuple

import numpy as np
from numba import prange

from minidl.ops.compiling import compiled
from minidl.ops.conv2d.winograd_lines import filter_transform, image_transform, output_gradient_transform
from minidl.ops.copying import copy, copy_transposed
from minidl.ops.products import rounded_up
from minidl.ops.register_tile import ROWS, tile_width
from minidl.ops.simd import lane_count, lanes, prefetch

CHUNK = 8  # tiles that a thread transforms at a time
CHANNELS = 64  # of a tile that are transformed at a time; they are in one group
PANELS = 2  # of filters that a thread works on at a time
TAPS = 32  # channels of them whose taps are copied at a time; a divisor of the next
DEPTH = 128  # channels that are summed up at a time: so many rows of a panel stay in the first-level cache


class Tiles(NamedTuple):
    """How tiles lie on images: side x side pixels, `step` pixels apart, those of tile (0, 0) from (-top, -left) on.

    Each takes size x size products. The tiles are those of images, or `backwards` those of output gradients.
    """

    size: int
    side: int
    step: int
    down: int
    across: int
    top: int
    left: int
    total: int
    backwards: bool = False

    def on_outputs(self) -> "Tiles":
        """The tiles of step x step outputs that are computed from these tiles of images."""
        return self._replace(side=self.step, top=0, left=0, backwards=True)


def make_tiles(size: int, y_shape: tuple[int, ...], top: int, left: int) -> Tiles:
    """For outputs of this shape, with so many zeros above and left of the images."""
    n, out_h, out_w, _ = y_shape
    if size == 3:
        return Tiles(3, 2, 2, 1, 1, 0, 0, n)  # a whole image, without the zeros
    step = size - 2
    down, across = -(-out_h // step), -(-out_w // step)
    return Tiles(size, size, step, down, across, top, left, n * down * across)


class Layout(NamedTuple):
    """How transformed tiles lie in memory: [group of channels][point][tile][channel of the group].

    Rows have room for whole tiles of products, and are never a power of two apart, nor are points: at multiples of 4096
    bytes, all of them would share one place in the first-level cache, which has room for eight or twelve.
    """

    width: int  # channels of a group
    step: int  # the distance between tiles
    point: int  # between points
    group: int  # between groups
    size: int  # of all groups


def make_layout(tiles: int, channels: int, width: int, points: int, dtype: np.dtype) -> Layout:
    """Room for so many tiles, in groups of up to `width` channels."""
    width = min(width, channels)
    step = rounded_up(width, tile_width(dtype)) + rounded_up(ROWS, lane_count(dtype))
    line, page = 64 // dtype.itemsize, 4096 // dtype.itemsize
    point = rounded_up(rounded_up(tiles, ROWS) * step, page) + line
    return Layout(width, step, point, points * point, -(-channels // width) * points * point)


@compiled(parallel=True)
def transform_tiles(x, tiles, target, layout):
    """BT d B of all tiles and channels of images x."""
    for task in prange((tiles.total + CHUNK - 1) // CHUNK):
        end = min((task + 1) * CHUNK, tiles.total)
        transform_block(x, tiles, task * CHUNK, end, 0, 0, x.shape[3], target, layout)


@compiled
def transform_block(x, tiles, start, end, first, c_from, c_to, target, layout):
    """BT d B of images x, or backwards A dy AT of output gradients x: the tiles from `start` to `end`, some channels.

    target begins with tile `first` and channel `c_from`.
    """
    (_, h, w, channels), size, side, flat, lane = x.shape, tiles.size, tiles.side, x.reshape(-1), lanes(x)
    patch = np.empty(side * side * CHANNELS, x.dtype)
    between = np.empty(size * side * lane, x.dtype)
    for tile in range(start, end):
        n, i, j = place(tiles, tile)
        row, column = i * tiles.step - tiles.top, j * tiles.step - tiles.left
        inside = 0 <= row <= h - side and 0 <= column <= w - side and channels % lane == 0
        for c_first in range(c_from, c_to, CHANNELS):
            count = min(CHANNELS, c_to - c_first)
            if inside:
                source, s_first, s_across = flat, ((n * h + row) * w + column) * channels + c_first, channels
            else:
                _copy_patch(x, n, row, column, side, c_first, count, patch)
                source, s_first, s_across = patch, 0, CHANNELS
            s_down = s_across * (w if inside else side)
            group, place_in_group = (c_first - c_from) // layout.width, (c_first - c_from) % layout.width
            t_first = group * layout.group + (tile - first) * layout.step + place_in_group
            if tiles.backwards:
                output_gradient_transform(
                    size, source, s_first, s_down, s_across, between,
                    target, t_first, size * layout.point, layout.point, count,
                )  # fmt: skip
            else:
                image_transform(
                    size, source, s_first, s_down, s_across, between,
                    target, t_first, size * layout.point, layout.point, count,
                )  # fmt: skip


@compiled
def place(tiles, tile):
    """The image of a tile, and its row and column there."""
    return tile // (tiles.down * tiles.across), tile // tiles.across % tiles.down, tile % tiles.across


@compiled
def _copy_patch(x, n, row, column, side, c_first, count, patch):
    """patch[i][j] = `count` channels from `c_first` of pixel (row + i, column + j), rounded up to vectors, or zeros."""
    (_, h, w, channels), flat, lane = x.shape, x.reshape(-1), lanes(x)
    for i in range(side):
        for j in range(side):
            target, width = (i * side + j) * CHANNELS, 0
            if 0 <= row + i < h and 0 <= column + j < w:
                width = count
                copy(flat, ((n * h + row + i) * w + column + j) * channels + c_first, patch, target, width)
            for k in range(width, (count + lane - 1) // lane * lane):
                patch[target + k] = 0


@compiled(parallel=True)
def transform_filters(weight, turned, channels, filters, size, panels):
    """All filters as panels[panel][group of channels][point][channel of the group][filter of the panel].

    A row is left free after the last channel, so that points are no power of two apart.
    """
    panel, groups = 2 * lanes(weight), (channels + DEPTH - 1) // DEPTH
    columns, parts, point = PANELS * panel, (channels + TAPS - 1) // TAPS, (min(DEPTH, channels) + 1) * panel
    for task in prange((filters + columns - 1) // columns * parts):
        f, c = task // parts * columns, task % parts * TAPS
        start = (f // panel * groups + c // DEPTH) * size**2 * point + c % DEPTH * panel
        transform_panels(
            weight, turned, c, min(c + TAPS, channels), f, min(f + columns, filters),
            size, panels, start, groups * size**2 * point, point,
        )  # fmt: skip


@compiled
def transform_panels(weight, turned, c_first, c_last, f_first, f_last, size, panels, start, step, point):
    """G g GT of some filters for these channels, the first of them at index `start`, panels `step` apart."""
    lane, panel = lanes(weight), 2 * lanes(weight)
    width = (f_last - f_first + panel - 1) // panel * panel
    taps, between = np.zeros(9 * TAPS * width, weight.dtype), np.empty(size * 3 * lane, weight.dtype)
    for c in range(c_first, c_last, TAPS):
        end = min(c + TAPS, c_last)
        _copy_taps(weight, turned, c, end, f_first, f_last, width, taps)
        for i in range(end - c):
            for f in range(0, width, panel):
                filter_transform(
                    size, taps, i * width + f, 3 * TAPS * width, TAPS * width, between,
                    panels, start + f // panel * step + (c - c_first + i) * panel, size * point, point, panel,
                )  # fmt: skip


@compiled
def _copy_taps(weight, turned, c_first, c_last, f_first, f_last, width, taps):
    """taps[ki][kj][channel][filter], from filters as they are, or turned by half a turn, c and f exchanged.

    All of a tap before the next one, and long pieces of rows: the taps are far from each other in memory, at distances
    that often share one place in the cache.
    """
    (_, _, rows, columns), flat = weight.shape, weight.reshape(-1)
    channels, filters = c_last - c_first, f_last - f_first
    for tap in range(9):
        target = tap * TAPS * width
        if turned:
            source = ((8 - tap) * rows + f_first) * columns + c_first
            for f in range(filters):
                prefetch(flat, source + f * columns + TAPS)
            copy_transposed(flat, source, columns, filters, channels, taps, target, width)
        else:
            source = (tap * rows + c_first) * columns + f_first
            for c in range(channels):
                copy(flat, source + c * columns, taps, target + c * width, filters)
