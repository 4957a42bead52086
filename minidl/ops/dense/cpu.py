"""Numba: three matrix products from the building blocks that convolution uses, so that no other library's threads run.

Threads share the work by parts of the result, each summed in a fixed order: the result is the same for any number.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from minidl.ops.simd import CONTRACT, add_outer_products, add_row_products

COLUMNS = 256  # of y, that a thread works on at a time: eight rows of them stay in the first-level cache
ROWS = 8  # of dweight, that a thread works on at a time
FEATURES = 64  # rows of the transposed dx, that a thread works on at a time


def forward(x: NDArray, weight: NDArray, bias: NDArray) -> NDArray:
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    y[:] = bias
    _forward(x, weight, y)
    return y


def input_gradient(dy: NDArray, weight: NDArray) -> NDArray:
    """dx.T = weight @ dy.T, in which the rows to add up are contiguous."""
    transposed = np.zeros((weight.shape[0], len(dy)), dy.dtype)
    _input_gradient(np.ascontiguousarray(dy.T), weight, transposed)
    return np.ascontiguousarray(transposed.T)


def weight_gradient(dy: NDArray, x: NDArray) -> NDArray:
    dweight = np.zeros((x.shape[1], dy.shape[1]), dy.dtype)
    _weight_gradient(dy, x, dweight)
    return dweight


@njit(parallel=True, fastmath=CONTRACT, cache=True)
def _forward(x, weight, y):
    samples = np.arange(len(x))
    for part in prange((y.shape[1] + COLUMNS - 1) // COLUMNS):
        first, last = part * COLUMNS, min((part + 1) * COLUMNS, y.shape[1])
        add_row_products(y, samples, first, x, samples, 0, weight, first, last - first)


@njit(parallel=True, fastmath=CONTRACT, cache=True)
def _input_gradient(dy_transposed, weight, dx_transposed):
    for part in prange((len(weight) + FEATURES - 1) // FEATURES):
        features = np.arange(part * FEATURES, min((part + 1) * FEATURES, len(weight)))
        add_row_products(dx_transposed, features, 0, weight, features, 0, dy_transposed, 0, dy_transposed.shape[1])


@njit(parallel=True, fastmath=CONTRACT, cache=True)
def _weight_gradient(dy, x, dweight):
    samples = np.arange(len(x))
    for part in prange((len(dweight) + ROWS - 1) // ROWS):
        first, last = part * ROWS, min((part + 1) * ROWS, len(dweight))
        add_outer_products(dweight[first:last], x, samples, first, dy, samples, 0)
