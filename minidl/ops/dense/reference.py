"""The definition, in NumPy: one weighted sum for each number of the result."""

import numpy as np
from numpy.typing import NDArray


def forward(x: NDArray, weight: NDArray, bias: NDArray) -> NDArray:
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    for o in range(weight.shape[1]):
        y[:, o] = (x * weight[:, o]).sum(axis=1, dtype=np.float64) + bias[o]
    return y


def input_gradient(dy: NDArray, weight: NDArray) -> NDArray:
    dx = np.empty((len(dy), weight.shape[0]), dy.dtype)
    for i in range(weight.shape[0]):
        dx[:, i] = (dy * weight[i]).sum(axis=1, dtype=np.float64)
    return dx


def weight_gradient(dy: NDArray, x: NDArray) -> NDArray:
    dweight = np.empty((x.shape[1], dy.shape[1]), dy.dtype)
    for i in range(x.shape[1]):
        dweight[i] = (x[:, i : i + 1] * dy).sum(axis=0, dtype=np.float64)
    return dweight
