"""Numba: one pass over the memory, on all threads."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.blocks import BLOCKS, FEW
from minidl.ops.compiling import compiled


def forward(x: NDArray) -> NDArray:
    y = np.empty_like(x)
    run = _forward_block if x.size <= FEW else _forward
    run(x.reshape(-1), y.reshape(-1))
    return y


def gradient(dy: NDArray, y: NDArray) -> NDArray:
    dx = np.empty_like(dy)
    run = _gradient_block if dy.size <= FEW else _gradient
    run(dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


def gradient_and_sums(dy: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    dx, channels = np.empty_like(dy), dy.shape[-1]
    rows = dy.size // max(1, channels), channels
    sums = np.zeros((BLOCKS, channels))
    if dy.size <= FEW:
        _gradient_and_sums_block(dy.reshape(rows), y.reshape(rows), dx.reshape(rows), sums[0])
    else:
        _gradient_and_sums(dy.reshape(rows), y.reshape(rows), dx.reshape(rows), sums)
    return dx, sums.sum(0).astype(dy.dtype)


@compiled(parallel=True)
def _forward(x, y):
    for block in prange(BLOCKS):
        part = slice(block * len(x) // BLOCKS, (block + 1) * len(x) // BLOCKS)
        _forward_block(x[part], y[part])


@compiled
def _forward_block(x, y):
    zero = x.dtype.type(0)
    for i in range(len(x)):
        y[i] = zero if x[i] < zero else x[i]  # nan is not smaller than 0


@compiled(parallel=True)
def _gradient(dy, y, dx):
    for block in prange(BLOCKS):
        part = slice(block * len(dy) // BLOCKS, (block + 1) * len(dy) // BLOCKS)
        _gradient_block(dy[part], y[part], dx[part])


@compiled
def _gradient_block(dy, y, dx):
    zero = dy.dtype.type(0)
    for i in range(len(dy)):
        number = dy[i]  # read in any case, so that the compiler finds vector instructions
        dx[i] = number if y[i] > zero else zero


@compiled(parallel=True)
def _gradient_and_sums(dy, y, dx, sums):
    for block in prange(BLOCKS):
        part = slice(block * len(dy) // BLOCKS, (block + 1) * len(dy) // BLOCKS)
        _gradient_and_sums_block(dy[part], y[part], dx[part], sums[block])


@compiled
def _gradient_and_sums_block(dy, y, dx, sums):
    zero = dy.dtype.type(0)
    for m in range(len(dy)):
        for c in range(dy.shape[1]):
            number = dy[m, c]
            number = number if y[m, c] > zero else zero
            dx[m, c] = number
            sums[c] += number
