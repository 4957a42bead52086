"""Training: Flux's train() over one pass of the data, and fit() over many epochs with everything around it.

A step is always the same: forward inside training mode, backward, optimiser. What else happens - progress bars, files,
warnings - is callbacks, so that the loop stays short.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minidl.layers.chain import Chain
from minidl.metrics import correct
from minidl.modes import evaluation_mode, no_grad, training_mode
from minidl.optimisers import Optimiser
from minidl.schedules import Schedule
from minidl.tensor import Tensor
from minidl.training.data_loader import DataLoader
from minidl.training.diagnosis import NotFiniteError, explain_not_finite

Loss = Callable[[Tensor, Any], Tensor]  # loss(predicted, target)


def epochs(count: int) -> Iterator[int]:
    """Count from 1 to `count`, printing "Epoch 1" and so on: Flux's @epochs."""
    for epoch in range(1, count + 1):
        print(f"Epoch {epoch}")
        yield epoch


def train(loss: Callable[..., Tensor], params: Mapping[str, Tensor], data: Iterable[Any], optimiser: Optimiser) -> None:
    """One pass over `data`, as Flux's train!: each batch (x, y) goes through loss(x, y), backward and the optimiser.

    Raises NotFiniteError when the loss is nan or infinite, before the parameters are touched.
    """
    for number, batch in enumerate(data, 1):
        with training_mode(optimiser.steps):
            value = loss(*batch) if isinstance(batch, tuple) else loss(batch)
        if not math.isfinite(value.item()):
            raise NotFiniteError(f"train: the loss of batch {number} is {value.item()}; lower the learning rate "
                                 f"(now {optimiser.learning_rate}) or look for bad data")  # fmt: skip
        value.backward()
        optimiser.step(params)


def evaluate(model: Callable[[Any], Tensor], loss: Loss, data: Iterable[Any]) -> dict[str, float]:
    """{"loss", "accuracy"} over all samples of `data`, batches (x, one-hot y), in evaluation mode."""
    total = Totals()
    with no_grad(), evaluation_mode():
        for x, y in data:
            predicted = model(x)
            total.add(loss(predicted, y).item(), correct(predicted, y), len(y))
    if not total.samples:
        raise ValueError("evaluate: expected at least one batch, got none")
    return total.means()


@dataclass
class Totals:
    """Sums over samples, from which means are taken at the end."""

    samples: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0

    def add(self, mean_loss: float, correct: int, samples: int) -> None:
        self.samples += samples
        self.loss += mean_loss * samples
        self.correct += correct

    def means(self) -> dict[str, float]:
        return {"loss": self.loss / self.samples, "accuracy": self.correct / self.samples}


@dataclass
class Position:
    """Where training stands: with model and optimiser, all that a resumed run needs."""

    epoch: int = 0  # epochs that are finished
    batch: int = 0  # batches done in the epoch under way
    totals: Totals = field(default_factory=Totals)  # of the epoch under way
    history: list[dict[str, float]] = field(default_factory=list)  # a row for each finished epoch


class Callback:
    """Something that watches training. Each method is given the Training and may set `training.stop`."""

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

    def run(self, callbacks: Sequence[Callback] = ()) -> None:
        """Go on from `position` to the last epoch, or until a callback sets `stop`."""
        while self.position.epoch < self.epochs and not self.stop:
            started = time.perf_counter()
            for x, y in self.data.batches(self.first_pass + self.position.epoch, self.position.batch):
                self.step(x, y)
                self.position.totals.seconds += time.perf_counter() - started  # waiting for the batch included
                for callback in callbacks:
                    callback.batch_ended(self)
                if self.stop:
                    return
                started = time.perf_counter()
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
        value = loss.item()
        if not math.isfinite(value):
            raise NotFiniteError(explain_not_finite(self.model, x, value, optimiser))
        loss.backward()
        optimiser.step(self.model.params())
        self.position.batch += 1
        self.position.totals.add(value, correct(predicted, y), len(y))

    def _finish_epoch(self) -> None:
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
    Raises NotFiniteError, naming step and layer, when the loss is nan or infinite.
    """
    training = Training(model, loss, data, optimiser, epochs, validation, schedule, first_pass=data.epoch)
    training.run(callbacks)
    data.epoch += training.position.epoch
    return training.position.history
