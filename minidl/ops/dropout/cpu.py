"""Numba: the reference, one number at a time on all threads."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.memory import empty

BLOCK = 2**32  # see reference.py


def apply(x: NDArray, rate: float, key: tuple[int, int, int]) -> NDArray:
    y = empty(x.shape, x.dtype)
    flat, flat_y, threshold, keep_rate = x.reshape(-1), y.reshape(-1), np.uint32(rate * 2**32), x.dtype.type(1 - rate)
    for block, first in enumerate(range(0, x.size, BLOCK)):
        part = slice(first, first + BLOCK)
        parts = np.array([part % 2**32 for part in ((*key, block) if block else key)], np.uint32)
        _apply(flat[part], flat_y[part], threshold, keep_rate, parts)
    return y


@compiled(parallel=True)
def _apply(x, y, threshold, keep_rate, key):
    start = np.uint32(0)
    for part in key:
        start = _mix(np.uint32(start + part))
    for i in prange(x.size):
        y[i] = x.dtype.type(0) if _mix(np.uint32(i) ^ start) < threshold else x[i] / keep_rate


@compiled
def _mix(bits):
    """Shuffle 32 bits; see reference.py."""
    bits = np.uint32(bits ^ (bits >> np.uint32(16)))
    bits = np.uint32(bits * np.uint32(0x7FEB352D))
    bits = np.uint32(bits ^ (bits >> np.uint32(15)))
    bits = np.uint32(bits * np.uint32(0x846CA68B))
    return np.uint32(bits ^ (bits >> np.uint32(16)))
