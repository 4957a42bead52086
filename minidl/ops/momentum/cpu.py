"""Numba: one pass over the three arrays instead of four, on all threads."""

from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled


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


@compiled(parallel=True)
def _update(parameter, gradient, velocity, learning_rate, momentum, weight_decay):
    for i in prange(parameter.size):
        velocity[i] = momentum * velocity[i] - learning_rate * (gradient[i] + weight_decay * parameter[i])
        parameter[i] += velocity[i]
