"""`minidl check`: the gradients of every function, layer and loss, against what the numbers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl import losses
from minidl.backend import use_backend
from minidl.functions import add, flatten, leakyrelu, multiply, softmax, tanh
from minidl.gradient_check import GradientError, UndecidedError, check_gradients
from minidl.gradient_examples import EXAMPLES, Example, distinct, draw_from, numbers, positive
from minidl.layers import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMaxPool,
    GlobalMeanPool,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    MeanPool,
    Parallel,
    SamePad,
    SkipConnection,
    Upsample,
)
from minidl.modes import training_mode
from minidl.tensor import Tensor

draw_from(2)

# Each layer as it is made, and a batch for it. tanh instead of relu: it has no kink to keep away from.
LAYERS: list[tuple[Callable[[], Layer], Any]] = [
    (lambda: Conv((3, 2), (4, 2), tanh, stride=(2, 1), pad=(1, 0, 0, 1), groups=2), numbers(2, 5, 4, 4)),
    (lambda: Conv((2, 2), (1, 2), leakyrelu, dilation=2, bias=False), numbers(1, 4, 3, 1)),
    (lambda: Dense(4, 3, tanh), numbers(2, 4)),
    (lambda: MaxPool((3, 3), stride=2, pad=1), distinct(1, 5, 4, 2)),
    (lambda: MeanPool((3, 2), stride=2, pad=1), numbers(1, 5, 4, 2)),
    (lambda: GlobalMeanPool(), numbers(2, 3, 2, 2)),
    (lambda: BatchNorm(2, tanh), numbers(3, 2, 2, 2)),
    (lambda: AdaptiveMaxPool((2, 2)), distinct(1, 5, 4, 2)),
    (lambda: AdaptiveMeanPool((2, 3)), numbers(1, 5, 4, 2)),
    (lambda: GlobalMaxPool(), distinct(2, 3, 2, 2)),
    (lambda: ConvTranspose((3, 2), (4, 2), tanh, stride=2, pad=SamePad(), groups=2), numbers(1, 3, 2, 4)),
    (lambda: GroupNorm(4, 2, tanh), numbers(2, 3, 2, 4)),
    (lambda: LayerNorm((2, 3), tanh), numbers(3, 2, 3)),
    (lambda: Upsample(2), numbers(1, 2, 3, 2)),
    (lambda: Upsample(3, "bilinear"), numbers(1, 2, 3, 2)),
    (lambda: Parallel(multiply, Dense(3, 2), Dense(3, 2, tanh)), numbers(2, 3)),
    (lambda: Dropout(0.4), numbers(3, 4)),
    (lambda: SkipConnection(Dense(3, 3, tanh), add), numbers(2, 3)),
    (lambda: Chain(Conv((3, 3), (2, 3), pad=1), BatchNorm(3, tanh), MeanPool(2), flatten, Dense(12, 3), softmax),
     numbers(2, 4, 4, 2)),
]  # fmt: skip

PROBABILITIES = positive(3, 4) / 2  # between 0 and 1
ERRORS = numbers(3, 4) / 2 + np.tile([0, 2], (3, 2))  # 0.25 or more from 1, where the Huber loss has its kink
LOSSES = [
    Example(losses.crossentropy, PROBABILITIES, positive(3, 4)),
    Example(losses.logitcrossentropy, numbers(3, 4), positive(3, 4)),
    Example(losses.binarycrossentropy, PROBABILITIES, PROBABILITIES[::-1].copy()),
    Example(losses.logitbinarycrossentropy, numbers(3, 4), PROBABILITIES),
    Example(losses.mse, numbers(3, 4), numbers(3, 4)),
    Example(losses.mae, numbers(3, 4), distinct(3, 4) + 10),
    Example(losses.huber_loss, ERRORS, np.zeros((3, 4))),
    Example(losses.kldivergence, PROBABILITIES, positive(3, 4)),
]


@dataclass
class Result:
    """One row of the table: the largest relative error of each order, or what went wrong, or why nobody can tell."""

    name: str
    backend: str
    first_order: float | None = None
    second_order: float | None = None
    failure: str | None = None
    undecided: str | None = None

    @property
    def verdict(self) -> str:
        """right, wrong, or undecided."""
        return "wrong" if self.failure is not None else "undecided" if self.undecided is not None else "right"


def run_checks(backend: str) -> Iterator[Result]:
    """Check everything on one backend, in float64 at relative 1e-6, yielding each result as it comes."""
    for example in [*EXAMPLES, *LOSSES]:
        yield check_example(example, backend)
    for make, images in LAYERS:
        with use_backend(backend):
            layer = make()
        yield _check(layer.code(), backend, _in_training(layer), [Tensor(images, backend)], layer.tensors())


def check_example(example: Example, backend: str) -> Result:
    """Check one example on one backend."""
    return _check(example.name, backend, example, [Tensor(x, backend) for x in example.inputs], {})


def _in_training(layer: Layer) -> Callable[[Tensor], Tensor]:
    """The layer as it is in training step 0: batch norm normalises, dropout drops the same numbers each time."""

    def run(x: Tensor) -> Tensor:
        with training_mode(0):
            return layer(x)

    run.__name__ = layer.code()  # what an error calls it
    return run


def _check(
    name: str, backend: str, function: Callable[..., Tensor], inputs: list[Tensor], parameters: dict[str, Tensor]
) -> Result:
    result = Result(name, backend)
    try:
        result.first_order = check_gradients(function, inputs, parameters=parameters)
        result.second_order = check_gradients(function, inputs, order=2, parameters=parameters)
    except GradientError as error:
        result.failure = str(error)
    except UndecidedError as error:
        result.undecided = str(error)
    return result
