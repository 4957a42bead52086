"""How optimisers move parameters. In place, all tensors of a network at one go, and not differentiable.

Parameters, their gradients and what an optimiser remembers of each are lists in one order. ValueError unless each
gradient and memory has its parameter's shape and dtype. The formulas hold for each number by itself.
"""

from collections.abc import Sequence

from minidl.backend import Array, ieee
from minidl.tensor import Tensor

Tensors = Sequence[Tensor]
Arrays = Sequence[Array]


def descent(parameters: Tensors, gradients: Tensors, learning_rate: float) -> None:
    """parameter -= learning_rate * gradient"""
    _update("descent", parameters, gradients, {}, learning_rate)


def momentum(
    parameters: Tensors,
    gradients: Tensors,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    weight_decay: float = 0.0,
) -> None:
    """velocity = momentum * velocity - learning_rate * (gradient + weight_decay * parameter); parameter += velocity"""
    _update("momentum", parameters, gradients, {"velocity": velocities}, learning_rate, momentum, weight_decay)


def nesterov(
    parameters: Tensors, gradients: Tensors, velocities: Arrays, learning_rate: float, momentum: float
) -> None:
    """parameter += momentum ** 2 * velocity - (1 + momentum) * learning_rate * gradient; then
    velocity = momentum * velocity - learning_rate * gradient"""
    _update("nesterov", parameters, gradients, {"velocity": velocities}, learning_rate, momentum)


def rmsprop(
    parameters: Tensors, gradients: Tensors, squares: Arrays, learning_rate: float, decay: float, eps: float
) -> None:
    """square = decay * square + (1 - decay) * gradient ** 2;
    parameter -= learning_rate * gradient / (sqrt(square) + eps)"""
    _update("rmsprop", parameters, gradients, {"square": squares}, learning_rate, decay, eps)


def adam(
    parameters: Tensors,
    gradients: Tensors,
    means: Arrays,
    squares: Arrays,
    learning_rate: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """mean = b1 * mean + (1 - b1) * gradient; square = b2 * square + (1 - b2) * gradient ** 2; in step 1, 2, ...

    parameter = (1 - learning_rate * weight_decay) * parameter
                - learning_rate * (mean / (1 - b1 ** step)) / (sqrt(square / (1 - b2 ** step)) + eps)
    """
    memories = {"mean": means, "square": squares}
    _update("adam", parameters, gradients, memories, learning_rate, betas, eps, weight_decay, step)


@ieee
def find_not_finite(gradients: Tensors, found: Array, step: int) -> None:
    """Look for a gradient that is not finite; found = (step, number of the last such gradient, counted from 1).

    `found`, two int32 on the gradients' backend, stays as it is if there is none, or if found[0] is not 0: what was
    found first counts. Nobody waits for a GPU.
    """
    kernels = gradients[0].backend.kernels(__package__)
    kernels.find_not_finite([gradient.array for gradient in gradients], found, step)


@ieee
def _update(name: str, parameters: Tensors, gradients: Tensors, memories: dict[str, Arrays], *settings: object) -> None:
    for what, arrays in {"gradient": gradients, **memories}.items():
        for parameter, array in zip(parameters, arrays, strict=True):
            if array.shape != parameter.shape or array.dtype != parameter.dtype:
                raise ValueError(f"{name}: expected a {what} like the parameter, {parameter.shape} {parameter.dtype}, "
                                 f"got {array.shape} {array.dtype}")  # fmt: skip
    if parameters:
        kernels = parameters[0].backend.kernels(__package__)
        of_gradients = [gradient.array for gradient in gradients]
        getattr(kernels, name)(
            [parameter.array for parameter in parameters], of_gradients, *map(list, memories.values()), *settings
        )
    for parameter in parameters:
        parameter.version += 1
