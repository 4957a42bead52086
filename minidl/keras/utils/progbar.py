"""Progbar: a progress bar in the manner of Keras's."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import numpy

BOLD, GREEN, WHITE, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


class Progbar:
    """Shows how far a loop has come: bar = Progbar(100), then bar.update(step, [("loss", 0.5)]) in each step.

    target             the number of steps, or None if nobody knows
    width              of the bar, in characters
    verbose            0: nothing; 1: a bar, drawn over itself on a terminal and in a notebook, and elsewhere printed
                       once, at the end; 2: one line at the end
    interval           seconds between two drawings, at least
    stateful_metrics   names of values that are shown as they are; all others are averaged over the steps
    stateless_metrics  the other way round: names of values that are averaged; only one of the two can be given
    unit_name          what a step is called
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: expected stateful_metrics or stateless_metrics, got both")
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self._averaged = None if stateless_metrics is None else set(stateless_metrics)
        self._shown_as_they_are = set(stateful_metrics or ())
        self._in_place = sys.stdout.isatty() or "ipykernel" in sys.modules
        self._sums: dict[str, tuple[float, int]] = {}  # name -> sum over steps, number of steps
        self._seen = 0
        self._start = time.monotonic()
        self._first_step_ended: float | None = None
        self._last_drawn = float("-inf")
        self._length = 0  # of the line drawn last, which the next has to cover

    def is_due(self) -> bool:
        """Whether update() would draw now, before the end."""
        return self.verbose == 1 and self._in_place and time.monotonic() - self._last_drawn >= self.interval

    def update(
        self, current: int, values: Iterable[tuple[str, float]] | None = None, finalize: bool | None = None
    ) -> None:
        """Step `current`, from 1, is done, with `values` (name, number). `finalize` ends the bar, or the target."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            steps = 1 if finalize else max(current - self._seen, 1)
            self._add(name, float(numpy.mean(value, dtype=numpy.float64)), steps, finalize)
        self._seen = current
        now = time.monotonic()
        per_step = self._seconds_per_step(current, now)
        if self.verbose == 1 and (finalize or self.is_due()):
            self._draw(current, now, per_step, finalize)
            self._last_drawn = now
        elif self.verbose == 2 and finalize and self.target:
            figures = f"{_seconds(now - self._start)} - {self._pace(per_step)}{self._figures()}"
            show(f"{self._count(current)} - {figures}\n")

    def add(self, n: int, values: Iterable[tuple[str, float]] | None = None) -> None:
        """update() by `n` more steps."""
        self.update(self._seen + n, values)

    def _add(self, name: str, value: float, steps: int, finalize: bool) -> None:
        averaged = name not in self._shown_as_they_are if self._averaged is None else name in self._averaged
        total, number = self._sums.get(name, (0.0, 0)) if averaged and not finalize else (0.0, 0)
        self._sums[name] = (total + value * steps, number + steps)

    def _seconds_per_step(self, current: int, now: float) -> float:
        """Without the first step, which compiles, once there is another."""
        if current < 1:
            return 0.0
        first, self._first_step_ended = self._first_step_ended, now if current == 1 else self._first_step_ended
        if first is not None and current > 1:
            return (now - first) / (current - 1)
        return (now - self._start) / current

    def _draw(self, current: int, now: float, per_step: float, finalize: bool) -> None:
        if self.target and not finalize:
            clock = _time_left(per_step * (self.target - current))
        else:
            clock = _seconds(now - self._start)
        rest = f" {self._pace(per_step)}{self._figures()}"
        length = len(f"{self._bar(current)} {clock}{rest}")
        if self._in_place:
            line = f"\r{self._bar(current, colour=True)} {BOLD}{clock}{PLAIN}{rest}"
            line += " " * (self._length - length)
        else:
            line = f"{self._bar(current)} {clock}{rest}"
        self._length = length
        show(line + "\n" * finalize)

    def _bar(self, current: int, colour: bool = False) -> str:
        if not self.target:
            return f"{current:7d}/Unknown"
        done = min(self.width, int(self.width * current / self.target))
        count, left, right = self._count(current), "━" * done, "━" * (self.width - done)
        if colour:
            return f"{BOLD}{count}{PLAIN} {GREEN}{left}{WHITE}{right}{PLAIN}"
        return f"{count} {left}{right}"

    def _count(self, current: int) -> str:
        return f"{current:{len(str(self.target))}d}/{self.target}"

    def _pace(self, per_step: float) -> str:
        if per_step >= 1 or per_step == 0:
            return f"{per_step:.0f}s/{self.unit_name}"
        if per_step >= 1e-3:
            return f"{per_step * 1e3:.0f}ms/{self.unit_name}"
        return f"{per_step * 1e6:.0f}us/{self.unit_name}"

    def _figures(self) -> str:
        means = ((name, total / number) for name, (total, number) in self._sums.items())
        return "".join(
            f" - {name}: {mean:.4f}" if abs(mean) > 1e-3 else f" - {name}: {mean:.4e}" for name, mean in means
        )


def _seconds(duration: float) -> str:
    return f"{duration:.0f}s"


def _time_left(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if seconds > 3600:
        return f"{hours}:{minute:02d}:{second:02d}"
    return f"{minute}:{second:02d}" if seconds > 60 else f"{int(seconds)}s"


def show(text: str) -> None:
    """To standard output, with other signs for the bar where its encoding lacks them."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = text.replace("━", "=")
    sys.stdout.write(text)
    sys.stdout.flush()
