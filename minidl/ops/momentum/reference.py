"""The definition, in NumPy."""

from numpy.typing import NDArray


def update(parameter: NDArray, gradient: NDArray, velocity: NDArray, learning_rate: float, momentum: float) -> None:
    velocity *= momentum
    velocity -= learning_rate * gradient
    parameter += velocity
