"""Numba: one pass over the memory for the statistics, one to normalise, two for the gradient.

Rows are all axes but the last. Sums over them are taken in float64, for each block of rows, and then added up in order.
Relu costs no pass of its own, nor memory: what it let through is worked out again from x.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.blocks import block_count
from minidl.ops.compiling import compiled
from minidl.ops.memory import empty


def statistics(x: NDArray) -> tuple[NDArray, NDArray]:
    """From distances to the first row, so that one pass is exact.

    variance = mean of squares - square of mean loses as many digits as the second term has more than the result. With a
    start that is itself one of the n numbers, this term is at most n times the result.
    """
    rows = _rows(x)
    start = rows[0].astype(np.float64)
    sums, squares = np.zeros((2, block_count(len(rows)), len(start)))
    _add_distances(rows, start, sums, squares)
    mean, square = sums.sum(0, dtype=np.float64) / len(rows), squares.sum(0, dtype=np.float64) / len(rows)
    return (start + mean).astype(x.dtype), (square - mean * mean).astype(x.dtype)


def normalise(x: NDArray, mean: NDArray, factor: NDArray, shift: NDArray, relu: bool) -> NDArray:
    y = empty(x.shape, x.dtype)
    _normalise(_rows(x), mean, factor, shift, relu, _rows(y))
    return y


def gradient(
    dy: NDArray, x: NDArray, mean: NDArray, deviation: NDArray, scale: NDArray, shift: NDArray, relu: bool
) -> tuple[NDArray, NDArray, NDArray]:
    """With t = x - mean, normal = t / deviation and factor = scale / deviation,

    dx = factor * (dy - mean of dy - normal * mean of dy * normal) = factor * dy - drift - pull * t
    """
    dx, factor, count = empty(x.shape, x.dtype), scale / deviation, x.size // len(mean)
    sums, products = np.zeros((2, block_count(count), len(mean)))
    _add_products(_rows(dy), _rows(x), mean, factor, shift, relu, sums, products)
    dshift, dscale = sums.sum(0, dtype=np.float64), products.sum(0, dtype=np.float64) / deviation
    drift, pull = factor * dshift / count, factor * dscale / count / deviation
    numbers = [array.astype(x.dtype) for array in (drift, pull)]
    _input_gradient(_rows(dy), _rows(x), mean, factor, shift, relu, *numbers, _rows(dx))
    return dx, dscale.astype(x.dtype), dshift.astype(x.dtype)


def _rows(x: NDArray) -> NDArray:
    return x.reshape(-1, x.shape[-1])


@compiled(parallel=True)
def _add_distances(x, start, sums, squares):
    for block in prange(len(sums)):
        part = slice(block * len(x) // len(sums), (block + 1) * len(x) // len(sums))
        _add_distances_of_block(x[part], start, sums[block], squares[block])


@compiled
def _add_distances_of_block(x, start, sums, squares):
    for m in range(len(x)):
        for c in range(x.shape[1]):
            distance = x[m, c] - start[c]
            sums[c] += distance
            squares[c] += distance * distance


@compiled(parallel=True)
def _normalise(x, mean, factor, shift, relu, y):
    zero = x.dtype.type(0)
    for m in prange(len(x)):
        for c in range(x.shape[1]):
            number = (x[m, c] - mean[c]) * factor[c] + shift[c]
            y[m, c] = zero if relu & (number < zero) else number


@compiled(parallel=True)
def _add_products(dy, x, mean, factor, shift, relu, sums, products):
    for block in prange(len(sums)):
        part = slice(block * len(x) // len(sums), (block + 1) * len(x) // len(sums))
        _add_products_of_block(dy[part], x[part], mean, factor, shift, relu, sums[block], products[block])


@compiled
def _add_products_of_block(dy, x, mean, factor, shift, relu, sums, products):
    for m in range(len(x)):
        for c in range(x.shape[1]):
            dz, t = _through_relu(dy[m, c], x[m, c] - mean[c], factor[c], shift[c], relu)
            sums[c] += dz
            products[c] += dz * t


@compiled(parallel=True)
def _input_gradient(dy, x, mean, factor, shift, relu, drift, pull, dx):
    for m in prange(len(x)):
        for c in range(x.shape[1]):
            dz, t = _through_relu(dy[m, c], x[m, c] - mean[c], factor[c], shift[c], relu)
            dx[m, c] = factor[c] * dz - drift[c] - pull[c] * t


@compiled
def _through_relu(dy, t, factor, shift, relu):
    """(dy, or 0 where relu cut off; t)"""
    passed = (t * factor + shift > 0) | (not relu)
    return dy if passed else type(dy)(0), t
