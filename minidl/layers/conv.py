"""The convolutional layer."""

from collections.abc import Callable

from minidl.layers.initialisers import Initialiser, glorot_uniform
from minidl.layers.layer import Layer, arguments
from minidl.ops.conv2d.op import conv2d
from minidl.ops.elementwise import identity
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
        y = conv2d(x, self.weight, self.bias, self.stride, self.pad, self.dilation, self.groups)
        return self.activation(y)

    def code(self) -> str:
        kh, kw, inputs, outputs = self.weight.shape
        inside = arguments(
            (kh, kw), (inputs * self.groups, outputs), self.activation, stride=(self.stride, 1), pad=(self.pad, 0),
            dilation=(self.dilation, 1), groups=(self.groups, 1), bias=(self.bias is not None, True),
        )  # fmt: skip
        return f"Conv({inside})"
