"""What can be exercised: an op, its kernels that are to be written, and where each is defined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from minidl.exercises.rows import EASY, EXTREME, Row
from minidl.gradient_examples import EXAMPLES, Example


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function of reference.py that is to be written.

    described: the function of op.py whose docstring says what it computes. task: what is to be done, in a line.
    results: what it returns, by name; nothing where it changes its inputs.
    """

    name: str
    described: str
    task: str
    results: Sequence[str]


@dataclass(frozen=True, eq=False)
class Lesson:
    """An op in minidl/ops with its kernels to be written; its name is what the command calls it."""

    name: str
    op: str
    kernels: Sequence[Kernel]

    @property
    def definition(self) -> ModuleType:
        """op.py, which says what is computed."""
        return import_module(f"minidl.ops.{self.op}.op")

    @property
    def reference(self) -> ModuleType:
        """reference.py, which is right."""
        return import_module(f"minidl.ops.{self.op}.reference")

    @property
    def examples(self) -> list[Example]:
        """The framework's own examples of the op, whose gradients are checked."""
        return [example for example in EXAMPLES if self._is_of_op(example)]

    @property
    def rows(self) -> list[Row]:
        """All rows that the kernels are compared on, the easiest first."""
        return [*EASY[self.op], *self.examples, *EXTREME.get(self.op, [])]

    def _is_of_op(self, example: Example) -> bool:
        function = getattr(self.definition, example.op, None)
        return getattr(function, "__module__", None) == self.definition.__name__


def _lesson(name: str, *kernels: Kernel, op: str | None = None) -> Lesson:
    return Lesson(name, op or name, kernels)


LESSONS = {
    lesson.name: lesson
    for lesson in [
        _lesson(
            "conv2d",
            Kernel("forward", "conv2d", "compute y (n, out_h, out_w, f)", ["y"]),
            Kernel("input_gradient", "conv2d_input_gradient",
                   "compute dx of x_shape: each dy times the filter, added up", ["dx"]),
            Kernel("weight_gradient", "conv2d_weight_gradient",
                   "compute dweight: for each tap, the sum of its pixels times dy", ["dweight"]),
        ),
        _lesson(
            "max_pool2d",
            Kernel("forward", "max_pool2d", "compute y, and choice: which tap, ki * width + kj, won", ["y", "choice"]),
            Kernel("gather", "max_pool2d_gather", "compute y, the pixels that choice names", ["y"]),
            Kernel("scatter", "max_pool2d_scatter", "compute dx of x_shape: each dy goes where choice says", ["dx"]),
        ),
        _lesson(
            "mean_pool2d",
            Kernel("forward", "mean_pool2d", "compute y (n, out_h, out_w, c), the average under each window", ["y"]),
            Kernel("gradient", "mean_pool2d_gradient", "compute dx of x_shape: each dy shared by its window", ["dx"]),
        ),
        _lesson(
            "dense",
            Kernel("forward", "dense", "compute y (n, out)", ["y"]),
            Kernel("input_gradient", "dense_input_gradient", "compute dx (n, in)", ["dx"]),
            Kernel("weight_gradient", "dense_weight_gradient", "compute dweight (in, out)", ["dweight"]),
        ),
        _lesson(
            "softmax",
            Kernel("softmax", "softmax", "compute y of x's shape; the sum of each row is 1", ["y"]),
            Kernel("logsoftmax", "logsoftmax", "compute log(softmax(x)), finite for every finite x", ["y"]),
        ),
        _lesson(
            "relu",
            Kernel("forward", "relu", "compute y of x's shape", ["y"]),
            Kernel("gradient", "relu_gradient", "compute dx of dy's shape", ["dx"]),
        ),
        _lesson(
            "batch_norm",
            Kernel("statistics", "batch_norm", "compute mean (c,) and variance (c,)", ["mean", "variance"]),
            Kernel("normalise", "normalise", "compute y of x's shape", ["y"]),
            Kernel("gradient", "batch_norm", "compute dx, dscale, dshift; deviation is sqrt(variance + eps)",
                   ["dx", "dscale", "dshift"]),
        ),
        _lesson("dropout", Kernel("apply", "dropout", "compute y; number i is 0 where "
                                  "_hashes(x.size, key)[i] < np.uint32(rate * 2**32)", ["y"])),
        _lesson("softmax_cross_entropy", Kernel("forward", "softmax_cross_entropy", "compute losses (n,)", ["losses"])),
        _lesson("momentum", Kernel("momentum", "momentum", "change velocities and parameters in place", []),
                op="optimiser_steps"),
    ]
}  # fmt: skip
