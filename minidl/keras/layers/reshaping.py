"""Layers of Keras that move numbers about, and change none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidl.keras.layers.layer import Layer, Part
from minidl.keras.layers.windows import check_channels_last, images_shape
from minidl.keras.symbolic import Shape
from minidl.layers.upsampling import repeated
from minidl.operands import is_whole_number
from minidl.ops.shaping import flatten, getitem, scatter
from minidl.ops.windows import pair
from minidl.tensor import Tensor

Sides = tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right)


class _NoWeights(Layer):
    """A layer that is one function."""

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        self.compute_output_shape(shape)  # for its checks
        return [self.function], {}

    def function(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Flatten(_NoWeights):
    """(n, h, w, channels) -> (n, h * w * channels), rows first."""

    configured = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels_last("Flatten", data_format)
        self.data_format = "channels_last"

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        return [flatten if len(shape) > 1 else self.function], {}

    def function(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = [size for size in input_shape[1:] if size is not None]
        return input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None


class Reshape(_NoWeights):
    """(n, ...) -> (n, *target_shape); one size may be -1, for what is left."""

    configured = ("target_shape",)

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)

    def function(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *(size or 0 for size in self.compute_output_shape(x.shape)[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        known = [size for size in input_shape[1:] if size is not None]
        if len(known) < len(input_shape) - 1:
            return input_shape[0], *(None if size == -1 else size for size in self.target_shape)
        count, given = math.prod(known), math.prod(size for size in self.target_shape if size != -1)
        open_sizes = self.target_shape.count(-1)
        if open_sizes > 1 or given == 0 or count % given or (open_sizes == 0 and count != given):
            raise ValueError(f"{self.name}: {count} numbers a sample do not fit into {self.target_shape}")
        return input_shape[0], *(count // given if size == -1 else size for size in self.target_shape)


class Permute(_NoWeights):
    """The axes behind the batch in another order, counted from 1: Permute((3, 1, 2)) puts channels first."""

    configured = ("dims",)

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: expected each axis from 1 to {len(self.dims)} once, got {self.dims}")

    def function(self, x: Tensor) -> Tensor:
        return x.transpose(0, *self.dims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(f"{self.name}: expected inputs of {len(self.dims)} axes and the batch, got {input_shape}")
        return input_shape[0], *(input_shape[axis] for axis in self.dims)


class ZeroPadding2D(_NoWeights):
    """Zeros around images: a number, (height, width), or ((top, bottom), (left, right))."""

    configured = ("padding", "data_format")

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels_last("ZeroPadding2D", data_format)
        self.padding, self.data_format = _sides("ZeroPadding2D", padding), "channels_last"

    def function(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = self.padding
        n, h, w, channels = x.shape
        inside = (slice(None), slice(top, top + h), slice(left, left + w))
        return scatter(x, inside, (n, top + h + bottom, left + w + right, channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = images_shape(self.name, input_shape)[:2]
        return input_shape[0], *(_more(size, sum(sides)) for size, sides in zip(sizes, self.padding, strict=True)), \
            input_shape[3]  # fmt: skip


class Cropping2D(_NoWeights):
    """Images without their borders: a number, (height, width), or ((top, bottom), (left, right))."""

    configured = ("cropping", "data_format")

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels_last("Cropping2D", data_format)
        self.cropping, self.data_format = _sides("Cropping2D", cropping), "channels_last"

    def function(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = self.cropping
        _, h, w, _ = x.shape
        return getitem(x, (slice(None), slice(top, h - bottom), slice(left, w - right)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = images_shape(self.name, input_shape)[:2]
        out = [_more(size, -sum(sides)) for size, sides in zip(sizes, self.cropping, strict=True)]
        if any(size is not None and size < 1 for size in out):
            raise ValueError(f"{self.name}: images of {sizes} pixels are too small to be cropped by {self.cropping}")
        return input_shape[0], *out, input_shape[3]


class UpSampling2D(_NoWeights):
    """Each pixel `size` times in each direction."""

    configured = ("size", "interpolation", "data_format")

    def __init__(
        self, size: int | Sequence[int] = (2, 2), data_format: str | None = None, interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        check_channels_last("UpSampling2D", data_format)
        if interpolation != "nearest":
            raise NotImplementedError(f"UpSampling2D: interpolation {interpolation!r} is not supported; use 'nearest' "
                                      f"or Conv2DTranspose, which can learn it")  # fmt: skip
        self.size, self.interpolation = pair("UpSampling2D", "size", size, 1), interpolation
        self.data_format = "channels_last"

    def function(self, x: Tensor) -> Tensor:
        return repeated(x, *self.size)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = images_shape(self.name, input_shape)[:2]
        larger = (None if pixels is None else pixels * times for pixels, times in zip(sizes, self.size, strict=True))
        return input_shape[0], *larger, input_shape[3]


def _more(size: int | None, by: int) -> int | None:
    return None if size is None else size + by


def _sides(layer: str, value: Any) -> Sides:
    """((top, bottom), (left, right)) of what users give."""
    height, width = value if isinstance(value, list | tuple) and len(value) == 2 else (value, value)
    sides = tuple(tuple(side) if isinstance(side, list | tuple) else (side, side) for side in (height, width))
    if not all(len(side) == 2 and all(is_whole_number(size) and size >= 0 for size in side) for side in sides):
        raise ValueError(f"{layer}: expected a whole number from 0, (height, width) or ((top, bottom), (left, right)), "
                         f"got {value!r}")  # fmt: skip
    return sides  # type: ignore[return-value]
