"""Numba: convolution as a list of pairs.

Number the output positions p = (n, i, j) and the pixels q = (n, row, column) in memory order. Each tap t = (ki, kj) of
the window pairs an output position with the pixel under it, padding left out, and all three passes add up pairs:

    y[p] += x[q] @ weight[t]        dx[q] += dy[p] @ weight[t].T        dweight[t] += outer(x[q], dy[p])

So convolution is a few thin matrix products on the arrays as they lie in memory: no patch is ever copied. Threads share
the work by tiles of y, of dx, and of dweight, so no two write the same number.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from minidl.ops.simd import CONTRACT, add_outer_products, add_row_products
from minidl.ops.windows import Windows, output_shape

TILE = 64  # rows of y or dx that a thread works on at a time: they stay in its second-level cache
CHANNELS = 32  # channels of dweight that a thread works on at a time


def forward(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    n, h, w, _ = x.shape
    y = np.empty((n, *output_shape(windows, h, w), weight.shape[3]), x.dtype)
    y[:] = bias
    _forward(x, _split_groups(weight, groups), y, windows)
    return y


def input_gradient(dy: NDArray, weight: NDArray, x_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    dx = np.zeros(x_shape, dy.dtype)
    transposed = np.ascontiguousarray(_split_groups(weight, groups).transpose(0, 1, 2, 4, 3))
    _input_gradient(dy, transposed, dx, windows)
    return dx


def weight_gradient(dy: NDArray, x: NDArray, weight_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    kh, kw, channels, filters = weight_shape
    dweight = np.zeros((groups, kh, kw, channels, filters // groups), dy.dtype)
    _weight_gradient(dy, x, dweight, windows)
    return dweight.transpose(1, 2, 3, 0, 4).reshape(weight_shape)


def _split_groups(weight: NDArray, groups: int) -> NDArray:
    """(kh, kw, c, f) -> (group, kh, kw, c, f of the group), contiguous."""
    kh, kw, channels, filters = weight.shape
    return np.ascontiguousarray(weight.reshape(kh, kw, channels, groups, filters // groups).transpose(3, 0, 1, 2, 4))


@njit(parallel=True, fastmath=CONTRACT, cache=True)
def _forward(x, weight, y, windows):
    groups, kh, kw, channels, filters = weight.shape
    positions, pixels = y.reshape(-1, y.shape[3]), x.reshape(-1, x.shape[3])
    for tile in prange((len(positions) + TILE - 1) // TILE):
        start, end = tile * TILE, min((tile + 1) * TILE, len(positions))
        for ki in range(kh):
            for kj in range(kw):
                p, q = _pairs_of_positions(start, end, ki, kj, y.shape, x.shape, windows)
                for g in range(groups):
                    add_row_products(positions, p, g * filters, pixels, q, g * channels, weight[g, ki, kj], 0, filters)


@njit(parallel=True, fastmath=CONTRACT, cache=True)
def _input_gradient(dy, transposed, dx, windows):
    groups, kh, kw, filters, channels = transposed.shape
    positions, pixels = dy.reshape(-1, dy.shape[3]), dx.reshape(-1, dx.shape[3])
    for tile in prange((len(pixels) + TILE - 1) // TILE):
        start, end = tile * TILE, min((tile + 1) * TILE, len(pixels))
        for ki in range(kh):
            for kj in range(kw):
                p, q = _pairs_of_pixels(start, end, ki, kj, dy.shape, dx.shape, windows)
                for g in range(groups):
                    add_row_products(
                        pixels, q, g * channels, positions, p, g * filters, transposed[g, ki, kj], 0, channels
                    )


@njit(parallel=True, fastmath=CONTRACT, cache=True)
def _weight_gradient(dy, x, dweight, windows):
    groups, kh, kw, channels, filters = dweight.shape
    positions, pixels = dy.reshape(-1, dy.shape[3]), x.reshape(-1, x.shape[3])
    parts = (channels + CHANNELS - 1) // CHANNELS
    for task in prange(kh * kw * parts):
        ki, kj, part = task // (kw * parts), task // parts % kw, task % parts
        first, last = part * CHANNELS, min((part + 1) * CHANNELS, channels)
        for start in range(0, len(positions), TILE):
            p, q = _pairs_of_positions(start, min(start + TILE, len(positions)), ki, kj, dy.shape, x.shape, windows)
            for g in range(groups):
                add_outer_products(
                    dweight[g, ki, kj, first:last], pixels, q, g * channels + first, positions, p, g * filters
                )


@njit(cache=True)
def _pairs_of_positions(start, end, ki, kj, y_shape, x_shape, windows):
    """(p, q) for output positions p from `start` to `end`: q is the pixel that p sees through tap (ki, kj)."""
    _, out_h, out_w, _ = y_shape
    _, h, w, _ = x_shape
    p, q, count = np.empty(end - start, np.int64), np.empty(end - start, np.int64), 0
    for position in range(start, end):
        m, i, j = position // (out_h * out_w), position // out_w % out_h, position % out_w
        row = i * windows.stride_h + ki * windows.dilation_h - windows.top
        column = j * windows.stride_w + kj * windows.dilation_w - windows.left
        if 0 <= row < h and 0 <= column < w:
            p[count], q[count], count = position, (m * h + row) * w + column, count + 1
    return p[:count], q[:count]


@njit(cache=True)
def _pairs_of_pixels(start, end, ki, kj, y_shape, x_shape, windows):
    """(p, q) for pixels q from `start` to `end`: p is the output position that sees q through tap (ki, kj)."""
    _, out_h, out_w, _ = y_shape
    _, h, w, _ = x_shape
    p, q, count = np.empty(end - start, np.int64), np.empty(end - start, np.int64), 0
    for pixel in range(start, end):
        m, row, column = pixel // (h * w), pixel // w % h, pixel % w
        i, off_row = divmod(row + windows.top - ki * windows.dilation_h, windows.stride_h)
        j, off_column = divmod(column + windows.left - kj * windows.dilation_w, windows.stride_w)
        if off_row == 0 and off_column == 0 and 0 <= i < out_h and 0 <= j < out_w:
            p[count], q[count], count = (m * out_h + i) * out_w + j, pixel, count + 1
    return p[:count], q[:count]
