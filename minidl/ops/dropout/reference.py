"""The definition, in NumPy: a hash turns each index into a random number."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**32  # as many places as 32 bits can tell apart; each block that follows has a key of its own


def apply(x: NDArray, rate: float, key: tuple[int, int, int]) -> NDArray:
    dropped = _hashes(x.size, key) < np.uint32(rate * 2**32)
    return np.where(dropped.reshape(x.shape), x.dtype.type(0), x / x.dtype.type(1 - rate))


def _hashes(count: int, key: tuple[int, int, int]) -> NDArray:
    """A random number of 32 bits for each place."""
    hashes = np.empty(count, np.uint32)
    for block, first in enumerate(range(0, count, BLOCK)):
        places = np.arange(min(BLOCK, count - first), dtype=np.uint32)
        hashes[first : first + BLOCK] = _mix(places ^ _start((*key, block) if block else key))
    return hashes


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
