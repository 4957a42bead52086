"""Learning rates that change during training: objects called with the step, counted from 0, as Keras defines them."""

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from minidl.keras.objects import deserialise, names_of, serialise

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]  # fmt: skip


class LearningRateSchedule:
    """What schedules share. A new one defines __call__(), and get_config() if it is to be saved."""

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal schedule: those of the constructor, kept under their names."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LearningRateSchedule":
        """The schedule that get_config() described."""
        return cls(**config)


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (step / decay_steps); with staircase, the exponent rounded down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _above_0("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step: int) -> float:
        return float(self.initial_learning_rate * self.decay_rate ** _passed(step, self.decay_steps, self.staircase))


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps); with staircase, the fraction rounded down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _above_0("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * _passed(step, self.decay_steps, self.staircase))


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], ..., at last values[-1]."""

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(values) != len(boundaries) + 1 or list(boundaries) != sorted(boundaries):
            raise ValueError(f"PiecewiseConstantDecay: expected boundaries that rise and one value more than those, "
                             f"got boundaries {boundaries} and values {values}")  # fmt: skip
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: int) -> float:
        return self.values[bisect.bisect_left(self.boundaries, int(step))]


class PolynomialDecay(LearningRateSchedule):
    """From initial_ to end_learning_rate along (1 - step / decay_steps) ** power; then it stays there.

    With cycle, it starts again instead, each time towards the next multiple of decay_steps.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _above_0("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def __call__(self, step: int) -> float:
        steps = self.decay_steps * max(1, math.ceil(step / self.decay_steps)) if self.cycle else self.decay_steps
        left = 1 - min(step, steps) / steps
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)


class CosineDecay(LearningRateSchedule):
    """Along half a cosine, during decay_steps, down to the part `alpha` of the rate (Loshchilov and Hutter 2016).

    With a warmup_target, the rate first rises to that in a straight line during warmup_steps, and falls from there.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        _above_0("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        self.name, self.warmup_target, self.warmup_steps = name, warmup_target, warmup_steps

    def __call__(self, step: int) -> float:
        if self.warmup_target is None:
            return self.initial_learning_rate * _half_cosine(min(1, step / self.decay_steps), self.alpha)
        if step < self.warmup_steps:
            rise = self.warmup_target - self.initial_learning_rate
            return self.initial_learning_rate + rise * step / self.warmup_steps
        return self.warmup_target * _half_cosine(min(1, (step - self.warmup_steps) / self.decay_steps), self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """CosineDecay that starts again, in periods each t_mul times as long as the last and m_mul times as high."""

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _above_0("first_decay_steps", first_decay_steps)
        if not t_mul >= 1:
            raise ValueError(f"CosineDecayRestarts: expected t_mul of 1 or more, got {t_mul}: shorter and shorter "
                             f"periods come to an end")  # fmt: skip
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def __call__(self, step: int) -> float:
        period, length, inside = 0, self.first_decay_steps, float(step)
        if self.t_mul == 1:
            period, inside = int(inside // length), inside % length
        while inside >= length:
            period, length, inside = period + 1, length * self.t_mul, inside - length
        return self.initial_learning_rate * _half_cosine(inside / length, self.alpha, self.m_mul**period)


KNOWN = names_of(
    ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay, CosineDecay, CosineDecayRestarts
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """A dict that deserialize() makes an equal schedule of."""
    return serialise("keras.optimizers.schedules", learning_rate_schedule)


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, type[LearningRateSchedule]] | None = None
) -> LearningRateSchedule:
    """The schedule that serialize() described."""
    schedule: LearningRateSchedule = deserialise("schedules.deserialize", config, KNOWN, custom_objects)
    return schedule


def _passed(step: int, decay_steps: float, staircase: bool) -> float:
    """How many times decay_steps have passed; whole times only if `staircase`."""
    return math.floor(step / decay_steps) if staircase else step / decay_steps


def _half_cosine(part: float, alpha: float, height: float = 1.0) -> float:
    """From `height` (part 0) to alpha (part 1)."""
    return (1 - alpha) * height * 0.5 * (1 + math.cos(math.pi * part)) + alpha


def _above_0(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"schedule: expected {name} above 0, got {value}")
