"""Numba: one pass over the memory for the statistics, one to normalise, two for the gradient.

Rows are all axes but the last. Relu costs no pass of its own, nor memory: what it let through is worked out again from x.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.memory import empty
from minidl.ops.sums import BLOCKS, block_of, group_of, groups_of, move

SAMPLE = 64  # rows, whose mean is a guess of the mean of all


def statistics(x: NDArray) -> tuple[NDArray, NDArray]:
    """From distances to a guess of the mean, so that one pass is enough.

    variance = mean of squares - square of mean loses as many digits as the second term has more than the result. With
    the mean of m of the n numbers as guess, this term is at most n / m times the result, and mostly far smaller.
    """
    rows = _rows(x)
    guess = rows[:: -(-len(rows) // SAMPLE)].mean(axis=0, dtype=np.float64).astype(x.dtype)
    sums, squares = np.zeros((BLOCKS, *guess.shape)), np.zeros((BLOCKS, *guess.shape))
    _add_distances(rows, guess, sums, squares)
    mean, square = sums.sum(0) / len(rows), squares.sum(0) / len(rows)
    return (guess + mean).astype(x.dtype), (square - mean * mean).astype(x.dtype)


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
    sums, products = np.zeros((BLOCKS, len(mean))), np.zeros((BLOCKS, len(mean)))
    _add_products(_rows(dy), _rows(x), mean, factor, shift, relu, sums, products)
    dshift, dscale = sums.sum(0), products.sum(0) / deviation
    drift, pull = factor * dshift / count, factor * dscale / count / deviation
    numbers = [array.astype(x.dtype) for array in (drift, pull)]
    _input_gradient(_rows(dy), _rows(x), mean, factor, shift, relu, *numbers, _rows(dx))
    return dx, dscale.astype(x.dtype), dshift.astype(x.dtype)


def _rows(x: NDArray) -> NDArray:
    return x.reshape(-1, x.shape[-1])


@compiled(parallel=True)
def _add_distances(x, guess, sums, squares):
    for block in prange(BLOCKS):
        _add_distances_of_block(block_of(x, block), guess, sums[block], squares[block])


@compiled
def _add_distances_of_block(x, guess, total, total_square):
    sums, squares = np.zeros_like(guess), np.zeros_like(guess)
    for group in range(groups_of(x)):
        rows = group_of(x, group)
        for m in range(len(rows)):
            for c in range(guess.size):
                distance = rows[m, c] - guess[c]
                sums[c] += distance
                squares[c] += distance * distance
        move(sums, total)
        move(squares, total_square)


@compiled(parallel=True)
def _normalise(x, mean, factor, shift, relu, y):
    zero = x.dtype.type(0)
    for m in prange(len(x)):
        for c in range(x.shape[1]):
            number = (x[m, c] - mean[c]) * factor[c] + shift[c]
            y[m, c] = zero if relu & (number < zero) else number


@compiled(parallel=True)
def _add_products(dy, x, mean, factor, shift, relu, sums, products):
    for block in prange(BLOCKS):
        _add_products_of_block(
            block_of(dy, block), block_of(x, block), mean, factor, shift, relu, sums[block], products[block]
        )


@compiled
def _add_products_of_block(dy, x, mean, factor, shift, relu, total, total_product):
    sums, products = np.zeros_like(mean), np.zeros_like(mean)
    for group in range(groups_of(x)):
        dy_rows, x_rows = group_of(dy, group), group_of(x, group)
        for m in range(len(x_rows)):
            for c in range(mean.size):
                dz, t = _through_relu(dy_rows[m, c], x_rows[m, c] - mean[c], factor[c], shift[c], relu)
                sums[c] += dz
                products[c] += dz * t
        move(sums, total)
        move(products, total_product)


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
