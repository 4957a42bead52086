"""Mistakes that are often made, computed: when a student's numbers are those of a mistake, minidl can name it.

MISTAKES["conv2d"]["forward"]["the bias is forgotten"](x, weight, bias, windows, groups) is what comes out then. The
arguments are the kernel's; where shapes do not allow the mistake, NumPy raises its errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.exercises.lessons import Lesson
from minidl.ops.batch_norm import reference as batch_norm
from minidl.ops.conv2d import reference as conv2d
from minidl.ops.dense import reference as dense
from minidl.ops.dropout import reference as dropout
from minidl.ops.max_pool2d import reference as max_pool2d
from minidl.ops.mean_pool2d import reference as mean_pool2d
from minidl.ops.patches import crop, pad, patches
from minidl.ops.relu import reference as relu
from minidl.ops.softmax import reference as softmax
from minidl.ops.softmax_cross_entropy import reference as softmax_cross_entropy
from minidl.ops.windows import Windows

Numbers = NDArray[Any]
Mistake = Callable[..., Any]


def mistakes_of(lesson: Lesson, kernel: str) -> dict[str, Mistake]:
    """What can go wrong in a kernel, by the hint that names it."""
    return MISTAKES.get(lesson.name, {}).get(kernel, {})


def _unpadded(windows: Windows) -> Windows:
    return windows._replace(top=0, bottom=0, left=0, right=0)


CHANGES: dict[str, Callable[[Windows], Windows]] = {
    "the stride is forgotten": lambda w: w._replace(stride_h=1, stride_w=1),
    "the dilation is forgotten": lambda w: w._replace(dilation_h=1, dilation_w=1),
    "the padding in front and behind is exchanged": (
        lambda w: w._replace(top=w.bottom, bottom=w.top, left=w.right, right=w.left)
    ),
    "the padding is forgotten": _unpadded,
    "the padding of rows and columns is exchanged": (
        lambda w: w._replace(top=w.left, bottom=w.right, left=w.top, right=w.bottom)
    ),
    "the strides of rows and columns are exchanged": lambda w: w._replace(stride_h=w.stride_w, stride_w=w.stride_h),
    "the dilations of rows and columns are exchanged": (
        lambda w: w._replace(dilation_h=w.dilation_w, dilation_w=w.dilation_h)
    ),
}


def _other_windows(function: Mistake, count: int = 7, dilated: bool = True) -> dict[str, Mistake]:
    """A kernel that neglects a number of its windows, or takes one for another: the first `count` of CHANGES.

    The first three leave shapes as they are; the others can only be made by the kernel that chooses the shape.
    """

    def changed(change: Callable[[Windows], Windows]) -> Mistake:
        return lambda *given: function(*(change(x) if isinstance(x, Windows) else x for x in given))

    chosen = list(CHANGES.items())[:count]
    return {hint: changed(change) for hint, change in chosen if dilated or "dilation" not in hint}


def _conv2d_assigned(dy: Numbers, weight: Numbers, x_shape: Any, windows: Windows, groups: int) -> Numbers:
    padded = pad(np.zeros(x_shape, dy.dtype), windows)
    for channels, filters in conv2d._groups(weight.shape, groups):
        for i, j, dpatch in patches(padded[..., channels], dy.shape, windows):
            dpatch[...] = np.tensordot(dy[:, i, j, filters], weight[..., filters], axes=(1, 3))
    return crop(padded, x_shape, windows)


def _conv2d_uncropped(dy: Numbers, weight: Numbers, x_shape: Any, windows: Windows, groups: int) -> Numbers:
    n, h, w, c = x_shape
    larger = (n, h + windows.top + windows.bottom, w + windows.left + windows.right, c)
    return conv2d.input_gradient(dy, weight, larger, _unpadded(windows), groups)


def _zeros_can_win(x: Numbers, windows: Windows) -> tuple[Numbers, Numbers]:
    return max_pool2d.forward(pad(x, windows), _unpadded(windows))


def _last_of_ties(x: Numbers, windows: Windows) -> tuple[Numbers, Numbers]:
    """As forward() sees images that are turned by half a turn, counted back."""
    turned = windows._replace(top=windows.bottom, bottom=windows.top, left=windows.right, right=windows.left)
    y, choice = max_pool2d.forward(x[:, ::-1, ::-1], turned)
    last = windows.height * windows.width - 1
    return y[:, ::-1, ::-1], (last - choice.astype(int))[:, ::-1, ::-1]


def _choice_by_column(x: Numbers, windows: Windows) -> tuple[Numbers, Numbers]:
    y, choice = max_pool2d.forward(x, windows)
    row, column = np.divmod(choice.astype(int), windows.width)
    return y, column * windows.height + row


def _scatter_assigned(dy: Numbers, choice: Numbers, x_shape: Any, windows: Windows) -> Numbers:
    dx = np.zeros(x_shape, dy.dtype)
    dx[max_pool2d._chosen(choice, windows)] = dy
    return dx


def _mean_of_pixels(x: Numbers, windows: Windows) -> Numbers:
    pixels: Numbers = mean_pool2d.forward(np.ones_like(x), windows)  # as a share of the window
    return mean_pool2d.forward(x, windows) / pixels


def _mean_pool2d_assigned(dy: Numbers, x_shape: Any, windows: Windows) -> Numbers:
    padded = pad(np.zeros(x_shape, dy.dtype), windows)
    for i, j, patch in patches(padded, dy.shape, windows):
        patch[...] = dy[:, i : i + 1, j : j + 1] / (windows.height * windows.width)
    return crop(padded, x_shape, windows)


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
    "conv2d": {
        "forward": {
            "the bias is forgotten": lambda x, w, b, *how: conv2d.forward(x, w, 0 * b, *how),
            "the bias is added once for each tap": lambda x, w, b, *how: conv2d.forward(x, w, w[..., 0].size * b, *how),
            "the filters are flipped: here they slide as they are": (
                lambda x, w, *rest: conv2d.forward(x, w[::-1, ::-1], *rest)
            ),
            "rows and columns of the filters are exchanged": (
                lambda x, w, *rest: conv2d.forward(x, w.swapaxes(0, 1), *rest)
            ),
            "only the first channel is counted": (
                lambda x, w, *rest: conv2d.forward(x[..., :1], w[:, :, :1], *rest)
            ),
            **_other_windows(conv2d.forward),
        },
        "input_gradient": {
            "where patches overlap, the last one replaces the others: add them": _conv2d_assigned,
            "the padding is not cut off": _conv2d_uncropped,
            "the filters are flipped": lambda dy, w, *rest: conv2d.input_gradient(dy, w[::-1, ::-1], *rest),
            "only the first filter is counted": (
                lambda dy, w, *rest: conv2d.input_gradient(dy[..., :1], w[..., :1], *rest)
            ),
            **_other_windows(conv2d.input_gradient, 3),
        },
        "weight_gradient": {
            "only the last image is counted": lambda dy, x, *rest: conv2d.weight_gradient(dy[-1:], x[-1:], *rest),
            "only the first image is counted": lambda dy, x, *rest: conv2d.weight_gradient(dy[:1], x[:1], *rest),
            **_other_windows(conv2d.weight_gradient, 3),
        },
    },
    "max_pool2d": {
        "forward": {
            "padding wins, as if it were pixels of 0: leave it out": _zeros_can_win,
            "of equal pixels the last one wins: it should be the first": _last_of_ties,
            "choice counts taps column by column: it should be ki * width + kj": _choice_by_column,
            "it takes the smallest instead of the largest": lambda x, windows: (
                -max_pool2d.forward(-x, windows)[0], max_pool2d.forward(-x, windows)[1],
            ),
            "it takes the mean instead of the largest": lambda x, windows: (
                mean_pool2d.forward(x, windows), max_pool2d.forward(x, windows)[1],
            ),
            **_other_windows(max_pool2d.forward, dilated=False),
        },
        "gather": _other_windows(max_pool2d.gather, 1),
        "scatter": {
            "where windows overlap, the last dy replaces the others: add them, as np.add.at does": _scatter_assigned,
            **_other_windows(max_pool2d.scatter, 1),
        },
    },
    "mean_pool2d": {
        "forward": {
            "padding is left out of the average, as in Keras: here it counts as zeros": _mean_of_pixels,
            "it takes the largest instead of the mean": lambda x, windows: max_pool2d.forward(x, windows)[0],
            **_other_windows(mean_pool2d.forward, dilated=False),
        },
        "gradient": {
            "where windows overlap, the last one replaces the others: add them": _mean_pool2d_assigned,
            **_other_windows(mean_pool2d.gradient, dilated=False),
        },
    },
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
