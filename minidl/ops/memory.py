"""Memory for the large arrays that kernels fill, used again and again.

New memory is slow: the system hands it out page by page, when each is first written, and clears each page before. But a
training step needs the same sizes as the one before it, so here the memory of arrays that are gone is kept for others.
"""

import math
import time
from collections import deque
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy
from numpy.typing import DTypeLike, NDArray

SMALLEST = 2**16  # bytes; smaller arrays are left to NumPy
ALIGNMENT = 64  # bytes, a line of the processor's cache
SECONDS_KEPT = 30.0

Memory = NDArray[numpy.uint8]


def empty(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Like numpy.empty(): a writable array in C order that holds whatever was in the memory before."""
    dtype = numpy.dtype(dtype)
    size = int(math.prod(shape)) * dtype.itemsize
    return numpy.empty(shape, dtype) if size < SMALLEST else _pool.array(shape, dtype, size)


def zeros(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Like numpy.zeros()."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def release() -> None:
    """Give the memory that no array uses back to the system."""
    _pool.release()


class Pool:
    """Free memory, which is never more than arrays have used at one time, nor kept for long without being used."""

    def __init__(self) -> None:
        self.free: list[tuple[float, Memory]] = []  # since when, and what; the oldest first
        self.free_bytes = self.used_bytes = self.most_used_bytes = 0
        self._returned: deque[Memory] = deque()  # of arrays that are gone, which may happen while the lock is taken
        self._lock = Lock()

    def array(self, shape: Sequence[int], dtype: numpy.dtype[Any], size: int) -> NDArray[Any]:
        return numpy.asarray(_Loan(self._take(size), shape, dtype, self._returned))

    def release(self) -> None:
        with self._lock:
            self._collect()
            self._drop(len(self.free))
            self.most_used_bytes = self.used_bytes

    def _take(self, size: int) -> Memory:
        size += -size % 2 ** (size.bit_length() - 4) + ALIGNMENT  # sizes that are almost equal can share memory
        with self._lock:
            self._collect()
            memory = self._find(size)
            self.used_bytes += size
            self.most_used_bytes = max(self.most_used_bytes, self.used_bytes)
        return numpy.empty(size, numpy.uint8) if memory is None else memory

    def _find(self, size: int) -> Memory | None:
        for i in reversed(range(len(self.free))):  # what was used last may still be in the processor's cache
            if self.free[i][1].nbytes == size:
                self.free_bytes -= size
                return self.free.pop(i)[1]
        return None

    def _collect(self) -> None:
        now = time.monotonic()
        while self._returned:
            memory = self._returned.popleft()
            self.free.append((now, memory))
            self.free_bytes += memory.nbytes
            self.used_bytes -= memory.nbytes
        while self.free and (self.free_bytes > self.most_used_bytes or now - self.free[0][0] > SECONDS_KEPT):
            self._drop(1)

    def _drop(self, count: int) -> None:
        for _, memory in self.free[:count]:
            self.free_bytes -= memory.nbytes
        del self.free[:count]


class _Loan:
    """What an array and its views have as their base, so that the memory goes back when the last of them is gone."""

    def __init__(self, memory: Memory, shape: Sequence[int], dtype: numpy.dtype[Any], returned: deque[Memory]) -> None:
        self._memory, self._returned = memory, returned
        address = memory.__array_interface__["data"][0]
        data = (address + -address % ALIGNMENT, False)  # False: not read-only
        self.__array_interface__ = {"version": 3, "shape": tuple(shape), "typestr": dtype.str, "data": data}

    def __del__(self) -> None:
        self._returned.append(self._memory)


_pool = Pool()
