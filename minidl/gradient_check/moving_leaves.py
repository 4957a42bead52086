"""Inputs that move for a moment, and outputs that are looked at one by one or in groups."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from minidl.tensor import Tensor

Numbers = NDArray[np.float64]
Direction = Mapping[str, Numbers]  # how much each input moves


class Moved:
    """Leaves a step away, inside a `with` block; afterwards they are the very same arrays again."""

    def __init__(self, leaves: Mapping[str, Tensor], moves: Direction) -> None:
        self.leaves, self.moves = leaves, moves
        self.before = {leaf: leaves[leaf].array for leaf in moves}

    def __enter__(self) -> None:
        for leaf, array in self.before.items():
            self.leaves[leaf].array = array + self.leaves[leaf].backend.asarray(self.moves[leaf])

    def __exit__(self, *error: object) -> None:
        for leaf, array in self.before.items():
            self.leaves[leaf].array = array


class Groups:
    """Output numbers one by one or, if there are too many, random sums of numbers that move about as far."""

    def __init__(self, reach: Numbers, limit: int, random: np.random.Generator) -> None:
        self.single = reach.size <= limit
        self.count = reach.size if self.single else limit
        self.size = reach.size
        self.order = np.arange(reach.size) if self.single else np.argsort(reach, kind="stable")
        self.starts = np.arange(self.count) * reach.size // self.count
        largest = reach.max() or 1.0
        signed = random.choice([-1, 1], reach.size) * random.uniform(0.5, 1, reach.size)
        weighed = signed * largest / np.maximum(reach, 1e-4 * largest)
        self.factors = np.ones(reach.size) if self.single else weighed

    def members(self, group: int) -> NDArray[np.int64]:
        """Which output numbers it sums up."""
        end = self.starts[group + 1] if group + 1 < self.count else self.size
        return np.asarray(self.order[self.starts[group] : end])

    def sums(self, outputs: Numbers, absolute: bool = False) -> Numbers:
        """One number per group."""
        if self.single:
            return outputs
        factors = abs(self.factors) if absolute else self.factors
        with np.errstate(all="ignore"):
            return np.asarray(np.add.reduceat((outputs * factors)[self.order], self.starts))

    def noise_of(self, noise: Numbers) -> Numbers:
        """The noise of each sum."""
        return noise if self.single else np.sqrt(
            np.add.reduceat(((noise * self.factors) ** 2)[self.order], self.starts)
        )  # fmt: skip

    def weights(self, factors: Numbers) -> Numbers:
        """By what each output number is multiplied before all are summed up, to give each group its factor."""
        weights = np.empty(self.size)
        weights[self.order] = np.repeat(factors, np.diff([*self.starts, self.size]))
        return weights * self.factors
