"""Numba: two passes over the rows (all axes but the last) for the statistics, one to normalise, two for the gradient.

Rows are split into a fixed number of blocks, each with its own float64 sums, which are then added up in order: the
result is the same for any number of threads.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled

BLOCKS = 32


def statistics(x: NDArray) -> tuple[NDArray, NDArray]:
    mean, variance = np.empty(x.shape[-1], x.dtype), np.empty(x.shape[-1], x.dtype)
    _statistics(_rows(x), mean, variance)
    return mean, variance


def normalise(x: NDArray, mean: NDArray, variance: NDArray, scale: NDArray, shift: NDArray, eps: float) -> NDArray:
    y = np.empty_like(x)
    factor = scale / np.sqrt(variance + x.dtype.type(eps))
    _normalise(_rows(x), mean, factor, shift, _rows(y))
    return y


def gradient(
    dy: NDArray, x: NDArray, mean: NDArray, variance: NDArray, scale: NDArray, eps: float
) -> tuple[NDArray, NDArray, NDArray]:
    dx, dscale, dshift = np.empty_like(x), np.empty_like(scale), np.empty_like(scale)
    _gradient(_rows(dy), _rows(x), mean, 1 / np.sqrt(variance + x.dtype.type(eps)), scale, _rows(dx), dscale, dshift)
    return dx, dscale, dshift


def _rows(x: NDArray) -> NDArray:
    return x.reshape(-1, x.shape[-1])


@compiled(parallel=True)
def _statistics(x, mean, variance):
    rows, channels = x.shape
    sums = np.zeros((BLOCKS, channels))
    for block in prange(BLOCKS):
        for m in range(block * rows // BLOCKS, (block + 1) * rows // BLOCKS):
            for c in range(channels):
                sums[block, c] += x[m, c]
    exact_mean = sums.sum(axis=0) / rows
    sums[:] = 0
    for block in prange(BLOCKS):
        for m in range(block * rows // BLOCKS, (block + 1) * rows // BLOCKS):
            for c in range(channels):
                distance = x[m, c] - exact_mean[c]
                sums[block, c] += distance * distance
    mean[:] = exact_mean
    variance[:] = sums.sum(axis=0) / rows


@compiled(parallel=True)
def _normalise(x, mean, factor, shift, y):
    for m in prange(x.shape[0]):
        for c in range(x.shape[1]):
            y[m, c] = (x[m, c] - mean[c]) * factor[c] + shift[c]


@compiled(parallel=True)
def _gradient(dy, x, mean, inverse_deviation, scale, dx, dscale, dshift):
    rows, channels = x.shape
    sums, products = np.zeros((BLOCKS, channels)), np.zeros((BLOCKS, channels))
    for block in prange(BLOCKS):
        for m in range(block * rows // BLOCKS, (block + 1) * rows // BLOCKS):
            for c in range(channels):
                sums[block, c] += dy[m, c]
                products[block, c] += dy[m, c] * (x[m, c] - mean[c])
    dshift[:] = sums.sum(axis=0)
    dscale[:] = products.sum(axis=0) * inverse_deviation
    # dx = scale / deviation * (dy - mean(dy) - normal * mean(dy * normal)) = slope * dy - drift - pull * (x - mean)
    slope = scale * inverse_deviation
    drift = slope * dshift / rows
    pull = slope * inverse_deviation * dscale / rows
    for m in prange(rows):
        for c in range(channels):
            dx[m, c] = slope[c] * dy[m, c] - drift[c] - pull[c] * (x[m, c] - mean[c])
