"""What fit(), evaluate() and predict() are given, as batches (inputs, target, weight)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain, count, islice
from typing import Any, NamedTuple

import numpy

from minidl.tensor import Tensor
from minidl.training.data_loader import DataLoader
from minidl.whole_numbers import is_whole_number, whole_number

Batch = tuple[list[Any], Any, Any]  # inputs, target or None, weight of each sample or None


class Samples(NamedTuple):
    """Arrays of equal length: one or several inputs, targets, and how much each sample counts."""

    inputs: list[Any]
    target: Any = None
    weight: Any = None

    def part(self, start: int | None, stop: int | None) -> Samples:
        """Those from start to stop."""
        inputs = [x[start:stop] for x in self.inputs]
        return Samples(inputs, *(None if x is None else x[start:stop] for x in (self.target, self.weight)))


class Batches:
    """Batches of an epoch, as often as they are asked for; `steps` is how many they are, None where nobody knows."""

    steps: int | None

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch; the number decides the order, where they are shuffled."""
        raise NotImplementedError


class ArrayBatches(Batches):
    """Cut from arrays."""

    def __init__(
        self, samples: Samples, batch_size: int | None, shuffle: bool = False, steps: int | None = None,
        goes_on: bool = False,
    ) -> None:  # fmt: skip
        size = 32 if batch_size is None else batch_size
        if not is_whole_number(size) or size < 1:
            raise ValueError(f"expected batch_size to be a whole number from 1, got {batch_size!r}")
        self.inputs = len(samples.inputs)
        self.has = [x is not None for x in samples[1:]]
        given = [x for x in samples[1:] if x is not None]
        self.loader = DataLoader((*samples.inputs, *given), size, shuffle=shuffle)
        self.under_way: Iterator[Any] | None = None
        self.goes_on = goes_on and steps is not None
        if not self.goes_on and steps is not None and steps > len(self.loader):
            raise ValueError(f"expected at most {len(self.loader)} steps of {size} samples, got {steps}")
        self.steps = len(self.loader) if steps is None else steps

    def epoch(self, number: int) -> Iterator[Batch]:
        batches = self.loader.batches(number)
        if self.goes_on:  # an epoch is so many steps, wherever the last one ended
            self.under_way = self.under_way or chain(batches, self._passes_from(number + 1))
            batches = self.under_way
        for batch in islice(batches, self.steps):
            others = iter(batch[self.inputs :])
            target, weight = (next(others) if has else None for has in self.has)
            yield list(batch[: self.inputs]), target, weight

    def _passes_from(self, number: int) -> Iterator[Any]:
        return chain.from_iterable(self.loader.batches(later) for later in count(number))


class IterableBatches(Batches):
    """From anything that gives batches x, (x, y) or (x, y, weight): a DataLoader, a list, a generator."""

    def __init__(self, batches: Iterable[Any], steps: int | None) -> None:
        self.batches, self.steps = batches, steps
        if steps is None and isinstance(batches, Sized):
            self.steps = len(batches)
        self.under_way = batches if isinstance(batches, Iterator) else None  # goes on where the last epoch ended

    def epoch(self, number: int) -> Iterator[Batch]:
        for batch in islice(iter(self.batches) if self.under_way is None else self.under_way, self.steps):
            parts = batch if isinstance(batch, tuple) else (batch,)
            if not 1 <= len(parts) <= 3:
                raise ValueError(f"expected batches x, (x, y) or (x, y, sample_weight), got {len(parts)} parts")
            x, target, weight = (*parts, None, None)[:3]
            yield list(x) if isinstance(x, list | tuple) else [x], target, weight


def make_batches(
    method: str, x: Any, y: Any, weight: Any, batch_size: int | None, steps: int | None, shuffle: bool = False,
    goes_on: bool = False,
) -> Batches:  # fmt: skip
    """Batches of arrays, or of what gives batches by itself; with goes_on, an epoch begins where the last one ended."""
    steps = None if steps is None else whole_number(method, "the number of steps", steps, least=1)
    if is_iterable_of_batches(x):
        if y is not None or weight is not None:
            raise ValueError(f"{method}: x gives batches by itself, so targets and weights belong into them: (x, y) or "
                             f"(x, y, sample_weight)")  # fmt: skip
        return IterableBatches(x, steps)
    return ArrayBatches(as_samples(method, x, y, weight), batch_size, shuffle, steps, goes_on)


