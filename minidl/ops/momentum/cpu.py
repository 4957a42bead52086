"""Numba: one pass over the three arrays instead of four, on all threads."""

from numba import njit, prange
from numpy.typing import NDArray


def update(
    parameter: NDArray,
    gradient: NDArray,
    velocity: NDArray,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    numbers = (parameter.dtype.type(number) for number in (learning_rate, momentum, weight_decay))
    _update(parameter.reshape(-1), gradient.reshape(-1), velocity.reshape(-1), *numbers)


@njit(parallel=True, cache=True)
def _update(parameter, gradient, velocity, learning_rate, momentum, weight_decay):
    for i in prange(parameter.size):
        velocity[i] = momentum * velocity[i] - learning_rate * (gradient[i] + weight_decay * parameter[i])
        parameter[i] += velocity[i]
