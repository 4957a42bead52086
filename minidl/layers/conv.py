"""The convolutional layers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minidl.layers.initialisers import Initialiser, glorot_uniform
from minidl.layers.layer import Layer, arguments
from minidl.layers.normalisation import BatchNorm
from minidl.layers.padding import SamePad, padding_for
from minidl.layers.pooling import MaxPool
from minidl.modes import is_recording
from minidl.ops.conv2d.evaluation import conv2d_batch_norm
from minidl.ops.conv2d.op import conv2d, conv2d_relu, conv2d_relu_max_pool2d, conv_transpose2d
from minidl.ops.elementwise import identity
from minidl.ops.relu.op import relu
from minidl.ops.windows import Sizes, make_windows, pair
from minidl.randomness import generator
from minidl.tensor import Operand, Tensor
from minidl.whole_numbers import whole_number


class _Convolution(Layer):
    """What the two layers share: their arguments, and a weight whose last two axes are turned round when transposed."""

    transposed = False

    def __init__(
        self,
        size: tuple[int, int],
        channels: tuple[int, int],
        activation: Callable[[Tensor], Tensor] = identity,
        *,
        stride: Sizes = 1,
        pad: Sizes | SamePad = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        init: Initialiser = glorot_uniform,
    ) -> None:
        name = type(self).__name__
        inputs, outputs = (whole_number(name, "each number of channels", count) for count in channels)
        groups = whole_number(name, "groups", groups)
        self.activation, self.stride, self.pad, self.dilation, self.groups = activation, stride, pad, dilation, groups
        make_windows(name, size, stride, self._padding(size), dilation)  # for its checks
        if groups < 1 or inputs < 1 or outputs < 1 or inputs % groups or outputs % groups:
            raise ValueError(f"{name}: expected channels (in, out) that groups={groups} divides, got {channels}")
        seen, made = (outputs, inputs) if self.transposed else (inputs, outputs)
        self.weight = Tensor(
            init((*pair(name, "size", size, 1), seen // groups, made), generator()), requires_grad=True
        )
        self.bias = Tensor([0.0] * outputs, requires_grad=True) if bias else None

    def _padding(self, size: tuple[int, ...]) -> Sizes:
        return padding_for(self.pad, size, self.dilation, self.stride if self.transposed else 1)

    def _compute(self, function: Callable[..., Tensor], x: Operand) -> Tensor:
        return function(x, self.weight, self.bias, *self._sizes())

    def _sizes(self) -> tuple[Sizes, Sizes, Sizes, int]:
        return self.stride, self._padding(self.weight.shape[:2]), self.dilation, self.groups

    def code(self) -> str:
        kh, kw, seen, made = self.weight.shape
        channels = (seen * self.groups, made)
        inside = arguments(
            (kh, kw), channels[::-1] if self.transposed else channels, self.activation, stride=(self.stride, 1),
            pad=(self.pad, 0), dilation=(self.dilation, 1), groups=(self.groups, 1),
            bias=(self.bias is not None, True),
        )  # fmt: skip
        return f"{type(self).__name__}({inside})"


class Conv(_Convolution):
    """Slide filters over images, (n, h, w, in) -> (n, out_h, out_w, out), then apply `activation`.

    Conv((3, 3), (3, 64), relu, pad=1) is Flux's Conv((3, 3), 3 => 64, relu, pad=1), except that filters are not
    flipped: like Keras and PyTorch it computes the cross-correlation. pad is a number, (height, width), (top, bottom,
    left, right) or SamePad(). weight (kh, kw, in / groups, out), drawn by `init`; bias (out,), zeros, or None.
    """

    def __call__(self, x: Operand) -> Tensor:
        if self.activation is relu:
            return self._compute(conv2d_relu, x)
        return self.activation(self._compute(conv2d, x))

    def together_with(self, following: Sequence[Callable[..., Any]]) -> tuple[int, Callable[[Operand], Tensor]]:
        """How many of the layers that follow can be computed at one go with this one, and the function that does."""
        first = following[0] if self.activation is identity and following else None
        if isinstance(first, BatchNorm) and first.activation in (identity, relu):
            if is_recording() or first.uses_batch:
                return 0, self
            by_itself, _ = first.together_with(following[1:])  # 1 when relu is a layer of its own
            with_relu = bool(by_itself) or first.activation is relu
            pooled = with_relu and _halves(following[1 + by_itself :])
            return 1 + by_itself + pooled, partial(self._compute_normalised, first, with_relu, pooled)
        count = 1 if first is relu else 0
        if count == 0 and self.activation is not relu:
            return 0, self
        if _halves(following[count:]):
            return count + 1, partial(self._compute, conv2d_relu_max_pool2d)
        return count, partial(self._compute, conv2d_relu)

    def _compute_normalised(self, norm: BatchNorm, with_relu: bool, pooled: bool, x: Operand) -> Tensor:
        return conv2d_batch_norm(
            x, self.weight, self.bias, *self._sizes(), (norm.mean, norm.variance), norm.scale, norm.shift, norm.eps,
            with_relu, pooled,
        )  # fmt: skip


class ConvTranspose(_Convolution):
    """Convolution run backwards (Zeiler et al. 2010): every pixel paints its filters, `stride` apart, into the result.

    (n, h, w, in) -> (n, out_h, out_w, out), then `activation`; out_h = (h - 1) * stride + dilation * (kh - 1) + 1 - pad
    on both sides; pad=SamePad() makes it h * stride. Arguments are Conv's. weight (kh, kw, out / groups, in).
    """

    transposed = True

    def __call__(self, x: Operand) -> Tensor:
        return self.activation(self._compute(conv_transpose2d, x))


def _halves(following: Sequence[Callable[..., Any]]) -> bool:
    """Whether a pool of 2 x 2 pixels side by side comes next."""
    return bool(following) and isinstance(following[0], MaxPool) and following[0].halves()