def is_iterable_of_batches(x: Any) -> bool:
    """Arrays and lists of arrays are samples; everything else that can be iterated over gives batches."""
    return isinstance(x, Iterable) and not hasattr(x, "shape") and not isinstance(x, list | tuple | Mapping)


def as_samples(method: str, x: Any, y: Any = None, weight: Any = None) -> Samples:
    """Arrays, checked: ValueError for none, for no samples, or for unequal lengths."""
    if x is None:
        raise ValueError(f"{method}: expected x, got None")
    inputs = [as_array(one) for one in x] if _holds_arrays(x) else [as_array(x)]
    target, weight = (None if one is None else as_array(one) for one in (y, weight))
    for name, array in (("x", inputs[0]), ("y", target)):
        if array is not None and array.dtype == object:
            raise ValueError(f"{method}: {name} holds rows of unequal length or things that are no numbers")
    lengths = [len(array) if array.ndim else 0 for array in (*inputs, target, weight) if array is not None]
    if len(set(lengths)) > 1:
        names = [f"x[{i}]" if len(inputs) > 1 else "x" for i in range(len(inputs))] + ["y"] * (target is not None) + \
            ["sample_weight"] * (weight is not None)  # fmt: skip
        counts = ", ".join(f"{name} {length}" for name, length in zip(names, lengths, strict=True))
        raise ValueError(f"{method}: expected equally many samples, got {counts}")
    if lengths[0] == 0:
        raise ValueError(f"{method}: expected at least one sample, got x of shape {inputs[0].shape}")
    return Samples(inputs, target, weight)


def split(samples: Samples, share: float) -> tuple[Samples, Samples]:
    """The first samples to train with, and the last `share` of them to validate with."""
    count = len(samples.inputs[0])
    first = int(count * (1 - share))
    if not 0 < share < 1 or not 0 < first < count:
        raise ValueError(f"fit: expected validation_split between 0 and 1 that leaves samples on both sides, got "
                         f"{share} for {count} samples")  # fmt: skip
    return samples.part(None, first), samples.part(first, None)


def weighted_by_class(samples: Samples, class_weight: Mapping[int, float]) -> Samples:
    """Samples whose weight is also that of their class, 1 for classes that are not named."""
    if samples.target is None or samples.weight is not None:
        raise ValueError("fit: class_weight needs targets, and cannot be combined with sample_weight: multiply the two")
    target = numpy.asarray(samples.target)
    one_hot = target.ndim > 1 and target.shape[-1] > 1
    labels = (target.argmax(-1) if one_hot else target.reshape(len(target), -1)[:, 0]).astype(int)
    weight = numpy.array([class_weight.get(int(label), 1.0) for label in labels], numpy.float32)
    return samples._replace(weight=weight)


def as_array(x: Any) -> Any:
    """NumPy's array of it, and an array of a GPU as it is."""
    if isinstance(x, Tensor):
        return x.array
    return x if hasattr(x, "shape") and hasattr(x, "dtype") else numpy.asarray(x)


def _holds_arrays(x: Any) -> bool:
    """Several inputs are a list of arrays; a list of numbers is one input."""
    return isinstance(x, list | tuple) and len(x) > 0 and all(hasattr(one, "shape") for one in x)


def check_sequence(method: str, name: str, value: Any) -> Sequence[Any]:
    """validation_data as (x, y) or (x, y, sample_weight)."""
    if not isinstance(value, list | tuple) or len(value) not in (2, 3):
        raise ValueError(f"{method}: expected {name} as (x, y) or (x, y, sample_weight), or something that gives such "
                         f"batches, got {type(value).__name__}")  # fmt: skip
    return value
