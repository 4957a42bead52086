"""Switches that are opened by a `with` block and closed again by leaving it.

Each thread has its own: a block opened in one thread is not seen in another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class TrainingStep:
    """One training step: its number, and how many random masks it has drawn so far."""

    number: int
    masks: int = 0

    def next_mask(self) -> tuple[int, int]:
        """(step, mask): a pair that no other mask of this run has. Layers are called in a fixed order."""
        self.masks += 1
        return self.number, self.masks - 1


_recording: ContextVar[bool] = ContextVar("recording", default=True)
_exact_convolution: ContextVar[bool] = ContextVar("exact_convolution", default=False)
_stop_mark: ContextVar[Any] = ContextVar("stop_mark", default=None)
_training_step: ContextVar[TrainingStep | None] = ContextVar("training_step", default=None)
_fusing: ContextVar[bool] = ContextVar("fusing", default=True)


@contextmanager
def _switched(switch: ContextVar[T], value: T) -> Iterator[T]:
    token = switch.set(value)
    try:
        yield value
    finally:
        switch.reset(token)


@contextmanager
def recording(on: bool) -> Iterator[None]:
    """`with recording(False):` functions keep no history. Gradients of gradients record the backward pass too."""
    with _switched(_recording, on):
        yield


@contextmanager
def no_grad() -> Iterator[None]:
    """`with no_grad():` functions keep no history, so that no memory is held for a backward pass."""
    with recording(False):
        yield


@contextmanager
def exact_convolution(on: bool = True) -> Iterator[None]:
    """`with exact_convolution():` convolutions add up the products of the definition, and nothing else.

    Without it, backend "cpu" computes many of them by Winograd's algorithm, which is faster, but whose errors are those
    of the largest numbers nearby. Gradients are computed as their convolution was, wherever backward() is called.
    """
    with _switched(_exact_convolution, on):
        yield


@contextmanager
def stopped_by(mark: Any) -> Iterator[None]:
    """`with stopped_by(mark):` steps on a GPU change nothing once the first number of `mark`, an array there, is not 0.

    So a step can be called off without waiting for the GPU to say whether it has to be.
    """
    with _switched(_stop_mark, mark):
        yield


@contextmanager
def training_mode(step: int = 0) -> Iterator[None]:
    """`with training_mode(step):` dropout drops, batch norm uses its batch. Masks depend on (seed, step) alone."""
    with _switched(_training_step, TrainingStep(step)):
        yield


@contextmanager
def evaluation_mode() -> Iterator[None]:
    """`with evaluation_mode():` switches training behaviour off inside a training step."""
    with _switched(_training_step, None):
        yield


@contextmanager
def unfused() -> Iterator[None]:
    """`with unfused():` every layer is called by itself, and its activation after it; see minidl/layers/fusion.py.

    For readers and debuggers: an error names one layer, and a graph shows every function. It is slower.
    """
    with _switched(_fusing, False):
        yield


def is_fusing() -> bool:
    """Whether layers that follow each other may be computed together now."""
    return _fusing.get()


def is_recording() -> bool:
    """Whether functions keep their history now."""
    return _recording.get()


def is_exact_convolution() -> bool:
    """Whether convolutions are computed by their definition now."""
    return _exact_convolution.get()


def stop_mark() -> Any:
    """The array of stopped_by(), None outside."""
    return _stop_mark.get()


def training_step() -> TrainingStep | None:
    """The training step under way, or None outside training."""
    return _training_step.get()
