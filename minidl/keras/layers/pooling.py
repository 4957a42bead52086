"""Pooling layers of Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from minidl.keras.layers.layer import Layer, Part
from minidl.keras.layers.windows import (
    Pads,
    check_channels_last,
    check_padding,
    images_shape,
    padded_to_same,
    windows_shape,
)
from minidl.keras.symbolic import Shape
from minidl.layers import MaxPool, MeanPool
from minidl.ops.max_pool2d.op import max_pool2d
from minidl.ops.mean_pool2d.op import mean_pool2d
from minidl.ops.reductions import max
from minidl.ops.sum.op import mean
from minidl.ops.windows import pair
from minidl.tensor import Tensor


class _Pooling(Layer):
    configured = ("pool_size", "strides", "padding", "data_format")

    def __init__(
        self, pool_size: int | Sequence[int], strides: int | Sequence[int] | None = None,
        padding: str = "valid", data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        kind = type(self).__name__
        check_channels_last(kind, data_format)
        self.pool_size = pair(kind, "pool_size", pool_size, 1)
        self.strides = self.pool_size if strides is None else pair(kind, "strides", strides, 1)
        self.padding, self.data_format = check_padding(kind, padding), "channels_last"

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        images_shape(self.name, shape)
        if self.padding == "same":  # a number that depends on the size of the images
            return [padded_to_same(self.pooled, self.pool_size, self.strides)], {}
        return [self.plain_pool()], {}

    def plain_pool(self) -> Part:
        """The pool without padding."""
        raise NotImplementedError

    def pooled(self, x: Tensor, pads: Pads) -> Tensor:
        """The pool with padding that does not count."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*windows_shape(self.name, input_shape, self.pool_size, self.strides, self.padding), input_shape[3])


class MaxPooling2D(_Pooling):
    """The largest number under each window, per channel."""

    def __init__(
        self, pool_size: int | Sequence[int] = (2, 2), strides: int | Sequence[int] | None = None,
        padding: str = "valid", data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)

    def plain_pool(self) -> Part:
        return MaxPool(self.pool_size, stride=self.strides)

    def pooled(self, x: Tensor, pads: Pads) -> Tensor:
        return max_pool2d(x, self.pool_size, self.strides, pads)


class AveragePooling2D(_Pooling):
    """The average under each window, per channel; pixels of padding are left out of it."""

    def plain_pool(self) -> Part:
        return MeanPool(self.pool_size, stride=self.strides)

    def pooled(self, x: Tensor, pads: Pads) -> Tensor:
        ones = Tensor(numpy.ones((1, *x.shape[1:3], 1), x.dtype), x.backend)
        share = mean_pool2d(ones, self.pool_size, self.strides, pads)  # of each window that lies on the image
        return mean_pool2d(x, self.pool_size, self.strides, pads) / share


class _GlobalPooling(Layer):
    configured = ("keepdims", "data_format")

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels_last(type(self).__name__, data_format)
        self.data_format, self.keepdims = "channels_last", keepdims

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        images_shape(self.name, shape)
        return [self.reduced], {}

    def reduced(self, x: Tensor) -> Tensor:
        """One number of the pixels of each channel."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *((1, 1) if self.keepdims else ()), input_shape[3])


class GlobalAveragePooling2D(_GlobalPooling):
    """The average of each channel: (n, h, w, channels) -> (n, channels)."""

    def reduced(self, x: Tensor) -> Tensor:
        return mean(x, (1, 2), self.keepdims)


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest number of each channel: (n, h, w, channels) -> (n, channels)."""

    def reduced(self, x: Tensor) -> Tensor:
        return max(x, (1, 2), self.keepdims)


# Keras has two names for each of them
MaxPool2D, AvgPool2D = MaxPooling2D, AveragePooling2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
