"""The shape rule of everything that slides a window over an image, with its arguments.

Along one axis, a window of `size` taps that lie `dilation` apart starts every `stride` pixels of an image with `before`
and `after` pixels of padding. Output position i meets the image at tap k in pixel

    i * stride + k * dilation - before
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy

from minidl.operands import is_whole_number

Sizes = int | Sequence[int]


class Windows(NamedTuple):
    """How windows lie on an image. Plain numbers, so that compiled kernels take it as it is."""

    height: int
    width: int
    stride_h: int = 1
    stride_w: int = 1
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    dilation_h: int = 1
    dilation_w: int = 1


HALVING = Windows(2, 2, 2, 2)  # the usual pool's: 2 x 2 pixels each, side by side


def output_size(size: int, taps: int, stride: int, before: int, after: int, dilation: int) -> int:
    """How many positions a window takes along one axis."""
    return (size + before + after - dilation * (taps - 1) - 1) // stride + 1


def output_shape(windows: Windows, h: int, w: int) -> tuple[int, int]:
    """(out_h, out_w) for images of h x w pixels."""
    return (
        output_size(h, windows.height, windows.stride_h, windows.top, windows.bottom, windows.dilation_h),
        output_size(w, windows.width, windows.stride_w, windows.left, windows.right, windows.dilation_w),
    )


def image_shape(windows: Windows, out_h: int, out_w: int) -> tuple[int, int]:
    """The smallest (h, w) that gives out_h x out_w positions: the shape rule backwards, for transposed convolution."""
    return (
        (out_h - 1) * windows.stride_h + windows.dilation_h * (windows.height - 1) + 1 - windows.top - windows.bottom,
        (out_w - 1) * windows.stride_w + windows.dilation_w * (windows.width - 1) + 1 - windows.left - windows.right,
    )


def make_windows(op: str, size: Sizes, stride: Sizes = 1, pad: Sizes = 0, dilation: Sizes = 1) -> Windows:
    """Check and spell out the arguments users give: one number for both axes, or one each.

    pad: a number, (height, width) on both sides, or (top, bottom, left, right). Raises ValueError naming `op`.
    """
    top_bottom_left_right = _pads(op, pad)
    return Windows(
        *pair(op, "window", size, 1), *pair(op, "stride", stride, 1),
        *top_bottom_left_right, *pair(op, "dilation", dilation, 1),
    )  # fmt: skip


def check_fits(op: str, windows: Windows, h: int, w: int) -> None:
    """ValueError unless at least one window lies within the padded image."""
    out_h, out_w = output_shape(windows, h, w)
    if out_h < 1 or out_w < 1:
        taps = (windows.dilation_h * (windows.height - 1) + 1, windows.dilation_w * (windows.width - 1) + 1)
        padded = (h + windows.top + windows.bottom, w + windows.left + windows.right)
        raise ValueError(f"{op}: a window of {taps} pixels does not fit into the padded image of {padded} pixels; "
                         f"use a larger image, more padding or a smaller window")  # fmt: skip


def pair(op: str, name: str, value: Sizes, least: int) -> tuple[int, int]:
    """One number for both axes, or one for each; ValueError that names `op` and the argument."""
    both = tuple(value) if isinstance(value, Iterable) else (value, value)
    if len(both) != 2 or not all(is_whole_number(size) and size >= least for size in both):
        raise ValueError(f"{op}: expected {name} to be a whole number from {least} or a pair of them, got {value!r}")
    return int(both[0]), int(both[1])


def _pads(op: str, pad: Sizes) -> tuple[int, int, int, int]:
    if not isinstance(pad, Iterable) or len(pad) == 2:
        height, width = pair(op, "pad", pad, 0)
        return height, height, width, width
    sides = tuple(pad)
    if len(sides) != 4 or not all(is_whole_number(size) and size >= 0 for size in sides):
        raise ValueError(
            f"{op}: expected pad to be a whole number from 0, (height, width) or (top, bottom, left, right), "
            f"got {pad!r}"
        )
    return int(sides[0]), int(sides[1]), int(sides[2]), int(sides[3])


def check_pool(op: str, windows: Windows, x_shape: tuple[int, ...]) -> None:
    """ValueError unless `x_shape` is that of images, and every window holds at least one pixel of them."""
    if len(x_shape) != 4:
        raise ValueError(f"{op}: expected images (n, h, w, c), got {x_shape}")
    if max(windows.top, windows.bottom) >= windows.height or max(windows.left, windows.right) >= windows.width:
        pads = (windows.top, windows.bottom, windows.left, windows.right)
        raise ValueError(
            f"{op}: expected padding smaller than the window {windows.height, windows.width}, got {pads}: "
            f"some windows would hold nothing but padding"
        )
    check_fits(op, windows, *x_shape[1:3])


def pooled_shape(op: str, windows: Windows, x_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of images `x_shape` after pooling, checked as check_pool() does."""
    check_pool(op, windows, x_shape)
    n, h, w, c = x_shape
    return n, *output_shape(windows, h, w), c


def choice_dtype(windows: Windows) -> type[numpy.unsignedinteger[Any]]:
    """The smallest type that numbers the taps of a window."""
    return numpy.uint8 if windows.height * windows.width <= 256 else numpy.uint32
