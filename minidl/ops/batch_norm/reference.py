"""The definition, in NumPy; sums in float64, since a batch has many thousands of values per channel."""

import numpy as np
from numpy.typing import NDArray


def statistics(x: NDArray) -> tuple[NDArray, NDArray]:
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes, dtype=np.float64)
    variance = ((x - mean) ** 2).mean(axes, dtype=np.float64)
    return mean.astype(x.dtype), variance.astype(x.dtype)


def normalise(x: NDArray, mean: NDArray, factor: NDArray, shift: NDArray, relu: bool) -> NDArray:
    y = (x - mean) * factor + shift
    return np.maximum(y, 0) if relu else y


def gradient(
    dy: NDArray, x: NDArray, mean: NDArray, deviation: NDArray, scale: NDArray, shift: NDArray, relu: bool
) -> tuple[NDArray, NDArray, NDArray]:
    """(dx, dscale, dshift). dx is dy less what it adds to the mean and to the variance."""
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    if relu:
        dy = np.where(normalise(x, mean, scale / deviation, shift, relu) > 0, dy, dy.dtype.type(0))
    normal = (x - mean) / deviation
    dshift = dy.sum(axes, dtype=np.float64).astype(x.dtype)
    dscale = (dy * normal).sum(axes, dtype=np.float64).astype(x.dtype)
    dx = scale / deviation * (dy - dshift / count - normal * (dscale / count))
    return dx, dscale, dshift
