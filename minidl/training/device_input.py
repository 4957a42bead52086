"""Batches on their way to a GPU: while one is computed with, the next one is copied.

A copy can run beside the computation if it has a stream, a queue of work, of its own, and starts from pinned memory,
which the operating system leaves where it is. There are two slots, for the batch at work and the one under way:

    host       fill slot 0 | fill slot 1        | fill slot 0 ...
    copies     copy 0      | copy 1             | copy 0 ...
    kernels                | compute with 0     | compute with 1 ...

Events keep the three apart: a slot is not computed with before it has been copied, nor copied into while it is computed
with, nor filled while it is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy

from minidl.backend import Array, Backend

Batch = Any  # an array or a tuple of arrays


def on_backend(batches: Iterable[Batch], backend: Backend) -> Iterator[Batch]:
    """The same batches; NumPy arrays in them have become the backend's.

    On a GPU a batch is good until the next one is asked for: then its memory is used again.
    """
    return iter(batches) if backend.is_host else _double_buffered(batches, backend.xp)


def _double_buffered(batches: Iterable[Batch], cupy: Any) -> Iterator[Batch]:
    copies = cupy.cuda.Stream(non_blocking=True)
    slots = _Slot(cupy), _Slot(cupy)
    before = None
    try:
        for number, batch in enumerate(batches):
            slot = slots[number % 2]
            slot.fill(batch, copies)
            if before is not None:
                yield before.ready()
                before.used.record()
            before = slot
        if before is not None:
            yield before.ready()
    finally:
        copies.synchronize()  # before the memory that is copied from and to is used for something else


class _Slot:
    """Memory for a batch, on the host and on the GPU."""

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy
        self.memories: dict[int, tuple[Array, Array]] = {}  # for each array of a batch
        self.batch: Batch = None
        self.copied, self.used = (cupy.cuda.Event(disable_timing=True) for _ in range(2))

    def fill(self, batch: Batch, copies: Any) -> None:
        """Start to copy a batch."""
        self.copied.synchronize()
        arrays = batch if isinstance(batch, tuple) else (batch,)
        for number, array in enumerate(arrays):
            self._make_room(number, array)
        copies.wait_event(self.used)
        moved = tuple(self._copy(number, array, copies) for number, array in enumerate(arrays))
        self.batch = moved if isinstance(batch, tuple) else moved[0]
        self.copied.record(copies)

    def ready(self) -> Batch:
        """The batch, for work that is asked for from now on."""
        self.cupy.cuda.get_current_stream().wait_event(self.copied)
        return self.batch

    def _make_room(self, number: int, array: Any) -> None:
        """Memory for array `number` of a batch. It may have served kernels that are still in the queue."""
        size = array.nbytes if isinstance(array, numpy.ndarray) else 0
        if number not in self.memories or self.memories[number][0].size < size:
            pinned = numpy.frombuffer(self.cupy.cuda.alloc_pinned_memory(max(size, 1)), numpy.uint8, size)
            self.memories[number] = pinned, self.cupy.empty(size, numpy.uint8)
            self.used.record()

    def _copy(self, number: int, array: Any, copies: Any) -> Any:
        if not isinstance(array, numpy.ndarray):
            return array  # a tensor, or an array that is on the GPU already
        pinned, there = (
            memory[: array.nbytes].view(array.dtype).reshape(array.shape) for memory in self.memories[number]
        )
        pinned[...] = array
        there.set(pinned, stream=copies)
        return there
