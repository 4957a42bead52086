"""The definition, in NumPy: visit every output position and look at the patch of the image under the filter."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from minidl.ops.max_pool2d import reference as max_pool2d
from minidl.ops.patches import crop, pad, patches
from minidl.ops.relu import reference as _relu
from minidl.ops.windows import HALVING, Windows, output_shape


def forward(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    n, h, w, _ = x.shape
    y = np.empty((n, *output_shape(windows, h, w), weight.shape[3]), x.dtype)
    padded = pad(x, windows)
    for channels, filters in _groups(weight.shape, groups):
        for i, j, patch in patches(padded[..., channels], y.shape, windows):
            y[:, i, j, filters] = np.tensordot(patch.astype(np.float64), weight[..., filters], axes=3)
    return y + bias


def forward_relu(x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int) -> NDArray:
    return _relu.forward(forward(x, weight, bias, windows, groups))


def forward_relu_max_pool(
    x: NDArray, weight: NDArray, bias: NDArray, windows: Windows, groups: int
) -> tuple[NDArray, NDArray]:
    """The largest of 2 x 2 outputs each, and which of the four it was."""
    return max_pool2d.forward(forward_relu(x, weight, bias, windows, groups), HALVING)


def forward_normalise(
    x: NDArray, weight: NDArray, factor: NDArray, shift: NDArray, windows: Windows, groups: int, relu: bool
) -> NDArray:
    """(x * weight) * factor + shift, per filter; with `relu`, its relu."""
    y = forward(x, weight, np.zeros_like(shift), windows, groups) * factor + shift
    return _relu.forward(y) if relu else y


def forward_normalise_relu_max_pool(
    x: NDArray, weight: NDArray, factor: NDArray, shift: NDArray, windows: Windows, groups: int
) -> NDArray:
    y, _ = max_pool2d.forward(forward_normalise(x, weight, factor, shift, windows, groups, relu=True), HALVING)
    return y


def input_gradient(dy: NDArray, weight: NDArray, x_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    padded, weight = pad(np.zeros(x_shape), windows), weight.astype(np.float64)
    for channels, filters in _groups(weight.shape, groups):
        for i, j, dpatch in patches(padded[..., channels], dy.shape, windows):
            dpatch += np.tensordot(dy[:, i, j, filters], weight[..., filters], axes=(1, 3))  # patches overlap, so add
    return crop(padded, x_shape, windows).astype(dy.dtype)


def weight_gradient(dy: NDArray, x: NDArray, weight_shape: tuple[int, ...], windows: Windows, groups: int) -> NDArray:
    dweight = np.zeros(weight_shape)
    padded = pad(x.astype(np.float64), windows)
    for channels, filters in _groups(weight_shape, groups):
        for i, j, patch in patches(padded[..., channels], dy.shape, windows):
            dweight[..., filters] += np.tensordot(patch, dy[:, i, j, filters], axes=(0, 0))
    return dweight.astype(dy.dtype)


def _groups(weight_shape: tuple[int, ...], groups: int) -> Iterator[tuple[slice, slice]]:
    """Which channels each group of filters sees."""
    channels, filters = weight_shape[2], weight_shape[3] // groups
    for g in range(groups):
        yield slice(g * channels, (g + 1) * channels), slice(g * filters, (g + 1) * filters)
