"""The definition, in NumPy: a hash turns each index into a random number."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**32  # as many places as 32 bits can tell apart; each block that follows has a key of its own


def apply(x: NDArray, rate: float, key: tuple[int, int, int]) -> NDArray:
    flat = x.reshape(-1)
    y = np.empty_like(flat)
    for block, first in enumerate(range(0, x.size, BLOCK)):
        part = slice(first, first + BLOCK)
        y[part] = _apply(flat[part], rate, (*key, block) if block else key)
    return y.reshape(x.shape)


def _apply(x: NDArray, rate: float, key: tuple[int, ...]) -> NDArray:
    dropped = _mix(np.arange(x.size, dtype=np.uint32) ^ _start(key)) < np.uint32(rate * 2**32)
    return np.where(dropped, x.dtype.type(0), x / x.dtype.type(1 - rate))


def _start(key: tuple[int, ...]) -> NDArray:
    """One number that stands for the key: its parts are stirred in one after the other."""
    start = np.zeros(1, np.uint32)
    for part in key:
        start = _mix(start + np.array([part % 2**32], np.uint32))
    return start


def _mix(bits: NDArray) -> NDArray:
    """Shuffle 32 bits so that every input bit flips about half of the output bits (lowbias32, C. Wellons 2018)."""
    bits = bits ^ (bits >> np.uint32(16))
    bits = bits * np.uint32(0x7FEB352D)  # unsigned arithmetic wraps around
    bits = bits ^ (bits >> np.uint32(15))
    bits = bits * np.uint32(0x846CA68B)
    return bits ^ (bits >> np.uint32(16))
