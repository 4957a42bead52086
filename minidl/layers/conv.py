"""The convolutional layer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minidl.layers.initialisers import Initialiser, glorot_uniform
from minidl.layers.layer import Layer, arguments
from minidl.layers.normalisation import BatchNorm
from minidl.layers.pooling import MaxPool
from minidl.modes import is_recording, training_step
from minidl.ops.conv2d.evaluation import conv2d_batch_norm
from minidl.ops.conv2d.op import conv2d, conv2d_relu, conv2d_relu_max_pool2d
from minidl.ops.elementwise import identity
from minidl.ops.relu.op import relu
from minidl.ops.windows import Sizes, make_windows
from minidl.randomness import generator
from minidl.tensor import Operand, Tensor


class Conv(Layer):
    """Slide filters over images, (n, h, w, in) -> (n, out_h, out_w, out), then apply `activation`.

    Conv((3, 3), (3, 64), relu, pad=1) is Flux's Conv((3, 3), 3 => 64, relu, pad=1), except that filters are not
    flipped: like Keras and PyTorch it computes the cross-correlation. pad is a number, (height, width) or (top,
    bottom, left, right). weight (kh, kw, in / groups, out), drawn by `init`; bias (out,), zeros, or None.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: tuple[int, int],
        activation: Callable[[Tensor], Tensor] = identity,
        *,
        stride: Sizes = 1,
        pad: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        init: Initialiser = glorot_uniform,
    ) -> None:
        make_windows("Conv", size, stride, pad, dilation)  # for its checks
        inputs, outputs = channels
        if groups < 1 or inputs < 1 or outputs < 1 or inputs % groups or outputs % groups:
            raise ValueError(f"Conv: expected channels (in, out) that groups={groups} divides, got {channels}")
        weight = init((*size, inputs // groups, outputs), generator())
        self.weight = Tensor(weight, requires_grad=True)
        self.bias = Tensor([0.0] * outputs, requires_grad=True) if bias else None
        self.activation, self.stride, self.pad, self.dilation, self.groups = activation, stride, pad, dilation, groups

    def __call__(self, x: Operand) -> Tensor:
        if self.activation is relu:
            return self._compute(conv2d_relu, x)
        return self.activation(self._compute(conv2d, x))

    def together_with(self, following: Sequence[Callable[..., Any]]) -> tuple[int, Callable[[Operand], Tensor]]:
        """How many of the layers that follow can be computed at one go with this one, and the function that does."""
        first = following[0] if self.activation is identity and following else None
        if isinstance(first, BatchNorm) and first.activation in (identity, relu):
            if is_recording() or training_step() is not None:
                return 0, self
            pooled = first.activation is relu and _halves(following[1:])
            return 1 + pooled, partial(self._compute_normalised, first, pooled)
        count = 1 if first is relu else 0
        if count == 0 and self.activation is not relu:
            return 0, self
        if _halves(following[count:]):
            return count + 1, partial(self._compute, conv2d_relu_max_pool2d)
        return count, partial(self._compute, conv2d_relu)

    def _compute(self, function: Callable[..., Tensor], x: Operand) -> Tensor:
        return function(x, self.weight, self.bias, *self._sizes())

    def _compute_normalised(self, norm: BatchNorm, pooled: bool, x: Operand) -> Tensor:
        return conv2d_batch_norm(
            x, self.weight, self.bias, *self._sizes(), (norm.mean, norm.variance), norm.scale, norm.shift, norm.eps,
            norm.activation is relu, pooled,
        )  # fmt: skip

    def _sizes(self) -> tuple[Sizes, Sizes, Sizes, int]:
        return self.stride, self.pad, self.dilation, self.groups

    def code(self) -> str:
        kh, kw, inputs, outputs = self.weight.shape
        inside = arguments(
            (kh, kw), (inputs * self.groups, outputs), self.activation, stride=(self.stride, 1), pad=(self.pad, 0),
            dilation=(self.dilation, 1), groups=(self.groups, 1), bias=(self.bias is not None, True),
        )  # fmt: skip
        return f"Conv({inside})"


def _halves(following: Sequence[Callable[..., Any]]) -> bool:
    """Whether a pool of 2 x 2 pixels side by side comes next."""
    return bool(following) and isinstance(following[0], MaxPool) and following[0].halves()
