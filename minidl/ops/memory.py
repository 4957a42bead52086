"""Memory for the large arrays that kernels fill, used again and again.

New memory is slow: the system hands it out page by page, when each is first written, and clears each page before. But a
training step needs the same sizes as the one before it, so here the memory of arrays that are gone is kept for others.
"""

import math
import time
from bisect import bisect_left, bisect_right, insort_right
from collections import deque
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy
from numpy.typing import DTypeLike, NDArray

SMALLEST = 2**16  # bytes; smaller arrays are left to NumPy
ALIGNMENT = 64  # bytes, a line of the processor's cache
SECONDS_KEPT = 30.0
ROOMY = 2  # times the size that is asked for: memory no larger than that is used, rather than new one

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


class Free(NamedTuple):
    """Memory that no array uses."""

    since: float
    memory: Memory


class Pool:
    """Free memory, which is never more than arrays have used at one time, nor kept for long without being used."""

    def __init__(self) -> None:
        self.free: list[Free] = []  # the smallest first; of one size, the oldest first
        self.free_bytes = self.used_bytes = self.most_used_bytes = 0
        self._returned: deque[Memory] = deque()  # of arrays that are gone, which may happen while the lock is taken
        self._looked = 0.0  # when old memory was last looked for
        self._lock = Lock()

    def array(self, shape: Sequence[int], dtype: numpy.dtype[Any], size: int) -> NDArray[Any]:
        return numpy.asarray(_Loan(self._take(size), shape, dtype, self._returned))

    def release(self) -> None:
        with self._lock:
            self._collect()
            self.free.clear()
            self.free_bytes = 0
            self.most_used_bytes = self.used_bytes

    def _take(self, size: int) -> Memory:
        size += ALIGNMENT  # room to begin at a line of the cache
        with self._lock:
            self._collect()
            memory = self._find(size)
            self.used_bytes += size if memory is None else memory.nbytes
            self.most_used_bytes = max(self.most_used_bytes, self.used_bytes)
        return numpy.empty(size, numpy.uint8) if memory is None else memory

    def _find(self, size: int) -> Memory | None:
        """The smallest memory that is large enough; of several, what was used last may still be in the cache."""
        i = bisect_left(self.free, size, key=_size)
        if i == len(self.free) or _size(self.free[i]) > ROOMY * size:
            return None
        return self._pop(bisect_right(self.free, _size(self.free[i]), key=_size) - 1)

    def _pop(self, i: int) -> Memory:
        memory = self.free.pop(i).memory
        self.free_bytes -= memory.nbytes
        return memory

    def _collect(self) -> None:
        """Keep the memory of arrays that are gone, and let go of what has been free for longest."""
        now = time.monotonic()
        while self._returned:
            memory = self._returned.popleft()
            insort_right(self.free, Free(now, memory), key=_size)
            self.free_bytes += memory.nbytes
            self.used_bytes -= memory.nbytes
        while self.free_bytes > self.most_used_bytes:
            self._pop(min(range(len(self.free)), key=lambda i: self.free[i].since))
        if now - self._looked > SECONDS_KEPT / 10:
            self._looked = now
            self.free = [free for free in self.free if now - free.since <= SECONDS_KEPT]
            self.free_bytes = sum(map(_size, self.free))


def _size(free: Free) -> int:
    return free.memory.nbytes


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
