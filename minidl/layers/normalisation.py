"""Layers that keep the signal at a healthy size."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy

from minidl.backend import Array, ieee
from minidl.layers.layer import Layer, arguments
from minidl.modes import is_fusing, training_step
from minidl.operands import operands
from minidl.ops.batch_norm.op import batch_norm, normalise
from minidl.ops.elementwise import identity
from minidl.ops.relu.op import relu
from minidl.tensor import Operand, Tensor
from minidl.whole_numbers import whole_number


class BatchNorm(Layer):
    """Normalise each channel of x (..., channels) over the batch, scale and shift it, then apply `activation`.

    In training the statistics are those of the batch, and running averages follow them,

        running = (1 - momentum) * running + momentum * batch

    which take their place in evaluation. Defaults and meaning are Flux's and PyTorch's: momentum 0.1 (Keras's 0.9 with
    the roles swapped), the running variance divided by n - 1, the one used in training by n (Ioffe and Szegedy 2015);
    unbiased=False divides both by n, as Keras does.
    active=True normalises over the batch outside training too, active=False never; see testmode() and trainmode().
    """

    statistics = ("mean", "variance")

    def __init__(
        self,
        channels: int,
        activation: Callable[[Tensor], Tensor] = identity,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        unbiased: bool = True,
        active: bool | None = None,
    ) -> None:
        channels = whole_number("BatchNorm", "channels", channels)
        if channels < 1:
            raise ValueError(f"BatchNorm: expected at least one channel, got {channels}")
        self.scale, self.shift = _scale_and_shift((channels,))
        self.mean = Tensor(numpy.zeros(channels, numpy.float32))
        self.variance = Tensor(numpy.ones(channels, numpy.float32))
        self.activation, self.eps, self.momentum, self.active = activation, eps, momentum, active
        self.unbiased = unbiased

    @property
    def uses_batch(self) -> bool:
        """Whether the statistics are now those of the batch."""
        return training_step() is not None if self.active is None else self.active

    def __call__(self, x: Operand) -> Tensor:
        return self._compute(self.activation, x)

    def _compute(self, activation: Callable[[Tensor], Tensor], x: Operand) -> Tensor:
        (x,) = operands("BatchNorm", x)
        channels = self.scale.shape[0]
        if x.ndim < 2 or x.shape[-1] != channels:
            raise ValueError(f"BatchNorm: expected x (..., {channels}), got {x.shape}")
        with_relu = activation is relu and is_fusing()
        if not self.uses_batch:
            factor = self.scale / (self.variance + self.eps).sqrt()
            y = normalise(x, self.mean, factor, self.shift, with_relu)
        else:
            least = 2 if self.unbiased else 1  # n - 1 has to be above 0
            y, mean, variance = batch_norm(x, self.scale, self.shift, self.eps, with_relu, least)
            count = x.size // channels
            self._follow(self.mean, mean)
            self._follow(self.variance, variance, count / (count - 1) if self.unbiased else 1.0)
        return y if with_relu else activation(y)

    @ieee
    def _follow(self, running: Tensor, batch: Array, factor: float = 1.0) -> None:
        """What is not finite is not followed: training refuses such a batch, and the averages must outlive it."""
        xp, batch = running.backend.xp, batch.astype(running.dtype, copy=False) * factor
        followed = (1 - self.momentum) * running.array + self.momentum * batch
        running.array = xp.where(xp.isfinite(batch), followed, running.array)

    def code(self) -> str:
        inside = arguments(
            *self.scale.shape, self.activation, eps=(self.eps, 1e-5), momentum=(self.momentum, 0.1),
            unbiased=(self.unbiased, True), active=(self.active, None),
        )  # fmt: skip
        return f"{type(self).__name__}({inside})"


class GroupNorm(Layer):
    """Normalise each image of x (n, ..., channels) by itself, in `groups` of channels (Wu and He 2018).

    Then scale and shift each channel, and apply `activation`: Flux's GroupNorm(channels, groups, activation). It does
    the same in training and in evaluation, and for a batch of one. scale and shift (channels,).
    """

    def __init__(
        self, channels: int, groups: int, activation: Callable[[Tensor], Tensor] = identity, *, eps: float = 1e-5
    ) -> None:
        groups, channels = (
            whole_number("GroupNorm", name, value) for name, value in (("groups", groups), ("channels", channels))
        )
        if groups < 1 or channels < 1 or channels % groups:
            raise ValueError(f"GroupNorm: expected channels that groups={groups} divides, got {channels}")
        self.scale, self.shift = _scale_and_shift((channels,))
        self.groups, self.activation, self.eps = groups, activation, eps

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("GroupNorm", x)
        channels = self.scale.shape[0]
        if x.ndim < 2 or x.shape[-1] != channels:
            raise ValueError(f"GroupNorm: expected x (n, ..., {channels}), got {x.shape}")
        places = math.prod(x.shape[1:-1])
        grouped = x.reshape(x.shape[0], places, self.groups, channels // self.groups)
        normal = _normalised(grouped, (1, 3), self.eps).reshape(x.shape)
        return self.activation(normal * self.scale + self.shift)

    def code(self) -> str:
        return (
            f"{type(self).__name__}({arguments(*self.scale.shape, self.groups, self.activation, eps=(self.eps, 1e-5))})"
        )


class LayerNorm(Layer):
    """Normalise over the last axes, of sizes `size`, then scale and shift each number (Ba et al. 2016).

    LayerNorm(64) or LayerNorm((8, 8, 64)), then `activation`; the same in training and in evaluation. scale and shift
    have the shape `size`.
    """

    def __init__(
        self, size: int | Sequence[int], activation: Callable[[Tensor], Tensor] = identity, *, eps: float = 1e-5
    ) -> None:
        sizes = tuple(
            whole_number("LayerNorm", "each size", one) for one in (size if isinstance(size, Iterable) else (size,))
        )
        if not sizes or min(sizes) < 1:
            raise ValueError(f"LayerNorm: expected at least one size, each at least 1, got {size}")
        self.scale, self.shift = _scale_and_shift(sizes)
        self.activation, self.eps = activation, eps

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("LayerNorm", x)
        sizes = self.scale.shape
        if x.shape[-len(sizes) :] != sizes:
            raise ValueError(f"LayerNorm: expected x (..., {', '.join(map(str, sizes))}), got {x.shape}")
        normal = _normalised(x, tuple(range(x.ndim - len(sizes), x.ndim)), self.eps)
        return self.activation(normal * self.scale + self.shift)

    def code(self) -> str:
        sizes = self.scale.shape
        size = sizes[0] if len(sizes) == 1 else sizes
        return f"{type(self).__name__}({arguments(size, self.activation, eps=(self.eps, 1e-5))})"


def _scale_and_shift(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Ones and zeros, to be trained."""
    scale, shift = (make(shape, numpy.float32) for make in (numpy.ones, numpy.zeros))
    return Tensor(scale, requires_grad=True), Tensor(shift, requires_grad=True)


def _normalised(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """Mean 0 and variance 1 over these axes."""
    centred = x - x.mean(axes, keepdims=True)
    return centred / ((centred * centred).mean(axes, keepdims=True) + eps).sqrt()
