"""Convolution layers of Keras."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from minidl.keras.layers.kernel_layer import KernelLayer
from minidl.keras.layers.layer import Part
from minidl.keras.layers.windows import (
    check_channels_last,
    check_padding,
    images_shape,
    padded_to_same,
    same_padding,
    windows_shape,
)
from minidl.keras.symbolic import Shape
from minidl.layers import Conv, ConvTranspose
from minidl.ops.conv2d.op import conv2d
from minidl.ops.windows import pair
from minidl.tensor import Tensor
from minidl.whole_numbers import whole_number


class _Convolution(KernelLayer):
    """The arguments that both share."""

    configured: tuple[str, ...] = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
        *KernelLayer.last_configured,
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        groups: int = 1,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        kernel_regularizer: object = None,
        bias_regularizer: object = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, **kwargs
        )
        kind = type(self).__name__
        check_channels_last(kind, data_format)
        self.filters, self.groups = whole_number(kind, "filters", filters), whole_number(kind, "groups", groups)
        self.kernel_size, self.strides = pair(kind, "kernel_size", kernel_size, 1), pair(kind, "strides", strides, 1)
        self.dilation_rate = pair(kind, "dilation_rate", dilation_rate, 1)
        self.padding, self.data_format = check_padding(kind, padding), "channels_last"


class Conv2D(_Convolution):
    """Slide filters over images: (n, h, w, channels) -> (n, out_h, out_w, filters)."""

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        channels = images_shape(self.name, shape)[2]
        same = self.padding == "same"
        conv = Conv(
            self.kernel_size, (channels, self.filters), stride=self.strides, dilation=self.dilation_rate,
            pad=same_padding((1, 1), self.kernel_size, (1, 1), self.dilation_rate) if same else 0,
            groups=self.groups, bias=self.use_bias, init=self.drawn(),
        )  # fmt: skip
        if not same or self.strides == (1, 1):  # otherwise the padding depends on the size of the images
            return self.activated(conv), self.kernel_and_bias(conv)

        part = padded_to_same(partial(self._padded, conv), self.kernel_size, self.strides, self.dilation_rate)
        return self.activated(part), self.kernel_and_bias(conv)

    def _padded(self, conv: Conv, x: Tensor, pads: Sequence[int]) -> Tensor:
        return conv2d(x, conv.weight, conv.bias, self.strides, pads, self.dilation_rate, self.groups)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = self.kernel_size, self.strides, self.padding, self.dilation_rate
        return (*windows_shape(self.name, input_shape, *sizes), self.filters)


class Conv2DTranspose(_Convolution):
    """Conv2D run backwards: every pixel paints its filters, `strides` apart; "same" gives strides times the pixels."""

    configured = tuple(name for name in _Convolution.configured if name != "groups")

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], strides: int | Sequence[int] = (1, 1),
        padding: str = "valid", output_padding: object = None, data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1), activation: object = None, use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform", bias_initializer: object = "zeros",
        kernel_regularizer: object = None, bias_regularizer: object = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, **kwargs,
        )  # fmt: skip
        if output_padding is not None:
            raise NotImplementedError("Conv2DTranspose: output_padding is not supported; use padding='same' or 'valid'")
        spans = (dilation * (taps - 1) + 1 for taps, dilation in zip(self.kernel_size, self.dilation_rate, strict=True))
        if any(span < stride for span, stride in zip(spans, self.strides, strict=True)):
            raise NotImplementedError(f"Conv2DTranspose: a window of {self.kernel_size} smaller than the strides "
                                      f"{self.strides} leaves gaps; use UpSampling2D and Conv2D")  # fmt: skip

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        channels = images_shape(self.name, shape)[2]
        conv = ConvTranspose(
            self.kernel_size, (channels, self.filters), stride=self.strides, pad=self._pads(),
            dilation=self.dilation_rate, bias=self.use_bias, init=self.drawn(),
        )  # fmt: skip
        return self.activated(conv), self.kernel_and_bias(conv)

    def _pads(self) -> Sequence[int]:
        """What the images were padded with in the convolution that this one runs backwards: span - stride in all."""
        return same_padding(self.strides, self.kernel_size, self.strides, self.dilation_rate) \
            if self.padding == "same" else (0, 0, 0, 0)  # fmt: skip

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = []
        for pixels, taps, stride, dilation in zip(
            images_shape(self.name, input_shape)[:2], self.kernel_size, self.strides, self.dilation_rate, strict=True
        ):
            more = 0 if self.padding == "same" else dilation * (taps - 1) + 1 - stride
            sizes.append(None if pixels is None else pixels * stride + more)
        return input_shape[0], *sizes, self.filters
