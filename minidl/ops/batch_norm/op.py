"""Batch normalisation (Ioffe and Szegedy 2015)."""

from minidl.backend import Array
from minidl.modes import is_recording
from minidl.operands import operands
from minidl.tensor import Operand, Tensor, record


def batch_norm(x: Operand, scale: Operand, shift: Operand, eps: float = 1e-5) -> tuple[Tensor, Array, Array]:
    """Give every channel mean 0 and variance 1 over the batch, then scale and shift: x (..., c) -> y (..., c).

    y = (x - mean) / sqrt(variance + eps) * scale + shift, with mean and variance over all axes but the last; scale and
    shift (c,). Returns (y, mean, variance): the statistics are plain arrays (c,), the variance divided by n.
    ValueError when a channel has fewer than two values: one value minus itself is 0, whatever the network does.
    """
    x, scale, shift = operands("batch_norm", x, scale, shift)
    _check_shapes(x, scale, shift)
    kernels = x.backend.kernels(__package__)
    mean, variance = kernels.statistics(x.array)
    y = kernels.normalise(x.array, mean, variance, scale.array, shift.array, eps)

    def backward(dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if is_recording():  # gradients of this gradient are wanted: write it with functions that have them
            return _gradient(dy, x, scale, eps)
        dx, dscale, dshift = kernels.gradient(dy.array, x.array, mean, variance, scale.array, eps)
        return Tensor(dx, x.backend), Tensor(dscale, x.backend), Tensor(dshift, x.backend)

    return record(y, (x, scale, shift), backward), mean, variance


def _gradient(dy: Tensor, x: Tensor, scale: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """What kernels.gradient computes, as the paper derives it, term by term."""
    axes = tuple(range(x.ndim - 1))
    centred = x - x.mean(axes)
    deviation = ((centred * centred).mean(axes) + eps).sqrt()
    normal = centred / deviation
    dx = scale / deviation * (dy - dy.mean(axes) - normal * (dy * normal).mean(axes))
    return dx, (dy * normal).sum(axes), dy.sum(axes)


def _check_shapes(x: Tensor, scale: Tensor, shift: Tensor) -> None:
    channels = scale.shape[-1] if scale.ndim else 0
    if x.ndim < 2 or x.shape[-1] != channels or not scale.shape == shift.shape == (channels,):
        raise ValueError(f"batch_norm: expected x (..., c), scale (c,) and shift (c,), "
                         f"got {x.shape}, {scale.shape} and {shift.shape}")  # fmt: skip
    if x.size < 2 * channels:
        raise ValueError(f"batch_norm: expected at least two values per channel, got x {x.shape}; "
                         f"use a larger batch or image, or evaluate outside training")  # fmt: skip
