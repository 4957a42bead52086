"""Training: Flux's train() over one pass of the data, and fit() over many epochs with everything around it.

A step is always the same: forward inside training mode, backward, optimiser. What else happens - progress bars, files,
warnings - is callbacks, so that the loop stays short.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from minidl.backend import Array, Backend, default_backend
from minidl.layers.chain import Chain
from minidl.layers.layer import Layer
from minidl.metrics import count_correct
from minidl.modes import evaluation_mode, no_grad, training_mode
from minidl.optimisers import Optimiser
from minidl.schedules import Schedule
from minidl.tensor import Tensor
from minidl.training.data_loader import DataLoader
from minidl.training.device_input import on_backend
from minidl.training.diagnosis import NotFiniteError, explain_not_finite
from minidl.training.gradient_watch import LOOK_EVERY, Mover
from minidl.whole_numbers import whole_number

Loss = Callable[[Tensor, Any], Tensor]  # loss(predicted, target)


def epochs(count: int) -> Iterator[int]:
    """Count from 1 to `count`, printing "Epoch 1" and so on: Flux's @epochs."""
    for epoch in range(1, whole_number("epochs", "count", count) + 1):
        print(f"Epoch {epoch}")
        yield epoch


class StopTraining(Exception):
    """Raised by stop()."""


class SkipBatch(Exception):
    """Raised by skip()."""


def stop() -> NoReturn:
    """Inside train(): no more batches, as Flux's stop()."""
    raise StopTraining


def skip() -> NoReturn:
    """Inside the loss of train(): nothing is learned from this batch, as Flux's skip()."""
    raise SkipBatch


def train(
    loss: Callable[..., Tensor],
    trained: Mapping[str, Tensor] | Layer,
    data: Iterable[Any],
    optimiser: Optimiser,
    cb: Callable[[], object] | None = None,
) -> None:
    """One pass over `data`, as Flux's train!: each batch (x, y) goes through the loss, backward and the optimiser.

    train(loss, model.params(), data, opt) calls loss(x, y), and train(loss, model, data, opt) calls loss(model, x, y):
    Flux's implicit and its explicit form. `cb` is called after each step; it may call stop().

    Raises NotFiniteError when the loss or a gradient is nan or infinite: before the parameters are touched, or, on a
    GPU, which is not waited for in every step, a few batches later. A gradient that is not finite moves nothing there
    either, nor does any after it.
    """
    first = (trained,) if isinstance(trained, Layer) else ()
    watch, mover = LossWatch(), Mover(optimiser)
    with suppress(StopTraining):
        for number, batch in enumerate(data, 1):
            with suppress(SkipBatch):
                with training_mode(optimiser.steps):
                    value = loss(*first, *batch) if isinstance(batch, tuple) else loss(*first, batch)
                _check(watch.add(value), f"of batch {number}", mover)
                value.backward()
                mover.step(trained.params() if isinstance(trained, Layer) else trained, value)
                if cb is not None:
                    cb()
    _check(watch.look(), f"of one of the last {LOOK_EVERY} batches", mover)
    mover.check()


def _check(broken: float | None, where: str, mover: Mover) -> None:
    if broken is not None:
        mover.rewind()
        raise NotFiniteError(f"train: the loss {where} is {broken}; lower the learning rate "
                             f"(now {mover.optimiser.learning_rate}) or look for bad data")  # fmt: skip


def _number(x: Tensor) -> float | Array:
    """The only number inside; on a GPU still an array, which nobody waits for until it is read."""
    return x.item() if x.backend.is_host else x.array.astype("float64")


class LossWatch:
    """Notices a loss that is not finite.

    In the computer's own memory at once. A GPU works through a queue: reading a number means to wait until it is empty,
    and then to fill it again. So losses are added up there, and the sum, which stays nan once a loss was, is read every
    LOOK_EVERY steps.
    """

    def __init__(self) -> None:
        self.unseen: Array | float = 0.0
        self.steps = 0

    def add(self, loss: Tensor) -> float | None:
        """A number that is not finite, if one is noticed now."""
        self.unseen += _number(loss)
        self.steps += 1
        return self.look() if loss.backend.is_host or self.steps % LOOK_EVERY == 0 else None

    def look(self) -> float | None:
        """add() without a further loss."""
        value, self.unseen = float(self.unseen), 0.0
        return None if math.isfinite(value) else value


def evaluate(model: Callable[[Any], Tensor], loss: Loss, data: Iterable[Any]) -> dict[str, float]:
    """{"loss", "accuracy"} over all samples of `data`, batches (x, one-hot y), in evaluation mode."""
    total = Totals()
    with no_grad(), evaluation_mode():
        for x, y in on_backend(data, _backend_of(model)):
            predicted = model(x)
            total.add(loss(predicted, y), predicted, y)
    if not total.samples:
        raise ValueError("evaluate: expected at least one batch, got none")
    return total.means()


@dataclass
class Totals:
    """Sums over samples, from which means are taken at the end.

    On a GPU, loss and correct are arrays of one number there, until somebody asks for plain numbers.
    """

    samples: int = 0
    loss: float | Array = 0.0
    correct: int | Array = 0
    seconds: float = 0.0

    def add(self, mean_loss: Tensor, predicted: Tensor, target: Any) -> None:
        """One batch of predictions (n, classes), with its mean loss."""
        self.samples += len(target)
        self.loss += _number(mean_loss) * len(target)
        self.correct += count_correct(predicted, target)

    def read(self) -> Totals:
        """The same in plain numbers."""
        return Totals(self.samples, float(self.loss), int(self.correct), self.seconds)

    def means(self) -> dict[str, float]:
        plain = self.read()
        return {"loss": plain.loss / plain.samples, "accuracy": plain.correct / plain.samples}


