"""The definition, in NumPy."""

from numpy.typing import NDArray


def update(
    parameter: NDArray,
    gradient: NDArray,
    velocity: NDArray,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    velocity *= momentum
    velocity -= learning_rate * (gradient + weight_decay * parameter)
    parameter += velocity
