"""Pooling layers: windows summed up in one number per channel."""

from minidl.layers.layer import Layer, arguments
from minidl.operands import operands
from minidl.ops.max_pool2d.op import max_pool2d
from minidl.ops.mean_pool2d.op import mean_pool2d
from minidl.ops.reductions import mean
from minidl.ops.windows import HALVING, Sizes, make_windows
from minidl.tensor import Operand, Tensor


class _Pool(Layer):
    def __init__(self, size: Sizes, *, stride: Sizes | None = None, pad: Sizes = 0) -> None:
        make_windows(type(self).__name__, size, size if stride is None else stride, pad)  # for its checks
        self.size, self.stride, self.pad = size, stride, pad

    def code(self) -> str:
        inside = arguments(self.size, stride=(self.stride, None), pad=(self.pad, 0))
        return f"{type(self).__name__}({inside})"


class MaxPool(_Pool):
    """The largest number under each window: MaxPool((2, 2)) halves the image. The stride is the size unless given."""

    def __call__(self, x: Operand) -> Tensor:
        return max_pool2d(x, self.size, self.stride, self.pad)

    def halves(self) -> bool:
        """Whether this is the usual pool, of 2 x 2 pixels side by side."""
        stride = self.size if self.stride is None else self.stride
        return make_windows("MaxPool", self.size, stride, self.pad) == HALVING


class MeanPool(_Pool):
    """The average under each window: MeanPool((2, 2)) halves the image. The stride is the size unless given."""

    def __call__(self, x: Operand) -> Tensor:
        return mean_pool2d(x, self.size, self.stride, self.pad)


class GlobalMeanPool(Layer):
    """The average of each channel over the whole image: (n, h, w, c) -> (n, 1, 1, c), as in Flux."""

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("GlobalMeanPool", x)
        if x.ndim != 4:
            raise ValueError(f"GlobalMeanPool: expected images (n, h, w, c), got {x.shape}")
        return mean(x, (1, 2), keepdims=True)
