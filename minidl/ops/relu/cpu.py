"""Numba: one pass over the memory, on all threads."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.blocks import block_count
from minidl.ops.compiling import compiled
from minidl.ops.memory import empty


def forward(x: NDArray) -> NDArray:
    y = empty(x.shape, x.dtype)
    _forward(x.reshape(-1), y.reshape(-1))
    return y


def gradient(dy: NDArray, y: NDArray) -> NDArray:
    dx = empty(dy.shape, dy.dtype)
    _gradient(dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


def gradient_and_sums(dy: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    dx, channels = empty(dy.shape, dy.dtype), dy.shape[-1]
    rows = dy.size // max(1, channels), channels
    sums = np.zeros((block_count(rows[0]), channels))
    _gradient_and_sums(dy.reshape(rows), y.reshape(rows), dx.reshape(rows), sums)
    return dx, sums.sum(0, dtype=np.float64).astype(dy.dtype)


@compiled(parallel=True)
def _forward(x, y):
    zero = x.dtype.type(0)
    for i in prange(len(x)):
        y[i] = zero if x[i] < zero else x[i]  # nan is not smaller than 0


@compiled(parallel=True)
def _gradient(dy, y, dx):
    zero = dy.dtype.type(0)
    for i in prange(len(dy)):
        number = dy[i]  # read in any case, so that the compiler finds vector instructions
        dx[i] = number if y[i] > zero else zero


@compiled(parallel=True)
def _gradient_and_sums(dy, y, dx, sums):
    for block in prange(len(sums)):
        part = slice(block * len(dy) // len(sums), (block + 1) * len(dy) // len(sums))
        _gradient_and_sums_of_block(dy[part], y[part], dx[part], sums[block])


@compiled
def _gradient_and_sums_of_block(dy, y, dx, sums):
    zero = dy.dtype.type(0)
    for m in range(len(dy)):
        for c in range(dy.shape[1]):
            number = dy[m, c]
            number = number if y[m, c] > zero else zero
            dx[m, c] = number
            sums[c] += number
