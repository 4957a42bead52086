"""Winograd's transforms of all tiles of the images and of all filters: where the numbers come from, and go to."""

from typing import NamedTuple

import numpy as np
from numba import prange

from minidl.ops.compiling import compiled
from minidl.ops.conv2d.winograd_lines import filter_transform, image_transform, output_gradient_transform
from minidl.ops.simd import copy, copy_transposed, lanes, prefetch

CHUNK = 8  # tiles that a thread transforms at a time
CHANNELS = 64  # of a border tile that are copied at a time


class Tiles(NamedTuple):
    """How tiles of m x m outputs lie on images: tile (0, 0) sees pixels from (-top, -left)."""

    m: int
    down: int
    across: int
    top: int
    left: int
    total: int


def make_tiles(m: int, y_shape: tuple[int, ...], top: int, left: int) -> Tiles:
    n, out_h, out_w, _ = y_shape
    down, across = -(-out_h // m), -(-out_w // m)
    return Tiles(m, down, across, top, left, n * down * across)


@compiled(parallel=True)
def transform_tiles(x, tiles, side, top, left, backwards, first, last, target, step):
    """The tiles from `first` to `last`, side x side pixels of x, become target[p][tile][channel].

    BT d B of images, or where `backwards` A dy AT of output gradients.
    """
    (_, h, w, channels), size, point = x.shape, tiles.m + 2, target.size // (tiles.m + 2) ** 2
    flat, lane = x.reshape(-1), lanes(x)
    for task in prange((last - first + CHUNK - 1) // CHUNK):
        patch = np.empty(side * side * CHANNELS, x.dtype)
        between = np.empty(size * side * lane, x.dtype)
        for tile in range(first + task * CHUNK, min(first + (task + 1) * CHUNK, last)):
            n, i, j = place(tiles, tile)
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
                            tiles.m, source, s_first + c, s_down, s_across, between,
                            target, t_first + c_first + c, size * point, point,
                        )  # fmt: skip
                    else:
                        image_transform(
                            tiles.m, source, s_first + c, s_down, s_across, between,
                            target, t_first + c_first + c, size * point, point,
                        )  # fmt: skip


@compiled
def place(tiles, tile):
    """The image of a tile, and its row and column there."""
    return tile // (tiles.down * tiles.across), tile // tiles.across % tiles.down, tile % tiles.across


@compiled
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


@compiled
def transform_filters(weight, turned, channels, f_first, f_last, m, panels):
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
                        m, taps, (c - c_first) * panel + half, 3 * panel * panel, panel * panel, between,
                        panels, (f - f_first) * channels + c * panel + half, (m + 2) * point, point,
                    )  # fmt: skip


@compiled
def _copy_taps(weight, turned, c_first, c_last, f_first, f_last, panel, taps):
    """taps[ki][kj][channel][filter], from filters as they are, or turned by half a turn, c and f exchanged.

    What the next channels need is far away in memory: it is asked for now.
    """
    (_, _, rows, width), flat = weight.shape, weight.reshape(-1)
    channels, filters = c_last - c_first, f_last - f_first
    for tap in range(9):
        target = tap * panel * panel
        if turned:
            source = ((8 - tap) * rows + f_first) * width + c_first
            for f in range(filters):
                prefetch(flat, source + f * width + panel)
            copy_transposed(flat, source, width, filters, channels, taps, target, panel)
        else:
            source = (tap * rows + c_first) * width + f_first
            for c in range(channels):
                prefetch(flat, source + (c + panel) * width)
                copy(flat, source + c * width, taps, target + c * panel, filters)
