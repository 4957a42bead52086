"""Learning rates that change during training: functions from the step, counted from 0, to the learning rate."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(learning_rate: float) -> Schedule:
    """The same learning rate at every step."""
    return lambda step: learning_rate


def cosine(learning_rate: float, steps: int, warmup: int = 0) -> Schedule:
    """Rise in a straight line during `warmup` steps to `learning_rate`, then fall along half a cosine to 0 at `steps`.

    Loshchilov and Hutter 2016, without restarts; the rise is that of Goyal et al. 2017.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"cosine: expected 0 <= warmup < steps, got warmup {warmup} and steps {steps}")

    def schedule(step: int) -> float:
        if step < warmup:
            return learning_rate * (step + 1) / warmup
        fallen = min(1.0, (step - warmup) / (steps - warmup))
        return learning_rate * (1 + math.cos(math.pi * fallen)) / 2

    return schedule