@dataclass
class Position:
    """Where training stands: with model and optimiser, all that a resumed run needs."""

    epoch: int = 0  # epochs that are finished
    batch: int = 0  # batches done in the epoch under way
    totals: Totals = field(default_factory=Totals)  # of the epoch under way
    history: list[dict[str, float]] = field(default_factory=list)  # a row for each finished epoch


class Callback:
    """Something that watches training. Each method is given the Training and may set `training.stop`."""

    def training_began(self, training: Training) -> None:
        """Before the first step, of a resumed run as well."""

    def batch_ended(self, training: Training) -> None:
        """After each step."""

    def epoch_ended(self, training: Training) -> None:
        """After each epoch, its row at the end of the history."""


@dataclass
class Training:
    """Everything that takes part in training, and where it stands; fit() makes one and runs it."""

    model: Chain
    loss: Loss
    data: DataLoader
    optimiser: Optimiser
    epochs: int
    validation: Iterable[Any] | None = None
    schedule: Schedule | None = None
    position: Position = field(default_factory=Position)
    first_pass: int = 0  # the number of the loader's pass that epoch 0 is
    stop: bool = False  # set by a callback: leave after this step
    watch: LossWatch = field(default_factory=LossWatch)

    def __post_init__(self) -> None:
        self.epochs = whole_number("fit", "epochs", self.epochs, least=0)
        self.mover = Mover(self.optimiser, self.model)

    def run(self, callbacks: Sequence[Callback] = ()) -> None:
        """Go on from `position` to the last epoch, or until a callback sets `stop`."""
        backend = _backend_of(self.model)
        self.mover = Mover(self.optimiser, self.model)  # both may have been replaced
        for callback in callbacks:
            callback.training_began(self)
        while self.position.epoch < self.epochs and not self.stop:
            started = time.perf_counter()
            batches = self.data.batches(self.first_pass + self.position.epoch, self.position.batch)
            for x, y in on_backend(batches, backend):
                self.step(x, y)
                self.position.totals.seconds += time.perf_counter() - started  # waiting for the batch included
                for callback in callbacks:
                    callback.batch_ended(self)
                if self.stop:
                    return
                started = time.perf_counter()
            backend.synchronise()  # a GPU may still be at work on what it was asked for
            self.position.totals.seconds += time.perf_counter() - started
            self._finish_epoch()
            for callback in callbacks:
                callback.epoch_ended(self)

    def step(self, x: Any, y: Any) -> None:
        """One batch: forward, backward, optimiser."""
        optimiser = self.optimiser
        if self.schedule is not None:
            optimiser.learning_rate = self.schedule(optimiser.steps)
        with training_mode(optimiser.steps):
            predicted = self.model(x)
            loss = self.loss(predicted, y)
        broken = self.watch.add(loss)
        if broken is not None:
            message = explain_not_finite(self.model, x, broken, optimiser)
            self.mover.rewind()
            raise NotFiniteError(message)
        loss.backward()
        self.mover.step(self.model.params(), loss)
        self.position.batch += 1
        self.position.totals.add(loss, predicted, y)

    def _finish_epoch(self) -> None:
        broken = self.watch.look()
        if broken is not None:
            step = self.optimiser.steps
            self.mover.rewind()
            raise NotFiniteError(f"step {step}: a loss of the last {LOOK_EVERY} steps is {broken}; "
                                 f"lower the learning rate (now {self.optimiser.learning_rate:g})")  # fmt: skip
        self.mover.check()
        position = self.position
        row = {"epoch": position.epoch + 1, **position.totals.means()}
        if self.validation is not None:
            scores = evaluate(self.model, self.loss, self.validation)
            if not math.isfinite(scores["loss"]):
                raise NotFiniteError(f"step {self.optimiser.steps}: the validation loss is {scores['loss']}; "
                                     f"lower the learning rate (now {self.optimiser.learning_rate:g})")  # fmt: skip
            row |= {f"validation_{name}": score for name, score in scores.items()}
        # Asked for again, since a run that was resumed behind the last step of an epoch has not used it yet
        rate = self.optimiser.learning_rate if self.schedule is None else self.schedule(self.optimiser.steps - 1)
        row |= {"learning_rate": rate, "seconds": position.totals.seconds}
        position.history.append(row)
        position.epoch, position.batch, position.totals = position.epoch + 1, 0, Totals()


def fit(
    model: Chain,
    loss: Loss,
    data: DataLoader,
    optimiser: Optimiser,
    epochs: int,
    validation: Iterable[Any] | None = None,
    schedule: Schedule | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[dict[str, float]]:
    """Train for `epochs` passes over `data`, batches (x, one-hot y); returns a row of figures for each epoch.

    loss(predicted, y) is one number. `schedule` gives the learning rate of each step; `validation` is evaluated after
    each epoch. Passes count on from `data.epoch`, so that a second fit() does not see the orders of the first again.
    Raises NotFiniteError, naming step and layer, when the loss or a gradient is nan or infinite; ValueError unless
    `epochs` is a whole number of 0 or more.
    """
    training = Training(model, loss, data, optimiser, epochs, validation, schedule, first_pass=data.epoch)
    training.run(callbacks)
    data.epoch += training.position.epoch
    return training.position.history


def _backend_of(model: Callable[..., Any]) -> Backend:
    """Where the batches of a network, or of a function, have to come."""
    return model.backend if isinstance(model, Layer) else default_backend()
