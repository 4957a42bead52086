"""What can be said of a gradient that is not right, and the numbers that it is about."""

from __future__ import annotations

from dataclasses import dataclass

from minidl.gradient_check.numerical_derivative import Slopes


class GradientError(AssertionError):
    """A gradient is not the derivative of its function, or the function has none to compare with."""


class UndecidedError(Exception):
    """A gradient could not be judged: the message says why, and what to do. Not a GradientError: nothing was wrong."""


@dataclass
class Number:
    """One number of a gradient that was not found right at once."""

    where: str
    output: int
    leaf: str | None
    index: tuple[int, ...]
    computed: float
    slopes: Slopes  # of this one number

    @property
    def numerical(self) -> float:
        return float(self.slopes.value)
