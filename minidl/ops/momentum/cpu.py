"""Numba: one pass over the three arrays instead of four, on all threads."""

from numba import njit, prange
from numpy.typing import NDArray


def update(parameter: NDArray, gradient: NDArray, velocity: NDArray, learning_rate: float, momentum: float) -> None:
    number = parameter.dtype.type
    _update(parameter.reshape(-1), gradient.reshape(-1), velocity.reshape(-1), number(learning_rate), number(momentum))


@njit(parallel=True, cache=True)
def _update(parameter, gradient, velocity, learning_rate, momentum):
    for i in prange(parameter.size):
        velocity[i] = momentum * velocity[i] - learning_rate * gradient[i]
        parameter[i] += velocity[i]
