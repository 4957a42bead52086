"""Mistakes that are often made, computed: when a student's numbers are those of a mistake, minidl can name it.

MISTAKES["conv2d"]["forward"]["the bias is forgotten"](x, weight, bias, windows, groups) is what comes out then. The
arguments are the kernel's; where shapes do not allow the mistake, NumPy raises its errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.exercises.calls import Numbers
from minidl.exercises.window_mistakes import WINDOW_MISTAKES, Mistake
from minidl.ops.batch_norm import reference as batch_norm
from minidl.ops.dense import reference as dense
from minidl.ops.dropout import reference as dropout
from minidl.ops.relu import reference as relu
from minidl.ops.softmax import reference as softmax
from minidl.ops.softmax_cross_entropy import reference as softmax_cross_entropy


def _batch_norm_terms(*, of_mean: bool, of_variance: bool) -> Mistake:
    """The gradient of batch norm without one of its terms, or both."""

    def gradient(dy: Numbers, x: Numbers, mean: Any, deviation: Any, scale: Any, shift: Any, relu: bool) -> Any:
        dx, dscale, dshift = batch_norm.gradient(dy, x, mean, deviation, scale, shift, relu)
        count, factor = x.size // x.shape[-1], scale / deviation
        dx = dx + factor * dshift / count * (not of_mean)
        return dx + factor * (x - mean) / deviation * dscale / count * (not of_variance), dscale, dshift

    return gradient


def _statistics(change: Callable[[Numbers, Numbers, int], tuple[Numbers, Numbers]]) -> Mistake:
    return lambda x: change(*batch_norm.statistics(x), x.size // x.shape[-1])


def _momentum(step: Callable[..., tuple[Any, Any]]) -> Mistake:
    """A step in place; step(parameter, gradient, velocity, learning_rate, momentum, decay) gives both new values."""

    def run(parameters: Any, gradients: Any, velocities: Any, *settings: float) -> None:
        for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
            parameter[...], velocity[...] = step(parameter.copy(), gradient, velocity.copy(), *settings)

    return run


def _with_velocity(parameter: Any, velocity: Any, times: float = 1) -> tuple[Any, Any]:
    return parameter + times * velocity, velocity


MISTAKES: dict[str, dict[str, dict[str, Mistake]]] = {
    **WINDOW_MISTAKES,
    "dense": {
        "forward": {
            "the bias is forgotten": lambda x, w, b: dense.forward(x, w, 0 * b),
            "the bias is added once for each input": lambda x, w, b: dense.forward(x, w, len(w) * b),
            "the weight is transposed": lambda x, w, b: dense.forward(x, np.ascontiguousarray(w.T), b),
        },
        "input_gradient": {"the weight is not transposed": lambda dy, w: dy @ w},
        "weight_gradient": {"only the last row is counted": lambda dy, x: dense.weight_gradient(dy[-1:], x[-1:])},
    },
    "softmax": {
        "softmax": {
            "it is the logarithm, logsoftmax": softmax.logsoftmax,
            "the sum is over another axis than the last": lambda x: softmax.softmax(x.T).T,
            "the sum is over all numbers, not over each row": lambda x: softmax.softmax(x.ravel()).reshape(x.shape),
            "the division by the sum is forgotten": lambda x: np.exp(x),
            "the division by the sum is forgotten, behind the shift": lambda x: np.exp(x - x.max(-1, keepdims=True)),
        },
        "logsoftmax": {
            "the logarithm is forgotten": softmax.softmax,
            "the logarithm of the sum is not subtracted": lambda x: x - x.max(-1, keepdims=True),
            "the sum is over another axis than the last": lambda x: softmax.logsoftmax(x.T).T,
            "exp() rounds to 0 before the logarithm: write it without exp() of single scores": (
                lambda x: np.log(softmax.softmax(x))
            ),
        },
    },
    "relu": {
        "forward": {
            "nan becomes 0: it should stay nan": lambda x: np.where(x > 0, x, x.dtype.type(0)),
            "negative numbers lose their sign": lambda x: np.abs(x),
            "nothing is changed": lambda x: x,
            "it keeps the negative numbers": lambda x: np.minimum(x, 0),
        },
        "gradient": {
            "it lets dy through where y is 0, too": lambda dy, y: np.where(y >= 0, dy, dy.dtype.type(0)),
            "it multiplies, so that an infinite dy becomes nan where y is 0: choose with np.where": (
                lambda dy, y: dy * (y > 0)
            ),
            "it is relu of dy": lambda dy, y: relu.forward(dy),
            "it is the derivative alone: multiply it by dy": lambda dy, y: (y > 0).astype(dy.dtype),
            "dy goes through everywhere": lambda dy, y: dy,
        },
    },
    "batch_norm": {
        "statistics": {
            "the variance is divided by n - 1: here it is by n": _statistics(lambda m, v, n: (m, v * (n / (n - 1)))),
            "it is the standard deviation, not its square": _statistics(lambda m, v, n: (m, np.sqrt(v))),
            "the mean is not subtracted before squaring": _statistics(lambda m, v, n: (m, v + m * m)),
        },
        "normalise": {
            "the mean is not subtracted": lambda x, m, f, s, r: batch_norm.normalise(x, 0 * m, f, s, r),
            "the shift is forgotten": lambda x, m, f, s, r: batch_norm.normalise(x, m, f, 0 * s, r),
            "the factor is forgotten": lambda x, m, f, s, r: batch_norm.normalise(x, m, 0 * f + 1, s, r),
            "it divides by the factor": lambda x, m, f, s, r: batch_norm.normalise(x, m, 1 / f, s, r),
            "relu is forgotten": lambda x, m, f, s, r: batch_norm.normalise(x, m, f, s, False),
            "relu is always computed": lambda x, m, f, s, r: batch_norm.normalise(x, m, f, s, True),
        },
        "gradient": {
            "that mean and variance depend on x, too, is forgotten": (
                _batch_norm_terms(of_mean=False, of_variance=False)
            ),
            "that the mean depends on x, too, is forgotten": _batch_norm_terms(of_mean=False, of_variance=True),
            "that the variance depends on x, too, is forgotten": _batch_norm_terms(of_mean=True, of_variance=False),
            "relu is forgotten": (
                lambda dy, x, m, d, scale, shift, relu: batch_norm.gradient(dy, x, m, d, scale, shift, False)
            ),
        },
    },
    "dropout": {
        "apply": {
            "what is kept is not divided by 1 - rate": lambda x, rate, key: dropout.apply(x, rate, key) * (1 - rate),
            "what is kept is divided by rate": lambda x, rate, key: dropout.apply(x, rate, key) * ((1 - rate) / rate),
            "it keeps what should be dropped": (
                lambda x, rate, key: x / x.dtype.type(1 - rate) - dropout.apply(x, rate, key)
            ),
            "nothing is dropped": lambda x, rate, key: x / x.dtype.type(1 - rate),
            "the key is neglected": lambda x, rate, key: dropout.apply(x, rate, (0, 0, 0)),
        },
    },
    "softmax_cross_entropy": {
        "forward": {
            "it is the mean over the classes: it should be the sum": (
                lambda scores, targets: softmax_cross_entropy.forward(scores, targets) / scores.shape[1]
            ),
            "scores are taken for logarithms of probabilities: softmax is missing": (
                lambda scores, targets: -(targets * scores).sum(-1)
            ),
            "the logarithm is forgotten": lambda scores, targets: -(targets * softmax.softmax(scores)).sum(-1),
            "the targets are forgotten": lambda scores, targets: -softmax.logsoftmax(scores).sum(-1),
            "it is one number for the whole batch: leave the mean to others": (
                lambda scores, targets: softmax_cross_entropy.forward(scores, targets).mean()
            ),
        },
    },
    "momentum": {
        "momentum": {
            "the step goes uphill: the gradient is to be subtracted": _momentum(
                lambda p, g, v, rate, m, decay: _with_velocity(p, m * v + rate * (g + decay * p))
            ),
            "the weight decay is forgotten": _momentum(
                lambda p, g, v, rate, m, decay: _with_velocity(p, m * v - rate * g)
            ),
            "the velocity before this step is forgotten": _momentum(
                lambda p, g, v, rate, m, decay: _with_velocity(p, -rate * (g + decay * p))
            ),
            "the velocity is not kept: change the array itself, velocity[...] = or velocity *=": _momentum(
                lambda p, g, v, rate, m, decay: (p + m * v - rate * (g + decay * p), v)
            ),
            "the learning rate is multiplied in at the end, as in PyTorch: here it is inside the velocity": _momentum(
                lambda p, g, v, rate, m, decay: _with_velocity(p, m * v + g + decay * p, -rate)
            ),
            "the parameter moves before the velocity is renewed": _momentum(
                lambda p, g, v, rate, m, decay: (p + v, m * v - rate * (g + decay * p))
            ),
            "it is Nesterov's step": _momentum(
                lambda p, g, v, rate, m, decay: (
                    p + m * m * v - (1 + m) * rate * (g + decay * p), m * v - rate * (g + decay * p),
                )
            ),
        },
    },
}  # fmt: skip
