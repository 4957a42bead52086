"""An example of every differentiable function: what `minidl check` checks, and where the tests start from.

Adding a function means adding a row here: Example(function, *inputs, **arguments). Inputs keep their distance from
kinks, where a function has no derivative, so that the check can move them a little to either side.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl import functions as F
from minidl.ops.windows import Windows, make_windows
from minidl.tensor import Tensor

Numbers = NDArray[np.float64]

_random = np.random.default_rng(0)


def draw_from(seed: int) -> None:
    """Start the random numbers anew: a file that makes examples, and says so first, makes the same ones always."""
    global _random
    _random = np.random.default_rng(seed)


class Example:
    """`function(*inputs, **arguments)`: call it with tensors in place of the inputs."""

    def __init__(self, function: Callable[..., Tensor], *inputs: NDArray[Any], **arguments: Any) -> None:
        self.function, self.inputs, self.arguments = function, inputs, arguments
        self.__name__ = function.__name__  # what an error calls it

    @property
    def op(self) -> str:
        """The name of the function."""
        return self.function.__name__

    @property
    def name(self) -> str:
        """The function with the shapes of its inputs: "conv2d(2x5x4x3, 3x2x3x4, stride=2)"."""
        shapes = ["x".join(map(str, x.shape)) or "scalar" for x in self.inputs]
        arguments = [f"{name}={_brief(value)}" for name, value in self.arguments.items()]
        return f"{self.op}({', '.join(shapes + arguments)})"

    def __call__(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs, **{name: _beside(inputs[0], value) for name, value in self.arguments.items()})


def _beside(x: Tensor, argument: Any) -> Any:
    """An array among the arguments as it stands beside x: on its backend and, if it holds floats, of its float type."""
    if not isinstance(argument, np.ndarray):
        return argument
    return x.backend.asarray(argument, x.dtype if argument.dtype.kind == "f" else None)


def numbers(*shape: int) -> Numbers:
    """Random numbers of either sign, 0.2 or more away from 0, where relu and others have their kink."""
    return np.asarray(_random.choice([-1, 1], shape) * _random.uniform(0.2, 1.5, shape))


def positive(*shape: int) -> Numbers:
    """Random numbers from 0.2 to 1.5."""
    return np.asarray(_random.uniform(0.2, 1.5, shape))


def distinct(*shape: int) -> Numbers:
    """Random numbers 0.1 or more apart from one another, so that the largest stays the largest."""
    count = int(np.prod(shape))
    return (_random.permutation(count).reshape(shape) - count / 2 + 0.25) / 10


def booleans(*shape: int) -> NDArray[np.bool_]:
    """Random yes and no, both as likely."""
    return _random.random(shape) < 0.5


def taps(count: int, *shape: int) -> NDArray[np.uint8]:
    """Random choices among the taps of a window, as max pooling makes them."""
    return _random.integers(0, count, shape, np.uint8)


def batch_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float = 1e-5, relu: bool = False) -> Tensor:
    """The normalised numbers, without the statistics that come with them."""
    return F.batch_norm(x, scale, shift, eps, relu)[0]


def concatenate(*tensors: Tensor, axis: int) -> Tensor:
    """With each tensor an input of its own."""
    return F.concatenate(tensors, axis)


def stack(*tensors: Tensor, axis: int) -> Tensor:
    """With each tensor an input of its own."""
    return F.stack(tensors, axis)


def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """With the shape as one named argument."""
    return F.reshape(x, shape)


def transpose(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """With the axes as one named argument."""
    return F.transpose(x, axes)


def _brief(value: object) -> str:
    if isinstance(value, Windows):
        return f"{value.height}x{value.width}"
    return "x".join(map(str, value.shape)) if isinstance(value, np.ndarray) else str(value)


EXAMPLES = [
    # arithmetic
    Example(F.add, numbers(2, 3), numbers(3)),
    Example(F.subtract, numbers(2, 3), numbers(2, 1)),
    Example(F.multiply, numbers(2, 3), numbers(3)),
    Example(F.divide, numbers(2, 3), numbers(2, 1)),
    Example(F.negative, numbers(2, 3)),
    Example(F.power, positive(2, 3), positive(3)),
    Example(F.power, numbers(2, 3), exponent=3),
    Example(F.matmul, numbers(2, 3), numbers(3, 4)),
    # elementwise
    Example(F.exp, numbers(2, 3)),
    Example(F.log, positive(2, 3)),
    Example(F.sqrt, positive(2, 3)),
    Example(F.erf, numbers(2, 3)),
    Example(F.absolute, numbers(2, 3)),
    Example(F.select, numbers(2, 3), mask=booleans(2, 3)),
    Example(F.where, booleans(2, 3), numbers(2, 3), numbers(3)),
    Example(F.maximum, distinct(2, 3), distinct(2, 3) + 0.05),
    Example(F.minimum, distinct(2, 3), distinct(2, 3) + 0.05),
    Example(F.weighted, numbers(2, 3), numbers(3)),
    Example(F.xlogy, numbers(2, 3), positive(3)),
    Example(F.clip, distinct(3, 4), low=-0.3, high=0.3),
    # activation functions
    Example(F.identity, numbers(2, 3)),
    Example(F.relu, numbers(2, 3)),
    Example(F.relu_gradient, numbers(2, 3), y=numbers(2, 3)),
    Example(F.leakyrelu, numbers(2, 3), slope=0.2),
    Example(F.elu, numbers(2, 3), scale=1.5),
    Example(F.sigmoid, numbers(2, 3)),
    Example(F.tanh, numbers(2, 3)),
    Example(F.softplus, numbers(2, 3)),
    Example(F.swish, numbers(2, 3)),
    Example(F.gelu, numbers(2, 3)),
    # shaping
    Example(reshape, numbers(2, 6), shape=(3, 4)),
    Example(F.flatten, numbers(2, 3, 2)),
    Example(transpose, numbers(2, 3, 4), axes=(2, 0, 1)),
    Example(F.broadcast_to, numbers(3, 1), shape=(2, 3, 4)),
    Example(F.sum_to, numbers(2, 3, 4), shape=(3, 1)),
    Example(F.getitem, numbers(3, 4), key=([0, 2, 0], slice(None, None, 2))),
    Example(F.scatter, numbers(3, 2), key=([0, 2, 0], slice(None, None, 2)), shape=(3, 4)),
    Example(concatenate, numbers(2, 1), numbers(2, 3), axis=1),
    Example(stack, numbers(2, 3), numbers(2, 3), axis=1),
    # reductions
    Example(F.sum, numbers(2, 3, 2), axis=(0, 2)),
    Example(F.mean, numbers(2, 3, 2), axis=1),
    Example(F.var, numbers(2, 3, 2), axis=(0, 2), keepdims=True),
    Example(F.max, distinct(2, 3, 2), axis=1),
    Example(F.min, distinct(2, 3, 2), axis=(0, 1)),
    # layers
    Example(F.dense, numbers(3, 4), numbers(4, 2), numbers(2)),
    Example(F.dense_input_gradient, numbers(3, 2), numbers(4, 2)),
    Example(F.dense_weight_gradient, numbers(3, 2), numbers(3, 4)),
    Example(F.conv2d, numbers(2, 4, 3, 2), numbers(3, 2, 2, 3), numbers(3), pad=1),
    Example(F.conv2d_relu, numbers(2, 4, 3, 2), numbers(3, 2, 2, 3), numbers(3), pad=1),
    Example(F.conv2d_relu_max_pool2d, numbers(2, 4, 5, 2), numbers(3, 2, 2, 3), numbers(3), pad=1),
    Example(F.row_sums, numbers(2, 3, 2)),
    Example(F.conv2d_input_gradient, numbers(1, 2, 3, 3), numbers(3, 2, 2, 3),
            x_shape=(1, 4, 4, 2), windows=make_windows("conv2d", (3, 2)), groups=1),
    Example(F.conv2d_weight_gradient, numbers(1, 2, 3, 3), numbers(1, 4, 4, 2),
            weight_shape=(3, 2, 2, 3), windows=make_windows("conv2d", (3, 2)), groups=1),
    Example(F.conv_transpose2d, numbers(1, 2, 3, 2), numbers(2, 3, 3, 2), numbers(3), stride=2),
    Example(F.max_pool2d, distinct(1, 4, 4, 2), size=2),
    Example(F.max_pool2d_gather, numbers(1, 4, 4, 2),
            choice=taps(4, 1, 2, 2, 2), windows=make_windows("max_pool2d", 2, 2)),
    Example(F.max_pool2d_scatter, numbers(1, 2, 2, 2),
            choice=taps(4, 1, 2, 2, 2), x_shape=(1, 4, 4, 2), windows=make_windows("max_pool2d", 2, 2)),
    Example(F.mean_pool2d, numbers(1, 4, 4, 2), size=2),
    Example(F.mean_pool2d_gradient, numbers(1, 2, 2, 2),
            x_shape=(1, 4, 4, 2), windows=make_windows("mean_pool2d", 2, 2)),
    Example(batch_norm, numbers(2, 3, 2), numbers(2), numbers(2)),
    Example(batch_norm, numbers(3, 2, 2), numbers(2), numbers(2), relu=True),
    Example(F.normalise, numbers(2, 2, 3), numbers(3), numbers(3), numbers(3)),
    Example(F.normalise, numbers(3, 2, 3), numbers(3), numbers(3), numbers(3), relu=True),
    Example(F.dropout, numbers(3, 4), rate=0.5, key=(0, 1, 2)),
    # probabilities
    Example(F.softmax, numbers(2, 4)),
    Example(F.logsoftmax, numbers(2, 4)),
    Example(F.softmax_cross_entropy, numbers(3, 4), positive(3, 4)),
]  # fmt: skip
