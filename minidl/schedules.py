"""Learning rates that change during training: functions from the step, counted from 0, to the learning rate.

Each is a function of this file with all arguments but the step filled in, so that it can be pickled.
"""

import bisect
import math
from collections.abc import Callable, Mapping
from functools import partial

from minidl.whole_numbers import whole_number

Schedule = Callable[[int], float]


def constant(learning_rate: float) -> Schedule:
    """The same learning rate at every step."""
    return partial(_constant, learning_rate)


def _constant(learning_rate: float, step: int) -> float:
    return learning_rate


def cosine(learning_rate: float, steps: int, warmup: int = 0) -> Schedule:
    """Rise in a straight line during `warmup` steps to `learning_rate`, then fall along half a cosine to 0 at `steps`.

    Loshchilov and Hutter 2016, without restarts; the rise is that of Goyal et al. 2017.
    """
    warmup, steps = whole_number("cosine", "warmup", warmup), whole_number("cosine", "steps", steps)
    if not 0 <= warmup < steps:
        raise ValueError(f"cosine: expected 0 <= warmup < steps, got warmup {warmup} and steps {steps}")
    return partial(_cosine, learning_rate, steps, warmup)


def _cosine(learning_rate: float, steps: int, warmup: int, step: int) -> float:
    if step < warmup:
        return learning_rate * (step + 1) / warmup
    fallen = min(1.0, (step - warmup) / (steps - warmup))
    return learning_rate * (1 + math.cos(math.pi * fallen)) / 2


def one_cycle(learning_rate: float, steps: int, rise: float = 0.3, start: float = 25.0, end: float = 1e4) -> Schedule:
    """Rise along half a cosine from learning_rate / start, for the part `rise` of the steps, then fall to a tiny rate.

    Smith and Topin 2017, in the form of PyTorch's OneCycleLR: the last step, steps - 1, has the rate divided by start
    and by end.
    """
    steps = whole_number("one_cycle", "steps", steps)
    if not 0 < rise < 1 or steps < 2:
        raise ValueError(f"one_cycle: expected a rise between 0 and 1 and at least 2 steps, got {rise} and {steps}")
    return partial(_one_cycle, learning_rate, steps, rise, start, end)


def _one_cycle(learning_rate: float, steps: int, rise: float, start: float, end: float, step: int) -> float:
    top = rise * steps - 1  # as PyTorch counts
    lowest, last = learning_rate / start, learning_rate / start / end
    if step < top:
        return _between(lowest, learning_rate, step / top)
    return _between(learning_rate, last, min(1.0, (step - top) / (steps - 1 - top)))


def exponential(learning_rate: float, decay: float = 0.1, every: int = 1000, lowest: float = 0.0) -> Schedule:
    """Multiplied by `decay` after `every` steps, again and again, but never below `lowest`: Flux's ExpDecay."""
    if whole_number("exponential", "every", every) < 1:
        raise ValueError(f"exponential: expected every of at least 1 step, got {every}")
    return partial(_exponential, learning_rate, decay, every, lowest)


def _exponential(learning_rate: float, decay: float, every: int, lowest: float, step: int) -> float:
    return max(lowest, learning_rate * decay ** (step // every))


def inverse(learning_rate: float, decay: float = 0.001) -> Schedule:
    """learning_rate / (1 + decay * step): Flux's InvDecay."""
    return partial(_inverse, learning_rate, decay)


def _inverse(learning_rate: float, decay: float, step: int) -> float:
    return learning_rate / (1 + decay * step)


def piecewise(rates: Mapping[int, float]) -> Schedule:
    """Rates by the step from which on they hold: piecewise({0: 0.1, 1000: 0.01})."""
    starts = sorted(rates)
    if not starts or starts[0] != 0:
        raise ValueError(f"piecewise: expected a rate from step 0 on, got {dict(rates)}")
    return partial(_piecewise, starts, [rates[start] for start in starts])


def _piecewise(starts: list[int], rates: list[float], step: int) -> float:
    return rates[bisect.bisect_right(starts, step) - 1]


def warmed_up(schedule: Schedule, warmup: int) -> Schedule:
    """Rise in a straight line during `warmup` steps to what `schedule` has at its step `warmup`; then as it says."""
    if whole_number("warmed_up", "warmup", warmup) < 1:
        raise ValueError(f"warmed_up: expected a warmup of at least 1 step, got {warmup}")
    return partial(_warmed_up, schedule, warmup)


def _warmed_up(schedule: Schedule, warmup: int, step: int) -> float:
    return schedule(warmup) * (step + 1) / warmup if step < warmup else schedule(step)


def _between(first: float, last: float, part: float) -> float:
    """From first (part 0) to last (part 1) along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2
