"""Numba: blocks of rows, each with its own sums, which are then added up in order."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.sums import BLOCKS, block_of, group_of, groups_of, move


def forward(x: NDArray) -> NDArray:
    rows = x.reshape(-1, x.shape[-1])
    sums = np.zeros((BLOCKS, x.shape[-1]))
    _sum(rows, sums)
    return sums.sum(0).astype(x.dtype)


@compiled(parallel=True)
def _sum(x, sums):
    for block in prange(BLOCKS):
        _sum_block(block_of(x, block), sums[block])


@compiled
def _sum_block(x, totals):
    sums = np.zeros(x.shape[1], x.dtype)
    for group in range(groups_of(x)):
        rows = group_of(x, group)
        for m in range(len(rows)):
            for c in range(sums.size):
                sums[c] += rows[m, c]
        move(sums, totals)
