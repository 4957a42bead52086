"""The definition, in NumPy: a hash turns each index into a random number."""

import numpy as np
from numpy.typing import NDArray


def apply(x: NDArray, rate: float, key: tuple[int, int, int]) -> NDArray:
    index = np.arange(x.size, dtype=np.uint32).reshape(x.shape)
    dropped = _mix(index ^ _start(key)) < np.uint32(rate * 2**32)
    return np.where(dropped, x.dtype.type(0), x / x.dtype.type(1 - rate))


def _start(key: tuple[int, int, int]) -> NDArray:
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
