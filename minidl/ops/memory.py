"""Memory for the large arrays that kernels fill, used again and again.

New memory is slow: the system hands it out page by page, when each is first written, and clears each page before. But a
training step needs the same sizes as the one before it, so here the memory of arrays that are gone is kept for others.
"""

import math
import os
import time
from collections import deque
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple, cast

import numpy
from numpy.typing import DTypeLike, NDArray

SMALLEST = 2**16  # bytes; smaller arrays are left to NumPy
ALIGNMENT = 64  # bytes, a line of the processor's cache
SECONDS_KEPT = 30.0
ROOMY = 2  # times the size that is asked for: memory no larger than that is used, rather than new one


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


class Memory(numpy.ndarray[Any, Any]):
    """Bytes from the beginning of a line of the cache on."""


class Loan(numpy.ndarray[Any, Any]):
    """The same bytes as long as an array has them: the base of that array and of all its views, gone with the last.

    NumPy gives a view the base of what it is a view of, if both are of one type: so each of these types is its own.
    """

    returned: deque[Memory] | None = None  # where the memory goes back to; a view of the loan itself returns nothing

    def __del__(self) -> None:
        if self.returned is not None:
            self.returned.append(cast(Memory, self.base))


class Free(NamedTuple):
    """Memory that no array uses."""

    since: float
    memory: Memory


class Pool:
    """Free memory, which is never more than arrays have used at one time, nor kept for long without being used."""

    def __init__(self) -> None:
        self.free: dict[int, list[Free]] = {}  # by size; of one size, the oldest first
        self.free_bytes = self.used_bytes = self.most_used_bytes = 0
        self._returned: deque[Memory] = deque()  # of arrays that are gone, which may happen while the lock is taken
        self._looked = 0.0  # when old memory was last looked for
        self._lock = Lock()

    def array(self, shape: Sequence[int], dtype: numpy.dtype[Any], size: int) -> NDArray[Any]:
        loan = self._take(size).view(Loan)
        loan.returned = self._returned
        return numpy.ndarray(shape, dtype, loan)

    def release(self) -> None:
        with self._lock:
            self._collect()
            self.free.clear()
            self.free_bytes = 0
            self.most_used_bytes = self.used_bytes

    def _take(self, size: int) -> Memory:
        with self._lock:
            self._collect()
            memory = self._find(size)
            self.used_bytes += size if memory is None else memory.nbytes
            self.most_used_bytes = max(self.most_used_bytes, self.used_bytes)
        return _new(size) if memory is None else memory

    def _find(self, size: int) -> Memory | None:
        """The smallest memory that is large enough; of several, what was used last may still be in the cache."""
        if size not in self.free:
            size = min((other for other in self.free if size <= other <= ROOMY * size), default=0)
        return self._pop(size, -1) if size else None

    def _pop(self, size: int, i: int) -> Memory:
        memory = self.free[size].pop(i).memory
        if not self.free[size]:
            del self.free[size]
        self.free_bytes -= size
        return memory

    def _collect(self) -> None:
        """Keep the memory of arrays that are gone, and let go of what has been free for longest."""
        now = time.monotonic()
        while self._returned:
            memory = self._returned.popleft()
            self.free.setdefault(memory.nbytes, []).append(Free(now, memory))
            self.free_bytes += memory.nbytes
            self.used_bytes -= memory.nbytes
        while self.free_bytes > self.most_used_bytes:
            self._pop_oldest()
        if now - self._looked > SECONDS_KEPT / 10:
            self._looked = now
            while self.free and now - self._oldest().since > SECONDS_KEPT:
                self._pop_oldest()

    def _oldest(self) -> Free:
        return min((free[0] for free in self.free.values()), key=lambda one: one.since)

    def _pop_oldest(self) -> None:
        self._pop(self._oldest().memory.nbytes, 0)


def _new(size: int) -> Memory:
    memory = Memory((size + ALIGNMENT,), numpy.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    return cast(Memory, memory[first : first + size])


_pool = Pool()

if hasattr(os, "register_at_fork"):  # another thread of the parent may have held the lock
    os.register_at_fork(after_in_child=_pool.__init__)  # type: ignore[misc]
