"""Numba: one pass over the arrays of a tensor instead of several, on all threads."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.blocks import block_count
from minidl.ops.compiling import compiled
from minidl.ops.finite import is_known_to_be_finite
from minidl.ops.optimiser_steps.numbers import adam_numbers, rmsprop_numbers

Arrays = list[NDArray]


def find_not_finite(gradients: Arrays, found: NDArray, step: int) -> None:
    broken = [number for number, gradient in enumerate(gradients, 1) if not _is_finite(gradient)]
    if broken and not found[0]:
        found[:] = step, broken[-1]


def _is_finite(gradient: NDArray) -> bool:
    if is_known_to_be_finite(gradient):
        return True
    sums = np.empty(block_count(gradient.size), gradient.dtype)
    _add_zeros(gradient.reshape(-1), sums)
    return not sums.any()


def descent(parameters: Arrays, gradients: Arrays, learning_rate: float) -> None:
    _for_each_tensor(_descent, (parameters, gradients), learning_rate)


def momentum(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    _for_each_tensor(_momentum, (parameters, gradients, velocities), learning_rate, momentum, weight_decay)


def nesterov(parameters: Arrays, gradients: Arrays, velocities: Arrays, learning_rate: float, momentum: float) -> None:
    _for_each_tensor(_nesterov, (parameters, gradients, velocities), learning_rate, momentum)


def rmsprop(
    parameters: Arrays, gradients: Arrays, squares: Arrays, learning_rate: float, decay: float, eps: float
) -> None:
    _for_each_tensor(_rmsprop, (parameters, gradients, squares), *rmsprop_numbers(learning_rate, decay, eps))


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
    numbers = adam_numbers(learning_rate, betas, eps, weight_decay, step)
    _for_each_tensor(_adam, (parameters, gradients, means, squares), *numbers)


def _for_each_tensor(kernel: Callable[..., Any], lists: tuple[Arrays, ...], *numbers: float) -> None:
    for arrays in zip(*lists, strict=True):
        kernel(*(array.reshape(-1) for array in arrays), *(arrays[0].dtype.type(number) for number in numbers))


@compiled(parallel=True)
def _add_zeros(numbers, sums):
    for block in prange(len(sums)):
        part = slice(block * len(numbers) // len(sums), (block + 1) * len(numbers) // len(sums))
        sums[block] = _zeros_of_block(numbers[part])


@compiled(fastmath={"reassoc"})  # a vector of sums side by side
def _zeros_of_block(numbers):
    """0 if all numbers are finite: 0 times infinity is nan, as 0 times nan is."""
    zero = numbers.dtype.type(0)
    total = zero
    for i in range(len(numbers)):
        total += zero * numbers[i]
    return total


@compiled(parallel=True)
def _descent(parameter, gradient, learning_rate):
    for i in prange(parameter.size):
        parameter[i] -= learning_rate * gradient[i]


@compiled(parallel=True)
def _momentum(parameter, gradient, velocity, learning_rate, momentum, weight_decay):
    for i in prange(parameter.size):
        velocity[i] = momentum * velocity[i] - learning_rate * (gradient[i] + weight_decay * parameter[i])
        parameter[i] += velocity[i]


@compiled(parallel=True)
def _nesterov(parameter, gradient, velocity, learning_rate, momentum):
    for i in prange(parameter.size):
        push = learning_rate * gradient[i]
        parameter[i] += momentum * momentum * velocity[i] - (1 + momentum) * push
        velocity[i] = momentum * velocity[i] - push


@compiled(parallel=True)
def _rmsprop(parameter, gradient, square, learning_rate, decay, share, eps):
    for i in prange(parameter.size):
        square[i] = decay * square[i] + share * gradient[i] * gradient[i]
        parameter[i] -= learning_rate * gradient[i] / (sqrt(square[i]) + eps)


@compiled(parallel=True)
def _adam(parameter, gradient, mean, square, rate, beta1, share1, beta2, share2, square_correction, eps, kept):
    for i in prange(parameter.size):
        mean[i] = beta1 * mean[i] + share1 * gradient[i]
        square[i] = beta2 * square[i] + share2 * gradient[i] * gradient[i]
        parameter[i] = kept * parameter[i] - rate * mean[i] / (sqrt(square[i] / square_correction) + eps)
