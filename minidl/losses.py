"""Losses, as Flux defines them: loss(predicted, target) -> one number.

Targets have the shape of the predictions: labels become rows with onehotbatch(). `agg` sums the losses of the samples
up in one number; the mean unless given. What a target of 0 weighs counts as 0, even where it is infinite.
"""

from collections.abc import Callable

import numpy

from minidl.operands import operands
from minidl.ops.elementwise import absolute, minimum, softplus, weighted, xlogy
from minidl.ops.softmax_cross_entropy.op import softmax_cross_entropy
from minidl.ops.sum.op import mean
from minidl.tensor import Operand, Tensor

Aggregate = Callable[[Tensor], Tensor]


def crossentropy(predicted: Operand, target: Operand, agg: Aggregate = mean) -> Tensor:
    """-sum over classes of target * log(predicted + eps), for probabilities (n, classes).

    eps is the float type's (1.19e-7 in float32), added and not clipped, as in Flux: a class given probability 0 costs
    15.94, not infinity. For scores that have not been through softmax use logitcrossentropy.
    """
    predicted, target = _same_shape("crossentropy", predicted, target)
    return agg(-xlogy(target, predicted + _eps(predicted)).sum(-1))


def logitcrossentropy(predicted: Operand, target: Operand, agg: Aggregate = mean) -> Tensor:
    """crossentropy(softmax(predicted), target) for scores (n, classes), without eps and without rounding to 0."""
    predicted, target = _same_shape("logitcrossentropy", predicted, target)
    return agg(softmax_cross_entropy(predicted, target))


def binarycrossentropy(predicted: Operand, target: Operand, agg: Aggregate = mean) -> Tensor:
    """-target * log(predicted + eps) - (1 - target) * log(1 - predicted + eps), for probabilities of any shape."""
    predicted, target = _same_shape("binarycrossentropy", predicted, target)
    eps = _eps(predicted)
    return agg(-xlogy(target, predicted + eps) - xlogy(1 - target, 1 - predicted + eps))


def logitbinarycrossentropy(predicted: Operand, target: Operand, agg: Aggregate = mean) -> Tensor:
    """binarycrossentropy(sigmoid(predicted), target) for scores of any shape, without eps and without overflow."""
    predicted, target = _same_shape("logitbinarycrossentropy", predicted, target)
    return agg(weighted(target, softplus(-predicted)) + weighted(1 - target, softplus(predicted)))


def mse(predicted: Operand, target: Operand, agg: Aggregate = mean) -> Tensor:
    """(predicted - target) ** 2, averaged over all numbers."""
    predicted, target = _same_shape("mse", predicted, target)
    return agg((predicted - target) ** 2)


def mae(predicted: Operand, target: Operand, agg: Aggregate = mean) -> Tensor:
    """|predicted - target|, averaged over all numbers."""
    predicted, target = _same_shape("mae", predicted, target)
    return agg(absolute(predicted - target))


def huber_loss(predicted: Operand, target: Operand, agg: Aggregate = mean, delta: float = 1.0) -> Tensor:
    """error ** 2 / 2 where |error| < delta, else delta * (|error| - delta / 2) (Huber 1964)."""
    predicted, target = _same_shape("huber_loss", predicted, target)
    error = absolute(predicted - target)
    small = minimum(error, delta)  # its gradient is 0 from delta on; that of error * error would be infinite in the end
    return agg(small * (error - 0.5 * small))


def kldivergence(predicted: Operand, target: Operand, agg: Aggregate = mean) -> Tensor:
    """sum over classes of target * log(target / predicted), for probabilities (n, classes); 0 * log 0 counts as 0."""
    predicted, target = _same_shape("kldivergence", predicted, target)
    return agg(xlogy(target, target).sum(-1)) + crossentropy(predicted, target, agg)


def _eps(x: Tensor) -> float:
    return float(numpy.finfo(x.dtype).eps)


def _same_shape(loss: str, predicted: Operand, target: Operand) -> tuple[Tensor, ...]:
    shapes = [x.shape if isinstance(x, Tensor) else numpy.shape(x) for x in (predicted, target)]
    if shapes[0] != shapes[1]:  # before anything is said about dtypes: labels are whole numbers
        raise ValueError(f"{loss}: expected predictions and targets of one shape, got {shapes[0]} and {shapes[1]}; "
                         f"turn labels into rows with onehotbatch()")  # fmt: skip
    predicted, target = operands(loss, predicted, target)
    if predicted.size == 0:
        raise ValueError(f"{loss}: expected at least one sample, got shape {predicted.shape}")
    return predicted, target
