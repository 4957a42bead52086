"""What the kernels of an exercise are tried with, beside minidl/gradient_examples.py: from easy rows to hard ones.

A row is an Example, a function of minidl with its inputs; or a Step, an optimiser's. EASY ones come before the
framework's own examples, so that the first error shows in few numbers; EXTREME ones behind them hold what has no
gradient to check: ties, huge scores, numbers that are not finite.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl import functions as F
from minidl.gradient_examples import Example, Numbers, batch_norm, distinct, draw_from, numbers, positive
from minidl.ops.optimiser_steps import op as steps
from minidl.ops.windows import make_windows
from minidl.tensor import Tensor

draw_from(3)


class Step:
    """`function(parameters, gradients, memories, *settings)`, of as many tensors as there are shapes."""

    def __init__(self, function: Callable[..., None], shapes: Sequence[tuple[int, ...]], *settings: float) -> None:
        self.function, self.settings = function, settings
        self.parameters, self.gradients, self.memories = ([numbers(*shape) for shape in shapes] for _ in range(3))
        self.op = function.__name__
        written = ", ".join("x".join(map(str, shape)) for shape in shapes)
        self.name = f"{self.op}([{written}], {', '.join(map(str, settings))})"

    def run(self, dtype: type[np.floating[Any]]) -> None:
        """The step, on backend "reference" and on copies."""
        parameters, gradients = (
            [Tensor(x.astype(dtype), "reference") for x in arrays] for arrays in (self.parameters, self.gradients)
        )
        self.function(parameters, gradients, [x.astype(dtype) for x in self.memories], *self.settings)


Row = Example | Step


def _ties(*shape: int) -> Numbers:
    """Few different numbers, as behind a relu: in many windows, two are the largest."""
    return np.asarray(np.maximum(np.round(numbers(*shape)), 0))


def _not_finite() -> Numbers:
    return np.array([[0.0, -0.0, np.nan], [np.inf, -np.inf, -1.0]])


POOLS: list[dict[str, Any]] = [
    {"size": 2},
    {"size": (3, 2), "stride": 1},
    {"size": 2, "stride": 3},
    {"size": 3, "stride": 2, "pad": 1},
    {"size": (3, 4), "stride": (2, 1), "pad": (2, 1, 0, 3)},
]

EASY: dict[str, list[Row]] = {
    "conv2d": [
        Example(F.conv2d, numbers(1, 2, 2, 1), numbers(1, 1, 1, 1)),
        Example(F.conv2d, numbers(1, 3, 3, 1), numbers(2, 2, 1, 1)),
        Example(F.conv2d, numbers(2, 3, 4, 2), numbers(2, 2, 2, 3), numbers(3)),
        Example(F.conv2d, numbers(2, 4, 4, 2), numbers(3, 3, 2, 3), numbers(3), pad=1),
        Example(F.conv2d, numbers(1, 5, 6, 2), numbers(2, 2, 2, 2), numbers(2), stride=2),
        Example(F.conv2d, numbers(1, 5, 6, 2), numbers(2, 3, 2, 2), stride=(3, 1), pad=(0, 1, 2, 0)),
        Example(F.conv2d, numbers(1, 5, 6, 1), numbers(2, 3, 1, 2), dilation=(3, 1)),
        Example(F.conv2d, numbers(2, 3, 3, 4), numbers(2, 2, 2, 6), numbers(6), groups=2),
    ],
    "max_pool2d": [
        Example(F.max_pool2d, distinct(1, 2, 2, 1), size=2),
        *[Example(F.max_pool2d, distinct(2, 5, 6, 2), **how) for how in POOLS],
    ],
    "mean_pool2d": [
        Example(F.mean_pool2d, numbers(1, 2, 2, 1), size=2),
        *[Example(F.mean_pool2d, numbers(2, 5, 6, 2), **how) for how in POOLS],
    ],
    "dense": [
        Example(F.dense, numbers(1, 1), numbers(1, 1)),
        Example(F.dense, numbers(1, 2), numbers(2, 2), numbers(2)),
        Example(F.dense, numbers(5, 3), numbers(3, 2), numbers(2)),
    ],
    "softmax": [
        Example(F.softmax, numbers(3)),
        Example(F.softmax, numbers(2, 3, 4)),
        Example(F.logsoftmax, numbers(2, 3)),
        Example(F.logsoftmax, numbers(2, 3, 4)),
    ],
    "relu": [Example(F.relu, numbers(4)), Example(F.relu, numbers(2, 3, 2))],
    "batch_norm": [
        Example(batch_norm, numbers(4, 1), numbers(1), numbers(1)),
        Example(batch_norm, 3 + numbers(5, 3), numbers(3), numbers(3)),
        Example(batch_norm, numbers(2, 3, 2, 3), numbers(3), numbers(3), eps=0.1),
        Example(batch_norm, distinct(5, 3, 2), positive(2), numbers(2), relu=True),
    ],
    "dropout": [
        Example(F.dropout, numbers(4), rate=0.0, key=(0, 0, 0)),
        Example(F.dropout, numbers(2, 3, 2), rate=0.2, key=(3, 5, 7)),
        Example(F.dropout, numbers(40), rate=0.9, key=(3, 2**40, 7)),
    ],
    "softmax_cross_entropy": [
        Example(F.softmax_cross_entropy, numbers(1, 2), np.array([[0.0, 1.0]])),
        Example(F.softmax_cross_entropy, numbers(2, 3), np.eye(3)[[2, 0]]),
    ],
    "optimiser_steps": [
        Step(steps.momentum, [(3,)], 0.1, 0.9, 0.0),
        Step(steps.momentum, [(3,)], 0.1, 0.9, 0.5),
        Step(steps.momentum, [(2, 3), (4,), (1, 2, 2)], 0.01, 0.5, 0.01),
        Step(steps.momentum, [(3,)], 0.1, 0.0, 0.0),
        Step(steps.momentum, [], 0.1, 0.9, 0.0),
    ],
}

EXTREME: dict[str, list[Row]] = {
    "max_pool2d": [
        Example(F.max_pool2d, _ties(2, 4, 6, 2), size=2),
        Example(F.max_pool2d, -positive(1, 3, 3, 2), size=3, stride=2, pad=1),  # padding must not win
        Example(F.max_pool2d, _ties(1, 5, 5, 2), size=3, stride=2, pad=1),
        Example(F.max_pool2d_scatter, numbers(2, 2, 2, 2), choice=np.zeros((2, 2, 2, 2), np.uint8),
                x_shape=(2, 3, 3, 2), windows=make_windows("max_pool2d", 2, 1)),
    ],
    "softmax": [
        Example(function, x)
        for function in (F.softmax, F.logsoftmax)
        for x in (1000 * distinct(2, 3), np.array([[0.0, -2000.0, -2000.0]]))
    ],
    "relu": [
        Example(F.relu, _not_finite()),
        Example(F.relu, np.zeros((2, 2))),
        Example(F.relu_gradient, _not_finite(), y=np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])),
    ],
    "softmax_cross_entropy": [Example(F.softmax_cross_entropy, 1000 * distinct(2, 3), positive(2, 3))],
}  # fmt: skip
