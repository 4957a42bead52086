"""Pooling layers: windows summed up in one number per channel."""

from minidl.layers.layer import Layer, arguments
from minidl.layers.padding import SamePad, padding_for
from minidl.operands import operands
from minidl.ops.max_pool2d.op import max_pool2d
from minidl.ops.mean_pool2d.op import mean_pool2d
from minidl.ops.reductions import max
from minidl.ops.sum.op import mean
from minidl.ops.windows import Sizes, make_windows
from minidl.tensor import Operand, Tensor


class _Pool(Layer):
    def __init__(self, size: Sizes, *, stride: Sizes | None = None, pad: Sizes | SamePad = 0) -> None:
        self.size, self.stride, self.pad = size, stride, pad
        make_windows(type(self).__name__, *self._windows())  # for its checks

    def _windows(self) -> tuple[Sizes, Sizes, Sizes]:
        """Size, stride and padding, in numbers."""
        return self.size, self.size if self.stride is None else self.stride, padding_for(self.pad, self.size)

    def code(self) -> str:
        inside = arguments(self.size, stride=(self.stride, None), pad=(self.pad, 0))
        return f"{type(self).__name__}({inside})"


class MaxPool(_Pool):
    """The largest number under each window: MaxPool((2, 2)) halves the image. The stride is the size unless given."""

    def __call__(self, x: Operand) -> Tensor:
        return max_pool2d(x, *self._windows())


class MeanPool(_Pool):
    """The average under each window: MeanPool((2, 2)) halves the image. The stride is the size unless given."""

    def __call__(self, x: Operand) -> Tensor:
        return mean_pool2d(x, *self._windows())


class _AdaptivePool(Layer):
    """Windows chosen so that any image becomes `size` = (height, width): in Flux's way, all of them equally large.

    Along one axis the stride is in // out, and the window in - (out - 1) * stride.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        make_windows(type(self).__name__, size)  # for its checks
        self.size = size

    def _windows(self, x: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
        """(size, stride) of the windows for images x."""
        name, (out_h, out_w) = type(self).__name__, self.size
        _check_images(name, x)
        _, h, w, _ = x.shape
        if h < out_h or w < out_w:
            raise ValueError(f"{name}: expected images of at least {out_h} x {out_w} pixels, got {x.shape}")
        stride_h, stride_w = h // out_h, w // out_w
        return (h - (out_h - 1) * stride_h, w - (out_w - 1) * stride_w), (stride_h, stride_w)

    def code(self) -> str:
        return f"{type(self).__name__}({arguments(self.size)})"


class AdaptiveMaxPool(_AdaptivePool):
    """The largest numbers under windows that make any image (height, width): AdaptiveMaxPool((7, 7))."""

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("AdaptiveMaxPool", x)
        return max_pool2d(x, *self._windows(x))


class AdaptiveMeanPool(_AdaptivePool):
    """The averages under windows that make any image (height, width): AdaptiveMeanPool((7, 7))."""

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("AdaptiveMeanPool", x)
        return mean_pool2d(x, *self._windows(x))


class GlobalMaxPool(Layer):
    """The largest number of each channel in the whole image: (n, h, w, c) -> (n, 1, 1, c), as in Flux."""

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("GlobalMaxPool", x)
        _check_images("GlobalMaxPool", x)
        return max(x, (1, 2), keepdims=True)


class GlobalMeanPool(Layer):
    """The average of each channel over the whole image: (n, h, w, c) -> (n, 1, 1, c), as in Flux."""

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("GlobalMeanPool", x)
        _check_images("GlobalMeanPool", x)
        return mean(x, (1, 2), keepdims=True)


def _check_images(name: str, x: Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(f"{name}: expected images (n, h, w, c), got {x.shape}")
