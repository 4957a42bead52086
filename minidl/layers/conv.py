"""The convolutional layers."""

from collections.abc import Callable

from minidl.layers.initialisers import Initialiser, glorot_uniform
from minidl.layers.layer import Layer, arguments
from minidl.layers.padding import SamePad, padding_for
from minidl.modes import is_fusing
from minidl.ops.conv2d.op import conv2d, conv2d_relu, conv_transpose2d
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
        if self.activation is relu and is_fusing():
            return self._compute(conv2d_relu, x)
        return self.activation(self._compute(conv2d, x))


class ConvTranspose(_Convolution):
    """Convolution run backwards (Zeiler et al. 2010): every pixel paints its filters, `stride` apart, into the result.

    (n, h, w, in) -> (n, out_h, out_w, out), then `activation`; out_h = (h - 1) * stride + dilation * (kh - 1) + 1 - pad
    on both sides; pad=SamePad() makes it h * stride. Arguments are Conv's. weight (kh, kw, out / groups, in).
    """

    transposed = True

    def __call__(self, x: Operand) -> Tensor:
        return self.activation(self._compute(conv_transpose2d, x))
