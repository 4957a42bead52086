"""Slopes that do not agree at once, the computed and the numerical one: right after all, wrong, or not to be judged.

Computed gradients are rounded, too. By how much is seen when all inputs move in their last digit.
"""

from __future__ import annotations

import numpy as np

from minidl.gradient_check.comparison import EPS, UNSURE, Comparison
from minidl.gradient_check.moving_leaves import Numbers
from minidl.gradient_check.verdicts import GradientError, Number


def verdicts(compared: Comparison) -> list[str]:
    """Why numbers cannot be judged, if any; GradientError when one is wrong."""
    return _Judge(compared).run() if compared.open else []


class _Judge:
    def __init__(self, compared: Comparison) -> None:
        self.compared = compared

    def run(self) -> list[str]:
        """Why numbers cannot be judged, if any; GradientError when one is wrong."""
        if not all(np.array_equal(self.compared.flat(), self.compared.base, equal_nan=True) for _ in range(2)):
            raise GradientError(f"{self.compared.name} is not deterministic: after some calls, the same inputs give "
                                f"other results")  # fmt: skip
        wobble = self._wobble()
        wrong, undecided = [], []
        for number in self.compared.open:
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
        compared, moves = self.compared, self.compared.random_moves
        before = compared.computed
        along = [compared.slope_along(move) for move in moves]
        wobble = {leaf: np.zeros(rows.shape) for leaf, rows in before.items()}
        wobble[""] = np.zeros((compared.groups.count, len(moves)))
        for _ in range(2):
            signs = {leaf: self._signs(size.shape) * size for leaf, size in compared.sizes.items()}
            for step in (2 * EPS, -2 * EPS):
                with compared.moved(signs, step):
                    after = compared.jacobian()
                with np.errstate(all="ignore"):
                    for leaf, rows in after.items():
                        wobble[leaf] = np.fmax(wobble[leaf], abs(rows - before[leaf]))
                    for k, move in enumerate(moves):
                        apart = abs(compared.slope_along(move, after) - along[k])
                        wobble[""][:, k] = np.fmax(wobble[""][:, k], apart)
        return wobble

    def _signs(self, shape: tuple[int, ...]) -> Numbers:
        return np.asarray(self.compared.random.choice([-1.0, 1.0], shape))

    def _judge(self, number: Number, off: float) -> str | None:
        """None for right, "wrong", or the reason why that cannot be told."""
        computed, numerical, found = number.computed, number.numerical, number.slopes
        if not np.isfinite(computed):
            return "wrong"
        unsure, tolerance = float(found.uncertainty), self.compared.tolerance
        if not np.isfinite(unsure):
            return (f"{self._place(number)}: the function is not finite nearby, so there is no slope to compare "
                    f"{computed:.6g} with; check further away from the edge of where it is defined")  # fmt: skip
        scale, apart = max(abs(computed), abs(numerical)), abs(computed - numerical)
        total = unsure + 64 * off + 9 * float(found.kink)  # beside a kink, sums of one-sided slopes may lie anywhere
        close = apart <= tolerance * scale + total
        level = abs(computed) <= 4 * off and total <= UNSURE * tolerance * found.steepest  # as x ** 2 at 0
        if close and (self._is_zero(number, off) or (level and not found.kink)):
            return None
        if numerical == 0 and abs(computed) * min(1.0, self._size(number)) <= 1e-14 * self._largest():
            return self._reason(number, off)  # too small to be seen by what is computed on the way
        if apart > tolerance * scale + 4 * total and not self._fits_larger_steps(number):
            return "wrong"
        if close and total <= UNSURE * tolerance * scale:
            error = apart / (scale + total / tolerance) if apart else 0.0
            self.compared.worst = max(self.compared.worst, error)
            return None
        return self._reason(number, off)

    def _fits_larger_steps(self, number: Number) -> bool:
        """Whether larger steps, which seem certain, too, contradict the numerical slope and not the computed one."""
        margin = 0.1 * abs(number.computed - number.numerical)
        found = number.slopes
        return bool(found.lowest - margin <= number.computed <= found.highest + margin)

    def _is_zero(self, number: Number, off: float) -> bool:
        limit, size = 1e-3 * self.compared.tolerance, self._size(number)
        zero = self.compared.is_zero(np.asarray(number.computed), number.slopes, size, limit, off)
        return bool(zero[number.output])

    def _size(self, number: Number) -> float:
        return self.compared.size(number.leaf, number.index)

    def _largest(self) -> float:
        """The largest number among inputs and outputs."""
        inputs = [x.numpy() for x in self.compared.leaves.values()]
        return max(float(abs(x).max(initial=0)) for x in [self.compared.base, *inputs])

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
        if self._fits_larger_steps(number):
            return (f"{place}: the slope at larger steps, {float(found.lowest):.6g}, is close to the computed "
                    f"{number.computed:.6g}, the one at small steps, {number.numerical:.6g}, is not: on the way, "
                    f"values are rounded in steps, or the function bends; shift or scale what is computed")  # fmt: skip
        output, noise = self.compared.output_sizes[number.output], self.compared.noise[number.output]
        if found.rounding >= found.curvature:
            return (f"{place} is lost in rounding: the output is of size {output:.2g}, rounded by about "
                    f"{noise:.1g}, so that its slope is known to {found.rounding:.1g} only, beside "
                    f"{number.computed:.6g}; shift or scale the output, or check closer to 0")  # fmt: skip
        return (f"{place}: the numerical slope, {number.numerical:.6g}, does not settle as steps shrink (to "
                f"{found.curvature:.1g}; computed {number.computed:.6g}): a kink is near, or the function bends too "
                f"much; move the inputs, or give a smaller nudge")  # fmt: skip

    def _place(self, number: Number) -> str:
        return f"{self.compared.name} with respect to {number.where}, {self._output_name(number.output)}"

    def _output_name(self, group: int) -> str:
        members = self.compared.groups.members(group)
        of_gradient = self.compared.name.startswith("the gradient")
        if len(members) > 1:
            return f"{len(members)} output numbers together"
        start = 0
        for leaf, y in zip([*self.compared.leaves], self.compared.outputs(), strict=False):
            if members[0] < start + y.size:
                index = tuple(int(i) for i in np.unravel_index(members[0] - start, y.shape))
                return f"{leaf}{index} of it" if of_gradient else f"output {index}"
            start += y.size
        return "output"

    def _error_of(self, number: Number) -> float:
        return float(self.compared.errors(np.array(number.computed), number.slopes))

    def _wrong(self, number: Number) -> GradientError:
        error = GradientError(
            f"{self.compared.name} is wrong with respect to {number.where}: computed {number.computed:.10g}, numerical "
            f"{number.numerical:.10g} ({self._output_name(number.output)}, relative error "
            f"{self._error_of(number):.1e}, tolerance {self.compared.tolerance:.1e})"
        )
        if number.leaf is None:
            error.add_note(f"Moving inputs alone, {self._worst_leaf(number)} is the most wrong.")
        return error

    def _worst_leaf(self, number: Number) -> str:
        """The leaf that is most wrong when it moves alone."""
        move = self.compared.random_moves[number.index[0]]

        def wrongness(leaf: str) -> float:
            alone = {leaf: move[leaf]}
            computed = self.compared.slope_along(alone)
            found, _ = self.compared.numerical(computed, None, (), alone)
            difference = abs(computed[number.output] - found.value[number.output])
            return float("inf") if np.isnan(difference) else float(difference)

        return max(self.compared.leaves, key=wrongness)
