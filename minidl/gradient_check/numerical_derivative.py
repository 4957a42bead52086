"""The slope of a function, from its values at a few steps to either side, and how far that slope may be off.

A central difference, (f(x + h) - f(x - h)) / 2h, has two errors: the curve is not straight over that distance, which
shrinks with h ** 2, and the values are rounded, which grows with 1 / h. Steps of several sizes show both. Extrapolating
to h = 0 (Richardson's method, in the table of Neville and Ridders) takes most of the first error away, and the distance
between neighbours in the table says how much is left. At a kink, the slopes to the left and to the right stay apart
however small the step; that difference counts as an error, too.

Source: C. J. F. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4 (1982);
J. More and S. Wild, "Estimating computational noise", SIAM Journal on Scientific Computing 33 (2011).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Change = Callable[[float], tuple[float, Numbers]]  # from a step to the step really made, and how much outputs changed

RATIO = 4.0  # from one step to the next smaller one
ROUNDINGS = 10.0  # how many times the measured noise a difference of two values may be off
FIRST_STEP = 2.0**-10  # relative to the size of the number that moves; a power of two, so that sums stay exact
NOISE_STEPS = (2.0**-30, 2.0**-20)  # for measuring noise, relative: near enough that curves are straight; far enough
NOISE_POINTS = 7


@dataclass
class Slopes:
    """One slope per output number, and by how much it may be off: by curvature, by rounding, by a kink."""

    value: Numbers
    curvature: Numbers
    rounding: Numbers
    kink: Numbers
    left: Numbers
    right: Numbers
    steepest: Numbers  # the largest one-sided slope that stood out from the noise, at any step
    unchanged: NDArray[np.bool_]  # the outputs that were the very same at every step
    lowest: Numbers  # of the slopes at larger steps that seem just as certain and contradict it; nan if there is none
    highest: Numbers

    @property
    def uncertainty(self) -> Numbers:
        """How far the value may be from the true slope; inf where there is no finite value."""
        total = self.curvature + self.rounding + self.kink
        return np.where(np.isfinite(self.value) & np.isfinite(total), total, np.inf)

    def or_from_larger_steps(self, other: Slopes) -> Slopes:
        """For each output number the less uncertain one. What larger steps say counts only as far as it agrees.

        Far from where the slope is asked for, a function may well look straight, with another slope.
        """
        with np.errstate(invalid="ignore"):
            apart = abs(other.value - self.value)
            agree = ~(apart > self.uncertainty)
            rival = np.where(~agree & (apart > other.uncertainty), other.value, np.nan)
        mine = (self.uncertainty <= other.uncertainty) | ~agree
        names = ("value", "curvature", "rounding", "kink", "left", "right")
        chosen = {name: np.where(mine, getattr(self, name), getattr(other, name)) for name in names}
        steepest = np.maximum(self.steepest, other.steepest)
        unchanged = self.unchanged & other.unchanged
        lowest = np.fmin(rival, np.fmin(self.lowest, other.lowest))
        highest = np.fmax(rival, np.fmax(self.highest, other.highest))
        return Slopes(**chosen, steepest=steepest, unchanged=unchanged, lowest=lowest, highest=highest)


def steps_for(size: float, others: Sequence[float]) -> list[list[float]]:
    """Steps for a number of this size, most promising first; then, in ladders of their own, for other sizes.

    A step that suits 1e8 does not suit 1e-4. Where nothing is seen at steps that suit the number itself, such as 1e-12
    in 1 + 1e-12, larger ones are tried, relative to the numbers beside it and then to 1.
    """
    sizes = [size]
    for other in others:
        if other > 8 * max(sizes):
            sizes.append(other)
    return [ladder(FIRST_STEP * size, smaller=10, larger=5) for size in sizes]


def ladder(first: float, smaller: int, larger: int) -> list[float]:
    """`first` and the next smaller one, then alternately a larger and a smaller one."""
    down = [first * RATIO**-k for k in range(2, smaller + 2)]
    up = [first * RATIO**k for k in range(1, larger + 1)]
    mixed = [step for pair in zip(up, down, strict=False) for step in pair]
    rest = up[len(down) :] + down[len(up) :]
    return [first, first / RATIO, *mixed, *rest]


def slopes(
    change: Change, noise: Numbers, ladders: Sequence[Sequence[float]], done: NDArray[np.bool_]
) -> Iterator[Slopes]:
    """Estimates from more and more steps, each at least as certain as the one before; stop when one is good enough.

    Smaller steps are left out where the changes of all outputs that are not `done` by now drown in rounding.
    """
    finished: Slopes | None = None
    for steps in ladders:
        table, best = _Table(noise), None
        for step in steps:
            if len(table.rows) > 1 and step < table.rows[-1][0] and table.drowned[~done].all():
                continue
            table.add(change(step), change(-step))
            if len(table.rows) > 1:
                best = table.best() if finished is None else finished.or_from_larger_steps(table.best())
                yield best
        finished = best


class _Table:
    """Central differences by step, the largest first, and their extrapolation."""

    def __init__(self, noise: Numbers) -> None:
        self.noise = noise
        self.rows: list[tuple[float, Numbers, Numbers]] = []  # step, slope to the left, slope to the right

    def add(self, ahead: tuple[float, Numbers], behind: tuple[float, Numbers]) -> None:
        """Take in the outputs' changes a step ahead and a step behind."""
        with np.errstate(all="ignore"):
            left, right = behind[1] / behind[0], ahead[1] / ahead[0]
        self.rows.append(((ahead[0] - behind[0]) / 2, left, right))
        self.rows.sort(key=lambda row: -row[0])

    @property
    def drowned(self) -> NDArray[np.bool_]:
        """Where the changes at the smallest step are no larger than rounding."""
        step, left, right = self.rows[-1]
        return np.asarray(np.maximum(abs(left), abs(right)) <= ROUNDINGS * self.noise / step)

    def best(self) -> Slopes:
        """The entry of the table that is least uncertain, for each output number."""
        unchanged = np.all([(left == 0) & (right == 0) for _, left, right in self.rows], axis=0)
        candidates: list[Slopes] = []
        steepest = np.zeros_like(self.noise)
        with np.errstate(all="ignore"):
            above: list[Numbers] = []
            for k, (step, left, right) in enumerate(self.rows):
                line = [(left + right) / 2]
                rounding = ROUNDINGS * self.noise / step
                clear = np.maximum(abs(left), abs(right)) - 2 * rounding
                steepest = np.fmax(steepest, np.where(np.isfinite(clear), clear, 0.0))
                for m in range(1, min(k, 3) + 1):
                    factor = (self.rows[k - m][0] / step) ** 2 - 1
                    line.append(line[-1] + (line[-1] - above[m - 1]) / factor)
                    error = np.maximum(abs(line[m] - line[m - 1]), abs(line[m] - above[m - 1]))
                    kink = self._kink(k, rounding)
                    none = np.full_like(kink, np.nan)
                    candidates.append(
                        Slopes(line[m], error, rounding, kink, left, right, steepest, unchanged, none, none)
                    )
                above = line
        found = candidates.pop()
        while candidates:
            found = found.or_from_larger_steps(candidates.pop())
        return found

    def _kink(self, k: int, rounding: Numbers) -> Numbers:
        """Half the difference of the one-sided slopes, where a smaller step has hardly made it smaller.

        Where the function jumps, the slope itself grows as the step shrinks.
        """
        before, now = (abs(left + right) / 2 for _, left, right in self.rows[k - 1 : k + 1])
        jump = np.where((now > 2 * before) & (now > 4 * rounding), 2 * now, 0.0)
        apart = [abs(right - left) for _, left, right in self.rows[k - 1 : k + 1]]
        stays = (apart[1] > apart[0] / 2) & (apart[1] > 4 * rounding)
        return np.maximum(jump, np.where(stays, apart[1] / 2, 0.0))


def measured_noise(near: Sequence[Numbers], far: Sequence[Numbers]) -> Numbers:
    """How far each output number is off by rounding, from its values at NOISE_POINTS equal small steps in a row.

    The smaller steps decide, unless the output is too coarse to move at each of them, such as (1e10 + x) - 1e10.
    """
    moves = (np.diff(np.stack(near), axis=0) != 0).all(axis=0)
    nearby, further = _noise(near), _noise(far)
    return np.where(moves, np.minimum(nearby, further), further)


def _noise(values: Sequence[Numbers]) -> Numbers:
    """The fourth difference of a smooth curve over such steps is 0; what is there is noise, sqrt(70) times as large as
    that of one value. A value is never more exact than its own last digit.
    """
    last_digit = np.finfo(np.float64).eps * abs(values[0])
    with np.errstate(all="ignore"):
        fourth = np.diff(np.stack(values), 4, axis=0)
        noise = np.sqrt((fourth**2).mean(axis=0) / 70)
    return np.where(np.isfinite(noise), np.maximum(noise, last_digit), last_digit)
