"""The definition, in NumPy: one tensor after the other, in place."""

import numpy as np
from numpy.typing import NDArray

Arrays = list[NDArray]


def find_not_finite(gradients: Arrays, found: NDArray, step: int) -> None:
    broken = [number for number, gradient in enumerate(gradients, 1) if not np.isfinite(gradient).all()]
    if broken and not found[0]:
        found[:] = step, broken[-1]


def descent(parameters: Arrays, gradients: Arrays, learning_rate: float) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter -= learning_rate * gradient


def momentum(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
        velocity *= momentum
        velocity -= learning_rate * (gradient + weight_decay * parameter)
        parameter += velocity


def nesterov(parameters: Arrays, gradients: Arrays, velocities: Arrays, learning_rate: float, momentum: float) -> None:
    for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
        push = learning_rate * gradient
        parameter += momentum**2 * velocity - (1 + momentum) * push
        velocity *= momentum
        velocity -= push


def rmsprop(
    parameters: Arrays, gradients: Arrays, squares: Arrays, learning_rate: float, decay: float, eps: float
) -> None:
    for parameter, gradient, square in zip(parameters, gradients, squares, strict=True):
        square *= decay
        square += (1 - decay) * gradient**2
        parameter -= learning_rate * gradient / (square**0.5 + eps)


def adam(
    parameters: Arrays,
    gradients: Arrays,
    means: Arrays,
    squares: Arrays,
    learning_rate: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    mean_correction, square_correction = (1 - beta**step for beta in betas)
    for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
        mean *= betas[0]
        mean += (1 - betas[0]) * gradient
        square *= betas[1]
        square += (1 - betas[1]) * gradient**2
        parameter *= 1 - learning_rate * weight_decay
        parameter -= (learning_rate / mean_correction) * mean / ((square / square_correction) ** 0.5 + eps)
