"""Keras's rules for windows that slide over images: "valid" and "same" padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from minidl.keras.symbolic import Shape
from minidl.ops.windows import output_size as positions
from minidl.tensor import Tensor

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]  # top, bottom, left, right


def check_padding(layer: str, padding: str) -> str:
    if padding.lower() not in ("valid", "same"):
        raise ValueError(f"{layer}: expected padding 'valid' or 'same', got {padding!r}")
    return padding.lower()


def check_channels_last(layer: str, data_format: str | None) -> None:
    if data_format not in (None, "channels_last"):
        raise NotImplementedError(f"{layer}: data_format {data_format!r} is not supported; images are (n, h, w, "
                                  f"channels), so transpose them with numpy.moveaxis(images, 1, -1)")  # fmt: skip


def images_shape(layer: str, shape: Shape) -> tuple[int | None, int | None, int]:
    """(h, w, channels) of (n, h, w, channels)."""
    if len(shape) != 4 or shape[3] is None:
        raise ValueError(f"{layer}: expected images (n, h, w, channels), got shape {shape}; for images of one channel "
                         f"add an axis: images[..., numpy.newaxis]")  # fmt: skip
    return shape[1], shape[2], shape[3]


def output_size(size: int | None, taps: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """How many positions a window takes along one axis."""
    if size is None:
        return None
    return -(-size // stride) if padding == "same" else positions(size, taps, stride, 0, 0, dilation)


def windows_shape(layer: str, shape: Shape, size: Pair, strides: Pair, padding: str, dilation: Pair = (1, 1)) -> Shape:
    """(n, out_h, out_w) for images of `shape`; ValueError when no window fits."""
    out = tuple(
        output_size(*axis[:3], padding, axis[3])
        for axis in zip(images_shape(layer, shape)[:2], size, strides, dilation, strict=True)
    )
    if any(count is not None and count < 1 for count in out):
        raise ValueError(f"{layer}: windows of {size} do not fit into images of {shape[1:3]} pixels; use larger "
                         f"images, fewer pools or padding='same'")  # fmt: skip
    return shape[0], *out


def same_padding(image: Sequence[int], size: Pair, strides: Pair, dilation: Pair = (1, 1)) -> Pads:
    """As much as ceil(pixels / stride) windows need; where it is odd, the larger half comes behind (TensorFlow)."""
    top, bottom = _one_axis(image[0], size[0], strides[0], dilation[0])
    left, right = _one_axis(image[1], size[1], strides[1], dilation[1])
    return top, bottom, left, right


def _one_axis(pixels: int, taps: int, stride: int, dilation: int) -> Pair:
    positions = -(-pixels // stride)
    needed = max(0, (positions - 1) * stride + dilation * (taps - 1) + 1 - pixels)
    return needed // 2, needed - needed // 2


def padded_to_same(
    compute: Callable[[Tensor, Pads], Tensor], size: Pair, strides: Pair, dilation: Pair = (1, 1)
) -> Callable[[Tensor], Tensor]:
    """A part that computes with the padding that its images need, which depends on their size."""
    return partial(_padded, compute, size, strides, dilation)


def _padded(compute: Callable[[Tensor, Pads], Tensor], size: Pair, strides: Pair, dilation: Pair, x: Tensor) -> Tensor:
    return compute(x, same_padding(x.shape[1:3], size, strides, dilation))
