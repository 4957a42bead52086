"""What `minidl train` does beside training: shows progress, keeps the run folder, listens to Ctrl-C, warns."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from minidl.training.diagnosis import NotFiniteError, explain_dead_signal, first_broken_parameter
from minidl.training.loop import Callback, Training
from minidl.training.run_folder import RunFolder


class ProgressDisplay(Callback):
    """A bar with loss, accuracy, images/s and time left; where output is no terminal, a line every half minute.

    Figures are asked for no more often than they are shown: on a GPU, to read them is to wait for it.
    """

    LINE_EVERY, BAR_EVERY = 30.0, 0.5  # seconds

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"), TimeRemainingColumn(), TextColumn("left"),
            console=console, transient=True,
        )  # fmt: skip
        self.task: TaskID | None = None
        self.last_shown = float("-inf") if console.is_terminal else time.monotonic()

    def __enter__(self) -> ProgressDisplay:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:  # elsewhere it would print an empty line
            self.bar.stop()

    def batch_ended(self, training: Training) -> None:
        every = self.BAR_EVERY if self.console.is_terminal else self.LINE_EVERY
        if time.monotonic() - self.last_shown < every:
            return
        self.last_shown = time.monotonic()
        position, batches, figures = training.position, len(training.data), _figures(training)
        epoch = f"{position.epoch + 1}/{training.epochs}"
        if self.console.is_terminal:
            if self.task is None:
                self.task = self.bar.add_task("", total=batches, completed=position.batch, epoch=epoch, figures=figures)
            self.bar.update(self.task, completed=position.batch, epoch=epoch, figures=figures)
        else:
            left = position.totals.seconds / position.batch * (batches - position.batch)
            self.console.print(
                f"epoch {epoch}  batch {position.batch}/{batches}  {figures}  {_clock(left)} left in this epoch",
                soft_wrap=True,
            )

    def epoch_ended(self, training: Training) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None
        row = training.position.history[-1]
        text = f"epoch {row['epoch']:.0f}/{training.epochs}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.2%}"
        if "validation_loss" in row:
            text += f"  validation loss {row['validation_loss']:.4f}  accuracy {row['validation_accuracy']:.2%}"
        self.console.print(f"{text}  {_clock(row['seconds'])}", soft_wrap=True)


def _figures(training: Training) -> str:
    totals = training.position.totals
    means = totals.means()
    rate = totals.samples / totals.seconds
    return f"loss {means['loss']:.4f}  accuracy {means['accuracy']:.2%}  {rate:.0f} images/s"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


class KeepRunFolder(Callback):
    """Save history, curves and a checkpoint after each epoch, and a checkpoint every few minutes within it."""

    CHECKPOINT_EVERY = 300.0  # seconds

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.last_checkpoint = time.monotonic()

    def batch_ended(self, training: Training) -> None:
        if training.stop or time.monotonic() - self.last_checkpoint >= self.CHECKPOINT_EVERY:
            self._save_checkpoint(training)

    def epoch_ended(self, training: Training) -> None:
        self.folder.save_history(training.position.history)  # first: what the checkpoint counts as done is on disk
        self._save_checkpoint(training)
        self.folder.save_curves(training.position.history)

    def _save_checkpoint(self, training: Training) -> None:
        broken = first_broken_parameter(training.model)
        if broken is not None:
            raise NotFiniteError(f"step {training.optimiser.steps}: {broken} holds numbers that are not finite; lower "
                                 f"the learning rate. The checkpoint before this one is kept")  # fmt: skip
        self.folder.save_checkpoint(training.model, training.optimiser, training.position)
        self.last_checkpoint = time.monotonic()


HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none


class StopOnInterrupt(Callback):
    """Ctrl-C (or a request to terminate) finishes the step and stops; a second one stops at once.

    The end of its terminal (SIGHUP) counts as the first, however often it comes; under nohup it is ignored.
    Comes before KeepRunFolder among the callbacks, which then saves.
    """

    MESSAGE = b"\nFinishing this step, then saving. Ctrl-C once more stops without saving.\n"

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> StopOnInterrupt:
        listened = [signal.SIGINT, signal.SIGTERM]
        if HANG_UP is not None and signal.getsignal(HANG_UP) is not signal.SIG_IGN:
            listened.append(HANG_UP)
        self.before = {number: signal.signal(number, self._request) for number in listened}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number != HANG_UP:
            raise KeyboardInterrupt
        self.requested = True
        with suppress(OSError):  # of a terminal that is gone
            os.write(2, self.MESSAGE)  # to standard error; print() may not be called while another one is under way

    def batch_ended(self, training: Training) -> None:
        training.stop = training.stop or self.requested

    def epoch_ended(self, training: Training) -> None:
        training.stop = training.stop or self.requested


class WatchSignal(Callback):
    """Say which layer's signal has died when the loss stays that of guessing, ln(classes)."""

    FIRST_LOOK = 100  # steps: by then a network that learns has left ln(classes)
    CLOSE = 0.05  # of the loss to ln(classes); dropout adds some noise

    def __init__(self, images: Any, say: Callable[[str], object]) -> None:
        self.images, self.say = images, say
        self.said = False

    def batch_ended(self, training: Training) -> None:
        if training.optimiser.steps == self.FIRST_LOOK:
            self._look(training, training.position.totals.means()["loss"])

    def epoch_ended(self, training: Training) -> None:
        self._look(training, training.position.history[-1]["loss"])

    def _look(self, training: Training, loss: float) -> None:
        guessing = math.log(training.data.data[1].shape[-1])
        if self.said or abs(loss - guessing) > self.CLOSE:
            return
        explanation = explain_dead_signal(training.model, self.images, training.optimiser.steps)
        if explanation is not None:
            self.said = True
            self.say(f"The loss stays at {loss:.4f}, that of guessing (ln of the number of classes): {explanation}.")
