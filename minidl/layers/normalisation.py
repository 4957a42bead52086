"""Layers that keep the signal at a healthy size."""

from collections.abc import Callable

import numpy

from minidl.backend import Array
from minidl.layers.layer import Layer, arguments
from minidl.modes import training_step
from minidl.operands import operands
from minidl.ops.batch_norm.op import batch_norm, normalise
from minidl.ops.elementwise import identity
from minidl.ops.relu.op import relu
from minidl.tensor import Operand, Tensor


class BatchNorm(Layer):
    """Normalise each channel of x (..., channels) over the batch, scale and shift it, then apply `activation`.

    In training the statistics are those of the batch, and running averages follow them,

        running = (1 - momentum) * running + momentum * batch

    which take their place in evaluation. Defaults and meaning are Flux's and PyTorch's: momentum 0.1 (Keras's 0.9 with
    the roles swapped), the running variance divided by n - 1, the one used in training by n (Ioffe and Szegedy 2015).
    """

    def __init__(
        self,
        channels: int,
        activation: Callable[[Tensor], Tensor] = identity,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        if channels < 1:
            raise ValueError(f"BatchNorm: expected at least one channel, got {channels}")
        self.scale = Tensor(numpy.ones(channels, numpy.float32), requires_grad=True)
        self.shift = Tensor(numpy.zeros(channels, numpy.float32), requires_grad=True)
        self.mean = Tensor(numpy.zeros(channels, numpy.float32))
        self.variance = Tensor(numpy.ones(channels, numpy.float32))
        self.activation, self.eps, self.momentum = activation, eps, momentum

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("BatchNorm", x)
        channels = self.scale.shape[0]
        if x.ndim < 2 or x.shape[-1] != channels:
            raise ValueError(f"BatchNorm: expected x (..., {channels}), got {x.shape}")
        with_relu = self.activation is relu
        if training_step() is None:
            factor = self.scale / (self.variance + self.eps).sqrt()
            y = normalise(x, self.mean, factor, self.shift, with_relu)
        else:
            y, mean, variance = batch_norm(x, self.scale, self.shift, self.eps, with_relu)
            count = x.size // channels
            self._follow(self.mean, mean)
            self._follow(self.variance, variance * (count / (count - 1)))
        return y if with_relu else self.activation(y)

    def _follow(self, running: Tensor, batch: Array) -> None:
        running.array = (1 - self.momentum) * running.array + self.momentum * batch.astype(running.dtype)

    def code(self) -> str:
        inside = arguments(*self.scale.shape, self.activation, eps=(self.eps, 1e-5), momentum=(self.momentum, 0.1))
        return f"BatchNorm({inside})"
