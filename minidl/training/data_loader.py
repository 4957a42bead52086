"""DataLoader: the samples in batches, in an order that only depends on the seed and the epoch.

The names and defaults are those of Flux's DataLoader (MLUtils.jl), counted on the first axis. Nothing about a pass
is kept between batches: batch b of epoch e can be made at any time from (seed, e, b) alone, which is what lets an
interrupted run go on bit for bit.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from minidl.randomness import current_seed
from minidl.whole_numbers import whole_number

Array = NDArray[Any]
Batch = Any  # an array, or a tuple of arrays: whichever the loader was given
AugmentationStep = Callable[[Array, np.random.Generator], Array]

# What a generator is for is part of its seed, so that shuffling and augmentation never share random numbers.
SHUFFLING, AUGMENTATION = 0, 1


class DataLoader:
    """Cut `data` into batches of `batchsize` samples along the first axis.

        for x, y in DataLoader((images, labels), batchsize=64, shuffle=True):
            ...

    data       an array, or a tuple of arrays of equal length; batches come in the same form, as copies
    shuffle    a new order in every epoch
    partial    whether the last batch may be smaller; if not, the samples left over are skipped
    seed       0 or more; None means the framework's, as it is when a pass begins
    augment    steps for the first array, see minidl.data.augmentation; also drawn anew in every epoch
    prefetch   how many batches a thread makes ahead; 0 makes each when it is asked for. The values are the same

    Each pass over the loader is the next epoch: `loader.epoch` is the number of the next pass and may be set.
    """

    def __init__(
        self,
        data: Array | tuple[Array, ...],
        batchsize: int = 1,
        shuffle: bool = False,
        partial: bool = True,
        seed: int | None = None,
        augment: Sequence[AugmentationStep] = (),
        prefetch: int = 2,
    ) -> None:
        self.data = data
        self.nobs = _number_of_samples(data)
        batchsize = whole_number("DataLoader", "batchsize", batchsize)
        if batchsize < 1:
            raise ValueError(f"DataLoader: expected a batchsize of at least 1, got {batchsize}.")
        if not partial and self.nobs < batchsize:
            raise ValueError(
                f"DataLoader: no batch would come: {self.nobs} samples do not fill one batch of {batchsize}, and "
                "partial=False skips a smaller one. Use partial=True or a smaller batchsize."
            )
        seed = None if seed is None else whole_number("DataLoader", "seed", seed)
        if seed is not None and seed < 0:
            raise ValueError(f"DataLoader: expected a seed of 0 or more, got {seed}.")
        if callable(augment):
            raise TypeError(f"DataLoader: expected a list of augmentation steps; write augment=[{augment!r}].")
        for step in augment:
            if not callable(step):
                raise TypeError(f"DataLoader: expected augmentation steps, functions (images, generator), got {step!r}")
        prefetch = whole_number("DataLoader", "prefetch", prefetch)
        if prefetch < 0:
            raise ValueError(f"DataLoader: expected prefetch to be 0 batches or more, got {prefetch}.")
        self.batchsize = batchsize
        self.shuffle = shuffle
        self.partial = partial
        self.seed = seed
        self.augment = tuple(augment)
        self.prefetch = prefetch
        self.epoch = 0

    def __len__(self) -> int:
        """The number of batches in a pass."""
        full, left_over = divmod(self.nobs, self.batchsize)
        return full + (1 if left_over and self.partial else 0)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch
        self.epoch += 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from batch number `start` on; leaves `loader.epoch` as it is."""
        epoch = whole_number("DataLoader.batches", "epoch", epoch)
        start = whole_number("DataLoader.batches", "start", start)
        if epoch < 0:
            raise ValueError(f"DataLoader.batches: expected an epoch of 0 or more, got {epoch}.")
        if not 0 <= start <= len(self):
            raise ValueError(f"DataLoader.batches: expected start from 0 to {len(self)}, got {start}.")
        made = self._make_batches(self._current_seed(), epoch, start)
        return _prefetched(made, self.prefetch) if self.prefetch else made

    def _make_batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        order = np.arange(self.nobs)
        if self.shuffle:
            _generator(seed, epoch, SHUFFLING).shuffle(order)
        for number in range(start, len(self)):
            chosen = order[number * self.batchsize : (number + 1) * self.batchsize]
            generator = _generator(seed, epoch, AUGMENTATION, number)
            if isinstance(self.data, tuple):
                first, *others = self.data
                yield self._augmented(first[chosen], generator), *(array[chosen] for array in others)
            else:
                yield self._augmented(self.data[chosen], generator)

    def _augmented(self, images: Array, generator: np.random.Generator) -> Array:
        n = len(images)
        for step in self.augment:
            images = step(images, generator)
            if not isinstance(images, np.ndarray) or images.shape[:1] != (n,):
                came = images.shape if isinstance(images, np.ndarray) else type(images).__name__
                raise ValueError(f"DataLoader: expected {n} images back from augmentation step {step!r}, got {came}.")
        return images

    def _current_seed(self) -> int:
        return current_seed() if self.seed is None else self.seed

    def __repr__(self) -> str:
        return f"DataLoader({self.nobs:,} samples in {len(self):,} batches of {self.batchsize})"


def _generator(seed: int, epoch: int, purpose: int, batch: int = 0) -> np.random.Generator:
    return np.random.default_rng((seed, epoch, purpose, batch))


def _number_of_samples(data: Array | tuple[Array, ...]) -> int:
    arrays = data if isinstance(data, tuple) else (data,)
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.ndim == 0:
            raise TypeError(
                f"DataLoader: expected a NumPy array or a tuple of them, got {_describe(array)}. "
                "For a data set use its .arrays()."
            )
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"DataLoader: expected arrays of equal length, got lengths {lengths}.")
    if not lengths or lengths[0] == 0:
        raise ValueError("DataLoader: expected at least one sample, got none.")
    return lengths[0]


def _describe(value: Any) -> str:
    return f"one of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


Item = TypeVar("Item")


def _prefetched(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order, made by a thread that is at most `depth` + 1 items ahead.

    The thread starts with the first item asked for. It has ended when this iterator is used up, closed or dropped.
    RuntimeError in a process forked from the one that started it, where the thread is not.
    """
    ready: queue.Queue[tuple[Item | None, BaseException | None, bool]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                ready.put((item, None, False))
                if stopped.is_set():
                    return
            ready.put((None, None, True))
        except BaseException as error:  # of whatever kind: it belongs to the consumer
            ready.put((None, error, True))

    thread = threading.Thread(target=produce, name="minidl-prefetch", daemon=True)
    thread.start()
    process = os.getpid()
    try:
        while True:
            if os.getpid() != process:
                raise RuntimeError(
                    "DataLoader: this pass was begun by the process that this one was forked from, and only there a "
                    "thread makes its batches; begin one here, or use prefetch=0"
                )
            item, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        if os.getpid() == process:
            stopped.set()
            # The producer may be waiting for room. Emptying the queue lets it put the one item it has; then it sees
            # `stopped`. It cannot put two, so it cannot wait again.
            while not ready.empty():
                ready.get_nowait()
            thread.join()
