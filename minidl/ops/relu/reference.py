"""The definition, in NumPy."""

import numpy as np
from numpy.typing import NDArray


def forward(x: NDArray) -> NDArray:
    return np.maximum(x, 0)  # of nan and 0, nan


def gradient(dy: NDArray, y: NDArray) -> NDArray:
    return np.where(y > 0, dy, dy.dtype.type(0))  # not dy * (y > 0), which is nan where dy is infinite


def gradient_and_sums(dy: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """gradient(), and its sums over all axes but the last: the gradient of a bias that was added before the relu."""
    dx = gradient(dy, y)
    return dx, dx.sum(tuple(range(dx.ndim - 1)), dtype=np.float64).astype(dx.dtype)
