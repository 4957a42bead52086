"""Numba: row by row, without temporary arrays; sums in float64, since there may be many classes."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.exponentials import exponentials, largest_of
from minidl.ops.memory import empty


def softmax(x: NDArray) -> NDArray:
    y = empty(x.shape, x.dtype)
    _softmax(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
    return y


def logsoftmax(x: NDArray) -> NDArray:
    y = empty(x.shape, x.dtype)
    _logsoftmax(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
    return y


@compiled(parallel=True)
def _softmax(x, y):
    for m in prange(len(x)):
        total = exponentials(x[m], largest_of(x[m]), y[m])
        for k in range(x.shape[1]):
            y[m, k] *= x.dtype.type(1 / total)


@compiled(parallel=True)
def _logsoftmax(x, y):
    for m in prange(len(x)):
        largest, log_total = log_of_total(x[m])
        for k in range(x.shape[1]):
            y[m, k] = (x[m, k] - largest) - log_total


@compiled
def log_of_total(scores):
    """(a, b) with a + b = log(sum of exp(scores)), without overflow; added up, b would lose the digits that a has."""
    largest = largest_of(scores)
    return largest, np.log(exponentials(scores, largest, None))
