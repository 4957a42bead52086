"""What the engine says beside what the function does. Numbers that do not agree at once are judged in judging.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from minidl.gradient_check.moving_leaves import Direction, Groups, Moved, Numbers
from minidl.gradient_check.numerical_derivative import (
    NOISE_POINTS,
    NOISE_STEPS,
    Slopes,
    ladder,
    measured_noise,
    slopes,
    steps_for,
)
from minidl.gradient_check.verdicts import GradientError, Number
from minidl.tensor import Tensor, grad

EPS = float(np.finfo(np.float64).eps)
ZERO = 256 * EPS  # what is seen to be 0 so far, relative to other numbers, needs no more steps
GROUPS = 256  # so many output numbers are checked one by one; of more, so many random sums of numbers of like size
GROUPS_OF_DIRECTIONS = 8
UNSURE = 100.0  # a slope that is unsure by more than so many tolerances is not judged
FIRST_STEP_OF_DIRECTIONS = 2.0**-20  # when all numbers move at once, a network has many kinks to step over


@dataclass
class Comparison:
    """How outputs depend on leaves, by backward and by moving the leaves."""

    name: str
    leaves: dict[str, Tensor]
    outputs: Callable[[], Sequence[Tensor]]
    tolerance: float
    nudge: float | None
    random: np.random.Generator
    worst: float = 0.0
    open: list[Number] = field(default_factory=list)  # numbers to be judged
    random_moves: list[dict[str, Numbers]] = field(default_factory=list)

    def run(self, directions: int | None) -> None:
        """Compare; `worst` is then the largest error of the numbers that agree, and `open` are the others."""
        self.here = {leaf: x.array for leaf, x in self.leaves.items()}
        self.sizes = {leaf: _sizes(x.numpy()) for leaf, x in self.leaves.items()}
        self.base = self.flat()
        if not self.base.size or not any(x.size for x in self.leaves.values()):
            return
        self._measure_noise()
        self.groups = Groups(self.reach, GROUPS if directions is None else GROUPS_OF_DIRECTIONS, self.random)
        self.noise = self.groups.noise_of(self.output_noise)
        self.output_sizes = self.groups.sums(abs(self.base), absolute=True)
        self.computed = self.jacobian()
        self.largest_effect = max(abs(rows * self.sizes[leaf]).max(initial=0) for leaf, rows in self.computed.items())
        if not all(self._repeats(group) for group in (-1, 0)):  # the last one is then the very next one
            raise GradientError(f"{self.name} is not deterministic: two runs of its backward gave different gradients")
        self._check_linear()
        if directions is None:
            for leaf, index, move in self._single_moves():
                self._compare(f"{leaf}, index {index}", leaf, index, move)
        else:
            self.random_moves = [
                {leaf: self.random.standard_normal(x.shape) * self.sizes[leaf] for leaf, x in self.leaves.items()}
                for _ in range(directions)
            ]
            for number, move in enumerate(self.random_moves):
                self._compare(f"direction {number}", None, (number,), move)

    def _repeats(self, group: int) -> bool:
        """Whether backward gives the same bits again."""
        again = self.gradients(group % self.groups.count)
        return all(np.array_equal(again[leaf], rows[group], equal_nan=True) for leaf, rows in self.computed.items())

    def _check_linear(self) -> None:
        """GradientError unless backward, given a sum of groups, gives that sum of gradients, as by definition."""
        factors = self.random.uniform(2, 8, self.groups.count) * self.random.choice([-1, 1], self.groups.count)
        rounding = 1e4 * EPS * self.output_sizes.max()
        for signed in (factors, -factors):
            found = self._gradients_of(signed)
            for leaf, rows in self.computed.items():
                with np.errstate(all="ignore"):
                    terms = rows * signed.reshape(-1, *[1] * (rows.ndim - 1))
                    apart = abs(found[leaf] - terms.sum(0)) - self.tolerance * abs(terms).sum(0)
                    seen = apart * self.sizes[leaf] > self.tolerance * self.largest_effect + rounding
                if (seen & np.isfinite(terms.sum(0))).any():
                    raise GradientError(f"{self.name} is wrong with respect to {leaf}: its backward is not linear in "
                                        f"dy, the gradient that comes in")  # fmt: skip

    def _measure_noise(self) -> None:
        """Move everything a very little, several times: how noisy outputs are, and how far they move."""
        move = {leaf: self.random.uniform(0.5, 1, size.shape) * self.random.choice([-1, 1], size.shape) * size
                for leaf, size in self.sizes.items()}  # fmt: skip
        near, values = ([self._flat_at(move, step * k) for k in range(1, NOISE_POINTS + 1)] for step in NOISE_STEPS)
        self.output_noise = np.maximum(measured_noise(near, values), EPS * abs(self.base))
        with np.errstate(all="ignore"):
            reach = abs(values[-1] - values[0])
        self.reach = np.where(np.isfinite(reach), reach, 0.0)

    def jacobian(self) -> dict[str, Numbers]:
        """For each leaf, the gradient of every group of output numbers."""
        rows = [self.gradients(group) for group in range(self.groups.count)]
        return {leaf: np.stack([row[leaf] for row in rows]) for leaf in self.leaves}

    def gradients(self, group: int) -> dict[str, Numbers]:
        """What the engine says of one group."""
        return self._gradients_of(np.eye(1, self.groups.count, group)[0])

    def _gradients_of(self, factors: Numbers) -> dict[str, Numbers]:
        """What it says of all groups, each multiplied by a factor. Zeros without a history, as of a constant."""
        with np.errstate(all="ignore"):
            return self._backward(self.outputs(), self.groups.weights(factors))

    def _backward(self, outputs: Sequence[Tensor], weights: Numbers) -> dict[str, Numbers]:
        total, start = None, 0
        for y in outputs:
            dy = weights[start : start + y.size].reshape(y.shape)
            start += y.size
            if y.requires_grad and dy.any():
                part = (y * Tensor(dy, y.backend)).sum()
                total = part if total is None else total + part
        if total is None:
            return {leaf: np.zeros(x.shape) for leaf, x in self.leaves.items()}
        return {leaf: dx.numpy().copy() for leaf, dx in zip(self.leaves, grad(total, list(self.leaves.values())),
                                                            strict=True)}  # fmt: skip

    def _single_moves(self) -> Iterator[tuple[str, tuple[int, ...], Direction]]:
        for leaf, x in self.leaves.items():
            for index in np.ndindex(x.shape):
                move = np.zeros(x.shape)
                move[index] = 1
                yield leaf, index, {leaf: move}

    def _column(self, leaf: str, index: tuple[int, ...]) -> Numbers:
        """The computed slope of every group with respect to one number."""
        return np.asarray([rows[index] for rows in self.computed[leaf]])

    def slope_along(self, move: Direction, gradients: dict[str, Numbers] | None = None) -> Numbers:
        """The slope of every group along a move: of the computed gradients, or of other ones."""
        rows = gradients or self.computed
        with np.errstate(all="ignore"):
            return np.asarray(sum((rows[leaf] * part).reshape(self.groups.count, -1).sum(1)
                                  for leaf, part in move.items()))  # fmt: skip

    def _compare(self, where: str, leaf: str | None, index: tuple[int, ...], move: Direction) -> None:
        computed = self._column(leaf, index) if leaf else self.slope_along(move)
        found, right = self.numerical(computed, leaf, index, move)
        errors = self.errors(computed, found)
        self.worst = max(self.worst, float(errors[self._is_right(computed, found)].max(initial=0.0)))
        for group in np.flatnonzero(~right):
            self.open.append(Number(where, int(group), leaf, index, float(computed[group]), _one(found, int(group))))

    def numerical(
        self, computed: Numbers, leaf: str | None, index: tuple[int, ...], move: Direction
    ) -> tuple[Slopes, NDArray[np.bool_]]:
        """Slopes along a move, from as many steps as it takes, and which of the computed ones they show to be right."""
        found = None
        right = np.zeros(self.groups.count, bool)
        size, steps = self.size(leaf, index), self._steps(leaf, index)
        for found in slopes(lambda step: self._change(leaf, index, move, step), self.noise, steps, right):
            right[:] = self._is_right(computed, found) | self.is_zero(computed, found, size, ZERO)
            if right.all():
                break
        assert found is not None
        waits = ~right & found.unchanged & (computed == 0)
        if waits.any():  # it looks constant, but so does 1e17 + x: look from afar
            far = 2.0**20 * max(max(ladder_) for ladder_ in steps)
            ahead, behind = (self._change(leaf, index, move, step)[1] for step in (far, -far))
            right |= waits & (ahead == 0) & (behind == 0)
        return found, right

    def size(self, leaf: str | None, index: tuple[int, ...]) -> float:
        """How large the number is that moves; 1 along a direction, where each moves by its size."""
        return 1.0 if leaf is None else float(self.sizes[leaf][index])

    def is_zero(
        self, computed: Numbers, found: Slopes, size: float, limit: float, off: float = 0.0
    ) -> NDArray[np.bool_]:
        """Where both slopes are 0 as far as can be seen, and that is to `limit`, relative to what else is computed.

        `off` is the rounding of the computed one.
        """
        steepest = self.largest_effect / size
        natural = np.maximum(self.output_sizes / size, steepest)
        small = abs(computed) <= max(4 * off, 16 * EPS * steepest)
        with np.errstate(invalid="ignore"):
            near = abs(found.value) <= found.uncertainty + off
            return np.asarray(small & near & (found.uncertainty + off <= limit * natural))

    def _steps(self, leaf: str | None, index: tuple[int, ...]) -> list[list[float]]:
        if self.nudge is not None:
            return [ladder(self.nudge, smaller=4, larger=0)]
        if leaf is None:
            return [ladder(FIRST_STEP_OF_DIRECTIONS, smaller=5, larger=8)]
        return steps_for(float(self.sizes[leaf][index]), [float(self.sizes[leaf].max()), 1.0])

    def _change(self, leaf: str | None, index: tuple[int, ...], move: Direction, step: float) -> tuple[float, Numbers]:
        if leaf is not None:  # the step that is really made, after rounding
            here = self.here[leaf][index]
            step = float((here + step) - here) or step
        return step, self.groups.sums(self._flat_at(move, step) - self.base)

    def errors(self, computed: Numbers, found: Slopes) -> Numbers:
        """Relative to the number itself, forgiving what the numerical slope may be off; inf for nan."""
        with np.errstate(all="ignore"):
            scale = np.maximum(abs(computed), abs(found.value)) + found.uncertainty / self.tolerance
            errors = np.where(computed == found.value, 0.0, abs(computed - found.value) / scale)
        return np.where(np.isfinite(computed), np.where(np.isnan(errors), np.inf, errors), np.inf)

    def _is_right(self, computed: Numbers, found: Slopes) -> NDArray[np.bool_]:
        scale = np.maximum(abs(computed), abs(found.value))
        clear = found.uncertainty <= UNSURE * self.tolerance * scale
        with np.errstate(invalid="ignore"):
            constant = found.unchanged & (computed == 0) & (found.rounding <= self.tolerance)
        return np.asarray(((self.errors(computed, found) <= self.tolerance) & clear) | constant)

    def flat(self) -> Numbers:
        return np.concatenate([y.numpy().ravel() for y in self.outputs()])

    def _flat_at(self, move: Direction, step: float) -> Numbers:
        with np.errstate(all="ignore"), self.moved(move, step):
            return self.flat()

    def moved(self, move: Direction, step: float) -> Moved:
        return Moved(self.leaves, {leaf: step * part for leaf, part in move.items()})


def _sizes(x: Numbers) -> Numbers:
    """How large each number is; for a zero, how large those beside it are, and 1 when all are zeros."""
    largest = float(abs(x).max(initial=0)) or 1.0
    return np.where(x == 0, largest, abs(x))


def _one(found: Slopes, index: int) -> Slopes:
    return Slopes(*(np.asarray(getattr(found, name)[index]) for name in Slopes.__dataclass_fields__))
