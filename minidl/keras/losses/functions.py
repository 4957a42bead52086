"""Losses of each sample, as Keras defines them: loss(y_true, y_pred) -> a tensor without the last axis.

Targets are arrays or tensors of any number type with the shape of the predictions, or one that lacks an axis of length
1 at its end.
"""

import math
from typing import Any

from minidl.functions import absolute, clip, log, maximum, softplus, sqrt, xlogy
from minidl.keras.losses.pairs import pair
from minidl.losses import huber_loss
from minidl.tensor import Tensor

EPSILON = 1e-7  # Keras's: what probabilities, divisors and logarithms keep away from 0


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of (y_true - y_pred) ** 2."""
    target, predicted = pair("mean_squared_error", y_true, y_pred)
    return ((target - predicted) ** 2).mean(-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of |y_true - y_pred|."""
    target, predicted = pair("mean_absolute_error", y_true, y_pred)
    return absolute(target - predicted).mean(-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 * the mean of |y_true - y_pred| / max(|y_true|, 1e-7)."""
    target, predicted = pair("mean_absolute_percentage_error", y_true, y_pred)
    return 100 * absolute((target - predicted) / maximum(absolute(target), EPSILON)).mean(-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of (log(1 + y_true) - log(1 + y_pred)) ** 2, both at least 1e-7."""
    target, predicted = pair("mean_squared_logarithmic_error", y_true, y_pred)
    return ((log(maximum(predicted, EPSILON) + 1) - log(maximum(target, EPSILON) + 1)) ** 2).mean(-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """The mean of error ** 2 / 2 where |error| <= delta, else delta * |error| - delta ** 2 / 2 (Huber 1964)."""
    target, predicted = pair("huber", y_true, y_pred)
    return huber_loss(predicted, target, lambda losses: losses.mean(-1), delta)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of log(cosh(error)), written as error + softplus(-2 * error) - log(2)."""
    target, predicted = pair("log_cosh", y_true, y_pred)
    error = predicted - target
    return (error + softplus(-2 * error) - math.log(2)).mean(-1)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """The sum of y_true * log(y_true / y_pred), both limited to 1e-7...1."""
    target, predicted = pair("kl_divergence", y_true, y_pred)
    target, predicted = clip(target, EPSILON, 1.0), clip(predicted, EPSILON, 1.0)
    return (target * log(target / predicted)).sum(-1)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of y_pred - y_true * log(y_pred + 1e-7)."""
    target, predicted = pair("poisson", y_true, y_pred)
    return (predicted - xlogy(target, predicted + EPSILON)).mean(-1)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of max(1 - y_true * y_pred, 0), for targets -1 and 1; when all are 0 or 1, 0 stands for -1."""
    return _margin("hinge", y_true, y_pred).mean(-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of max(1 - y_true * y_pred, 0) ** 2, with targets as those of hinge."""
    return (_margin("squared_hinge", y_true, y_pred) ** 2).mean(-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(neg - pos + 1, 0) with pos = sum(y_true * y_pred) and neg = max((1 - y_true) * y_pred), for one-hot rows."""
    target, predicted = pair("categorical_hinge", y_true, y_pred, "; turn labels into rows with to_categorical()")
    pos, neg = (target * predicted).sum(-1), ((1 - target) * predicted).max(-1)
    return maximum(neg - pos + 1, 0.0)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between y_true and y_pred along `axis`: -1 where they point the same way."""
    target, predicted = pair("cosine_similarity", y_true, y_pred)
    return -(_unit(target, axis) * _unit(predicted, axis)).sum(axis)


def _margin(loss: str, y_true: Any, y_pred: Any) -> Tensor:
    target, predicted = pair(loss, y_true, y_pred)
    if ((target.array == 0) | (target.array == 1)).all():
        target = 2 * target - 1
    return maximum(1 - target * predicted, 0.0)


def _unit(x: Tensor, axis: int) -> Tensor:
    """x at length 1 along `axis`; what is shorter than 1e-7 stays shorter."""
    return x / sqrt(maximum((x * x).sum(axis, keepdims=True), EPSILON**2))
