"""What the engine says beside what the function does: every number is right, wrong, or cannot be judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from minidl.gradient_verdicts import GradientError, Number
from minidl.moving_leaves import Direction, Groups, Moved, Numbers
from minidl.numerical_derivative import NOISE_POINTS, NOISE_STEPS, Slopes, ladder, measured_noise, slopes, steps_for
from minidl.tensor import Tensor, grad

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
    open: list[Number] = field(default_factory=list)  # numbers to look at again

    def run(self, directions: int | None) -> list[str]:
        """Why numbers could not be judged, if any; GradientError when one is wrong. The largest error: `worst`."""
        self.here = {leaf: x.array for leaf, x in self.leaves.items()}
        self.sizes = {leaf: _sizes(x.numpy()) for leaf, x in self.leaves.items()}
        self.base = self._flat()
        if not self.base.size or not any(x.size for x in self.leaves.values()):
            return []
        self._measure_noise()
        self.groups = Groups(self.reach, GROUPS if directions is None else GROUPS_OF_DIRECTIONS, self.random)
        self.noise = self.groups.noise_of(self.output_noise)
        self.computed = self._jacobian()
        if not _same(self._gradients(0), {leaf: rows[0] for leaf, rows in self.computed.items()}):
            raise GradientError(f"{self.name} is not deterministic: two runs of its backward gave different gradients")
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
        return self._second_look() if self.open else []

    def _measure_noise(self) -> None:
        """Move everything a very little, several times: how noisy outputs are, and how far they move."""
        move = {leaf: self.random.uniform(0.5, 1, size.shape) * self.random.choice([-1, 1], size.shape) * size
                for leaf, size in self.sizes.items()}  # fmt: skip
        near, values = ([self._flat_at(move, step * k) for k in range(1, NOISE_POINTS + 1)] for step in NOISE_STEPS)
        self.output_noise = np.maximum(measured_noise(near, values), np.finfo(np.float64).eps * abs(self.base))
        with np.errstate(all="ignore"):
            reach = abs(values[-1] - values[0])
        self.reach = np.where(np.isfinite(reach), reach, 0.0)

    def _jacobian(self) -> dict[str, Numbers]:
        """For each leaf, the gradient of every group of output numbers."""
        rows = [self._gradients(group) for group in range(self.groups.count)]
        return {leaf: np.stack([row[leaf] for row in rows]) for leaf in self.leaves}

    def _gradients(self, group: int) -> dict[str, Numbers]:
        """What the engine says. Zeros where there is no history, as for a constant."""
        with np.errstate(all="ignore"):
            return self._gradients_of(self.outputs(), group)

    def _gradients_of(self, outputs: Sequence[Tensor], group: int) -> dict[str, Numbers]:
        total, start = None, 0
        for y in outputs:
            weights = self.groups.weights(group, start, y.size)
            start += y.size
            if y.requires_grad and weights.any():
                part = (y * Tensor(weights.reshape(y.shape), y.backend)).sum()
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

    def _slope_of(self, move: Direction) -> Numbers:
        """The computed slope of every group along a move."""
        with np.errstate(all="ignore"):
            return np.asarray(sum((self.computed[leaf] * part).reshape(self.groups.count, -1).sum(1)
                                  for leaf, part in move.items()))  # fmt: skip

    def _compare(self, where: str, leaf: str | None, index: tuple[int, ...], move: Direction) -> None:
        computed = self._column(leaf, index) if leaf else self._slope_of(move)
        found, right = self._numerical(computed, leaf, index, move)
        errors = self._errors(computed, found)
        self.worst = max(self.worst, float(errors[right].max(initial=0.0)))
        for group in np.flatnonzero(~right):
            self.open.append(Number(where, int(group), leaf, index, float(computed[group]), _one(found, int(group))))

    def _numerical(
        self, computed: Numbers, leaf: str | None, index: tuple[int, ...], move: Direction
    ) -> tuple[Slopes, NDArray[np.bool_]]:
        """Slopes along a move, from as many steps as it takes, and which of the computed ones they show to be right."""
        found = right = None
        steps = self._steps(leaf, index)
        for found in slopes(lambda step: self._change(leaf, index, move, step), self.noise, steps):
            right = self._is_right(computed, found)
            if right.all():
                break
        assert found is not None
        assert right is not None
        waits = ~right & found.unchanged & (computed == 0)
        if waits.any():  # it looks constant, but so does 1e17 + x: look from afar
            far = 2.0**20 * max(max(ladder_) for ladder_ in steps)
            ahead, behind = (self._change(leaf, index, move, step)[1] for step in (far, -far))
            right |= waits & (ahead == 0) & (behind == 0)
        return found, right

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

    def _errors(self, computed: Numbers, found: Slopes) -> Numbers:
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
        return np.asarray(((self._errors(computed, found) <= self.tolerance) & clear) | constant)

    def _second_look(self) -> list[str]:
        """Judge the open numbers, now that it matters, with what the computed ones are off by rounding."""
        wobble = self._wobble()
        wrong, undecided = [], []
        for number in self.open:
            if number.leaf is not None:
                off = float(wobble[number.leaf][(number.output, *number.index)])
            else:
                off = float(wobble[""][number.output, number.index[0]])
            verdict = self._judge(number, off)
            if verdict == "wrong":
                wrong.append(number)
            elif verdict:
                undecided.append(verdict)
        if wrong:
            raise self._wrong(wrong[0])
        return undecided

    def _wobble(self) -> dict[str, Numbers]:
        """How far computed gradients move when every leaf moves in its last digit. Under "": along the directions."""
        eps = 2 * np.finfo(np.float64).eps
        wobble = {leaf: np.zeros(rows.shape) for leaf, rows in self.computed.items()}
        moves = getattr(self, "random_moves", [])
        wobble[""] = np.zeros((self.groups.count, len(moves)))
        before = self.computed
        for _ in range(2):
            signs = {leaf: self.random.choice([-1.0, 1.0], size.shape) * size for leaf, size in self.sizes.items()}
            for sign in (eps, -eps):
                with self._moved(signs, sign):
                    self.computed = self._jacobian()
                with np.errstate(all="ignore"):
                    for leaf, rows in self.computed.items():
                        wobble[leaf] = np.fmax(wobble[leaf], abs(rows - before[leaf]))
                    along = [self._slope_of(move) for move in moves]
                self.computed = before
                for number, move in enumerate(moves):
                    apart = abs(along[number] - self._slope_of(move))
                    wobble[""][:, number] = np.fmax(wobble[""][:, number], apart)
        return wobble

    def _judge(self, number: Number, off: float) -> str | None:
        """None for right, "wrong", or the reason why that cannot be told."""
        computed, numerical, found = number.computed, number.numerical, number.slopes
        if not np.isfinite(computed):
            return "wrong"
        unsure = float(found.uncertainty)
        if not np.isfinite(unsure):
            return (f"{self._place(number)}: the function is not finite nearby, so there is no slope to compare "
                    f"{computed:.6g} with; check further away from the edge of where it is defined")  # fmt: skip
        scale, apart = max(abs(computed), abs(numerical)), abs(computed - numerical)
        total = unsure + 64 * off + 9 * float(found.kink)  # beside a kink, sums of one-sided slopes may lie anywhere
        if apart <= self.tolerance * scale + total and self._is_noise(number, off):
            return None
        if numerical == 0 and abs(computed) * min(1.0, self._size(number)) <= 1e-14 * self._largest():
            return self._reason(number, off)  # too small to be seen by what is computed on the way
        if apart > self.tolerance * scale + 4 * total:
            return "wrong"
        close = apart <= self.tolerance * scale + total
        if close and total <= UNSURE * self.tolerance * found.steepest and not found.kink:
            return None  # level here, as x ** 2 at 0
        if close and total <= UNSURE * self.tolerance * scale:
            self.worst = max(self.worst, apart / (scale + total / self.tolerance) if apart else 0.0)
            return None
        return self._reason(number, off)

    def _size(self, number: Number) -> float:
        return 1.0 if number.leaf is None else float(self.sizes[number.leaf][number.index])

    def _largest(self) -> float:
        """The largest number among inputs and outputs."""
        return max(float(abs(x).max(initial=0)) for x in [self.base, *(y.numpy() for y in self.leaves.values())])

    def _is_noise(self, number: Number, off: float) -> bool:
        """Whether both values are 0 but for rounding, beside what else is computed."""
        slopes_ = [abs(rows * self.sizes[leaf]).max(initial=0) for leaf, rows in self.computed.items()]
        steepest = float(max(slopes_)) / self._size(number)
        output = float(self.groups.sums(abs(self.base), absolute=True)[number.output])
        natural = max(output / self._size(number), steepest)
        if abs(number.computed) > max(4 * off, 16 * np.finfo(np.float64).eps * steepest):
            return False
        seen = abs(number.numerical) + float(number.slopes.uncertainty) + off
        return seen <= 1e-3 * self.tolerance * natural

    def _reason(self, number: Number, off: float) -> str:
        found, place = number.slopes, self._place(number)
        slopes_seen = f"slope {float(found.left):.6g} to the left, {float(found.right):.6g} to the right"
        if found.kink > max(found.curvature, found.rounding):
            return (f"{place} is at a kink or tie: {slopes_seen}, computed {number.computed:.6g}; move the inputs "
                    f"away from it")  # fmt: skip
        if off > float(found.uncertainty):
            return (f"{place} is at a kink or tie, or too sensitive: the computed gradient, {number.computed:.6g}, "
                    f"moves by {off:.2g} when inputs move in their last digit ({slopes_seen}); move the inputs "
                    f"away from it")  # fmt: skip
        output = float(self.groups.sums(abs(self.base), absolute=True)[number.output])
        if found.rounding >= found.curvature:
            return (f"{place} is lost in rounding: the output is of size {output:.2g}, rounded by about "
                    f"{self.noise[number.output]:.1g}, so that its slope is known to {found.rounding:.1g} only, beside "
                    f"{number.computed:.6g}; shift or scale the output, or check closer to 0")  # fmt: skip
        return (f"{place}: the numerical slope, {number.numerical:.6g}, does not settle as steps shrink (to "
                f"{found.curvature:.1g}; computed {number.computed:.6g}): a kink is near, or the function bends too "
                f"much; move the inputs, or give a smaller nudge")  # fmt: skip

    def _place(self, number: Number) -> str:
        return f"{self.name} with respect to {number.where}, {self._output_name(number.output)}"

    def _output_name(self, group: int) -> str:
        members = self.groups.members(group)
        if len(members) > 1:
            return f"{len(members)} output numbers together"
        start = 0
        for leaf, y in zip([*self.leaves], self.outputs(), strict=False):
            if members[0] < start + y.size:
                index = tuple(int(i) for i in np.unravel_index(members[0] - start, y.shape))
                return f"output {index}" if not self.name.startswith("the gradient") else f"{leaf}{index} of it"
            start += y.size
        return "output"

    def _error_of(self, number: Number) -> float:
        return float(self._errors(np.array(number.computed), number.slopes))

    def _wrong(self, number: Number) -> GradientError:
        error = GradientError(
            f"{self.name} is wrong with respect to {number.where}: computed {number.computed:.10g}, numerical "
            f"{number.numerical:.10g} ({self._output_name(number.output)}, relative error "
            f"{self._error_of(number):.1e}, tolerance {self.tolerance:.1e})"
        )
        if number.leaf is None:
            error.add_note(f"Moving inputs alone, {self._worst_leaf(number)} is the most wrong.")
        return error

    def _worst_leaf(self, number: Number) -> str:
        """The leaf that is most wrong when it moves alone."""
        move = self.random_moves[number.index[0]]

        def wrongness(leaf: str) -> float:
            alone = {leaf: move[leaf]}
            computed = self._slope_of(alone)
            found, _ = self._numerical(computed, None, (), alone)
            difference = abs(computed[number.output] - found.value[number.output])
            return float("inf") if np.isnan(difference) else float(difference)

        return max(self.leaves, key=wrongness)

    def _flat(self) -> Numbers:
        return np.concatenate([y.numpy().ravel() for y in self.outputs()])

    def _flat_at(self, move: Direction, step: float) -> Numbers:
        with np.errstate(all="ignore"), self._moved(move, step):
            return self._flat()

    def _moved(self, move: Direction, step: float) -> Moved:
        return Moved(self.leaves, {leaf: step * part for leaf, part in move.items()})


def _sizes(x: Numbers) -> Numbers:
    """How large each number is; for a zero, how large those beside it are, and 1 when all are zeros."""
    largest = float(abs(x).max(initial=0)) or 1.0
    return np.where(x == 0, largest, abs(x))


def _one(found: Slopes, index: int) -> Slopes:
    return Slopes(*(np.asarray(getattr(found, name)[index]) for name in Slopes.__dataclass_fields__))


def _same(one: Mapping[str, Numbers], other: Mapping[str, Numbers]) -> bool:
    return all(np.array_equal(one[leaf], other[leaf], equal_nan=True) for leaf in one)
