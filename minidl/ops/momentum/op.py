"""The momentum update (Polyak 1964), in the form of Flux and Keras."""

from minidl.backend import Array
from minidl.tensor import Tensor


def momentum_update(
    parameter: Tensor,
    gradient: Tensor,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    weight_decay: float = 0.0,
) -> None:
    """velocity = momentum * velocity - learning_rate * (gradient + weight_decay * parameter); parameter += velocity

    In place, and not differentiable. ValueError unless all three have one shape and dtype.
    """
    for name, array in [("gradient", gradient), ("velocity", velocity)]:
        if array.shape != parameter.shape or array.dtype != parameter.dtype:
            raise ValueError(f"momentum_update: expected a {name} like the parameter, {parameter.shape} "
                             f"{parameter.dtype}, got {array.shape} {array.dtype}")  # fmt: skip
    kernels = parameter.backend.kernels(__package__)
    kernels.update(parameter.array, gradient.array, velocity, learning_rate, momentum, weight_decay)
    parameter.version += 1
