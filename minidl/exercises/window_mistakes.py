"""Mistakes that are often made with windows: in convolution and in pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.exercises.calls import Numbers
from minidl.ops.conv2d import reference as conv2d
from minidl.ops.max_pool2d import reference as max_pool2d
from minidl.ops.mean_pool2d import reference as mean_pool2d
from minidl.ops.patches import crop, pad, patches
from minidl.ops.windows import Windows

Mistake = Callable[..., Any]


def _unpadded(windows: Windows) -> Windows:
    return windows._replace(top=0, bottom=0, left=0, right=0)


CHANGES: dict[str, Callable[[Windows], Windows]] = {
    "the stride is forgotten": lambda w: w._replace(stride_h=1, stride_w=1),
    "the dilation is forgotten": lambda w: w._replace(dilation_h=1, dilation_w=1),
    "the padding in front and behind is exchanged": (
        lambda w: w._replace(top=w.bottom, bottom=w.top, left=w.right, right=w.left)
    ),
    "the padding is forgotten": _unpadded,
    "the padding of rows and columns is exchanged": (
        lambda w: w._replace(top=w.left, bottom=w.right, left=w.top, right=w.bottom)
    ),
    "the strides of rows and columns are exchanged": lambda w: w._replace(stride_h=w.stride_w, stride_w=w.stride_h),
    "the dilations of rows and columns are exchanged": (
        lambda w: w._replace(dilation_h=w.dilation_w, dilation_w=w.dilation_h)
    ),
}


def _other_windows(function: Mistake, count: int = 7, dilated: bool = True) -> dict[str, Mistake]:
    """A kernel that neglects a number of its windows, or takes one for another: the first `count` of CHANGES.

    The first three leave shapes as they are; the others can only be made by the kernel that chooses the shape.
    """

    def changed(change: Callable[[Windows], Windows]) -> Mistake:
        return lambda *given: function(*(change(x) if isinstance(x, Windows) else x for x in given))

    chosen = list(CHANGES.items())[:count]
    return {hint: changed(change) for hint, change in chosen if dilated or "dilation" not in hint}


def _conv2d_assigned(dy: Numbers, weight: Numbers, x_shape: Any, windows: Windows, groups: int) -> Numbers:
    padded = pad(np.zeros(x_shape, dy.dtype), windows)
    for channels, filters in conv2d._groups(weight.shape, groups):
        for i, j, dpatch in patches(padded[..., channels], dy.shape, windows):
            dpatch[...] = np.tensordot(dy[:, i, j, filters], weight[..., filters], axes=(1, 3))
    return crop(padded, x_shape, windows)


def _conv2d_uncropped(dy: Numbers, weight: Numbers, x_shape: Any, windows: Windows, groups: int) -> Numbers:
    n, h, w, c = x_shape
    larger = (n, h + windows.top + windows.bottom, w + windows.left + windows.right, c)
    return conv2d.input_gradient(dy, weight, larger, _unpadded(windows), groups)


def _zeros_can_win(x: Numbers, windows: Windows) -> tuple[Numbers, Numbers]:
    return max_pool2d.forward(pad(x, windows), _unpadded(windows))


def _last_of_ties(x: Numbers, windows: Windows) -> tuple[Numbers, Numbers]:
    """As forward() sees images that are turned by half a turn, counted back."""
    turned = windows._replace(top=windows.bottom, bottom=windows.top, left=windows.right, right=windows.left)
    y, choice = max_pool2d.forward(x[:, ::-1, ::-1], turned)
    last = windows.height * windows.width - 1
    return y[:, ::-1, ::-1], (last - choice.astype(int))[:, ::-1, ::-1]


def _choice_by_column(x: Numbers, windows: Windows) -> tuple[Numbers, Numbers]:
    y, choice = max_pool2d.forward(x, windows)
    row, column = np.divmod(choice.astype(int), windows.width)
    return y, column * windows.height + row


def _scatter_assigned(dy: Numbers, choice: Numbers, x_shape: Any, windows: Windows) -> Numbers:
    dx = np.zeros(x_shape, dy.dtype)
    dx[max_pool2d._chosen(choice, windows)] = dy
    return dx


def _mean_of_pixels(x: Numbers, windows: Windows) -> Numbers:
    pixels: Numbers = mean_pool2d.forward(np.ones_like(x), windows)  # as a share of the window
    return mean_pool2d.forward(x, windows) / pixels


def _mean_pool2d_assigned(dy: Numbers, x_shape: Any, windows: Windows) -> Numbers:
    padded = pad(np.zeros(x_shape, dy.dtype), windows)
    for i, j, patch in patches(padded, dy.shape, windows):
        patch[...] = dy[:, i : i + 1, j : j + 1] / (windows.height * windows.width)
    return crop(padded, x_shape, windows)


WINDOW_MISTAKES: dict[str, dict[str, dict[str, Mistake]]] = {
    "conv2d": {
        "forward": {
            "the bias is forgotten": lambda x, w, b, *how: conv2d.forward(x, w, 0 * b, *how),
            "the bias is added once for each tap": lambda x, w, b, *how: conv2d.forward(x, w, w[..., 0].size * b, *how),
            "the filters are flipped: here they slide as they are": (
                lambda x, w, *rest: conv2d.forward(x, w[::-1, ::-1], *rest)
            ),
            "rows and columns of the filters are exchanged": (
                lambda x, w, *rest: conv2d.forward(x, w.swapaxes(0, 1), *rest)
            ),
            "only the first channel is counted": (
                lambda x, w, *rest: conv2d.forward(x[..., :1], w[:, :, :1], *rest)
            ),
            **_other_windows(conv2d.forward),
        },
        "input_gradient": {
            "where patches overlap, the last one replaces the others: add them": _conv2d_assigned,
            "the padding is not cut off": _conv2d_uncropped,
            "the filters are flipped": lambda dy, w, *rest: conv2d.input_gradient(dy, w[::-1, ::-1], *rest),
            "only the first filter is counted": (
                lambda dy, w, *rest: conv2d.input_gradient(dy[..., :1], w[..., :1], *rest)
            ),
            **_other_windows(conv2d.input_gradient, 3),
        },
        "weight_gradient": {
            "only the last image is counted": lambda dy, x, *rest: conv2d.weight_gradient(dy[-1:], x[-1:], *rest),
            "only the first image is counted": lambda dy, x, *rest: conv2d.weight_gradient(dy[:1], x[:1], *rest),
            **_other_windows(conv2d.weight_gradient, 3),
        },
    },
    "max_pool2d": {
        "forward": {
            "padding wins, as if it were pixels of 0: leave it out": _zeros_can_win,
            "of equal pixels the last one wins: it should be the first": _last_of_ties,
            "choice counts taps column by column: it should be ki * width + kj": _choice_by_column,
            "it takes the smallest instead of the largest": lambda x, windows: (
                -max_pool2d.forward(-x, windows)[0], max_pool2d.forward(-x, windows)[1],
            ),
            "it takes the mean instead of the largest": lambda x, windows: (
                mean_pool2d.forward(x, windows), max_pool2d.forward(x, windows)[1],
            ),
            **_other_windows(max_pool2d.forward, dilated=False),
        },
        "gather": _other_windows(max_pool2d.gather, 1),
        "scatter": {
            "where windows overlap, the last dy replaces the others: add them, as np.add.at does": _scatter_assigned,
            **_other_windows(max_pool2d.scatter, 1),
        },
    },
    "mean_pool2d": {
        "forward": {
            "padding is left out of the average, as in Keras: here it counts as zeros": _mean_of_pixels,
            "it takes the largest instead of the mean": lambda x, windows: max_pool2d.forward(x, windows)[0],
            **_other_windows(mean_pool2d.forward, dilated=False),
        },
        "gradient": {
            "where windows overlap, the last one replaces the others: add them": _mean_pool2d_assigned,
            **_other_windows(mean_pool2d.gradient, dilated=False),
        },
    },
}  # fmt: skip
