"""Batch normalisation (Ioffe and Szegedy 2015), with the relu that mostly follows it at one go."""

from minidl.backend import Array, ieee
from minidl.modes import is_recording
from minidl.operands import operands, shapes_of
from minidl.ops.relu.op import relu_gradient
from minidl.ops.sum.op import row_sums
from minidl.tensor import Operand, Tensor, record


@ieee
def batch_norm(
    x: Operand, scale: Operand, shift: Operand, eps: float = 1e-5, relu: bool = False, least: int = 2
) -> tuple[Tensor, Array, Array]:
    """Give every channel mean 0 and variance 1 over the batch, then scale and shift: x (..., c) -> y (..., c).

    y = (x - mean) / sqrt(variance + eps) * scale + shift, with mean and variance over all axes but the last; scale and
    shift (c,). With relu=True, y = relu(that). Returns (y, mean, variance): the statistics are plain arrays (c,), the
    variance divided by n. ValueError when a channel has fewer than `least` values: one value minus itself is 0,
    whatever the network does.
    """
    x, scale, shift = operands("batch_norm", x, scale, shift)
    _check_shapes("batch_norm", "scale (c,) and shift (c,)", x, scale, shift)
    if x.size < least * scale.size:
        raise ValueError(f"batch_norm: expected at least two values per channel, got x {x.shape}; "
                         f"use a larger batch or image, or evaluate outside training")  # fmt: skip
    kernels = x.backend.kernels(__package__)
    mean, variance = kernels.statistics(x.array)
    deviation = x.backend.xp.sqrt(variance + x.dtype.type(eps))
    y = kernels.normalise(x.array, mean, scale.array / deviation, shift.array, relu)

    def backward(dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if is_recording():  # gradients of this gradient are wanted: write it with functions that have them
            if relu:
                dy = relu_gradient(dy, kernels.normalise(x.array, mean, scale.array / deviation, shift.array, relu))
            return _gradient(dy, x, scale, eps)
        gradients = kernels.gradient(dy.array, x.array, mean, deviation, scale.array, shift.array, relu)
        dx, dscale, dshift = (Tensor(gradient, x.backend) for gradient in gradients)
        return dx, dscale, dshift

    return record(y, (x, scale, shift), backward), mean, variance


def _gradient(dy: Tensor, x: Tensor, scale: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """What kernels.gradient computes, as the paper derives it, term by term."""
    axes = tuple(range(x.ndim - 1))
    centred = x - x.mean(axes)
    deviation = ((centred * centred).mean(axes) + eps).sqrt()
    normal = centred / deviation
    dx = scale / deviation * (dy - dy.mean(axes) - normal * (dy * normal).mean(axes))
    return dx, (dy * normal).sum(axes), dy.sum(axes)


@ieee
def normalise(x: Operand, mean: Operand, factor: Operand, shift: Operand, relu: bool = False) -> Tensor:
    """(x - mean) * factor + shift, per channel: x (..., c), the others (c,) -> y (..., c). With relu=True, its relu.

    What batch norm does in evaluation, where the statistics are given: factor = scale / sqrt(variance + eps).
    """
    x, mean, factor, shift = operands("normalise", x, mean, factor, shift)
    _check_shapes("normalise", "mean (c,), factor (c,) and shift (c,)", x, mean, factor, shift)
    y = x.backend.kernels(__package__).normalise(x.array, mean.array, factor.array, shift.array, relu)
    result = y if relu else None

    def backward(dy: Tensor) -> tuple[Tensor, ...]:
        dy = dy if result is None else relu_gradient(dy, result)
        sums = row_sums(dy)
        return dy * factor, -sums * factor, row_sums(dy * (x - mean)), sums

    return record(y, (x, mean, factor, shift), backward)


def _check_shapes(op: str, expected: str, x: Tensor, *numbers: Tensor) -> None:
    """ValueError unless each channel of x has its number in each of `numbers`."""
    if x.ndim < 2 or any(number.shape != x.shape[-1:] for number in numbers):
        raise ValueError(f"{op}: expected x (..., c), {expected}, got {shapes_of((x, *numbers))}")
