"""The definition, in NumPy; sums in float64, since a batch has many thousands of values per channel."""

import numpy as np
from numpy.typing import NDArray


def statistics(x: NDArray) -> tuple[NDArray, NDArray]:
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes, dtype=np.float64)
    variance = ((x - mean) ** 2).mean(axes)
    return mean.astype(x.dtype), variance.astype(x.dtype)


def normalise(x: NDArray, mean: NDArray, variance: NDArray, scale: NDArray, shift: NDArray, eps: float) -> NDArray:
    return (x - mean) / np.sqrt(variance + x.dtype.type(eps)) * scale + shift


def gradient(
    dy: NDArray, x: NDArray, mean: NDArray, variance: NDArray, scale: NDArray, eps: float
) -> tuple[NDArray, NDArray, NDArray]:
    """(dx, dscale, dshift). dx is dy less what it adds to the mean and to the variance."""
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    deviation = np.sqrt(variance + x.dtype.type(eps))
    normal = (x - mean) / deviation
    dshift = dy.sum(axes, dtype=np.float64).astype(x.dtype)
    dscale = (dy * normal).sum(axes, dtype=np.float64).astype(x.dtype)
    dx = scale / deviation * (dy - dshift / count - normal * (dscale / count))
    return dx, dscale, dshift
