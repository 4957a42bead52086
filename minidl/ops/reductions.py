"""Many numbers into one: variances and extremes; sums and means are in sum/op.py."""

import math

from minidl.backend import ieee
from minidl.operands import operands
from minidl.ops.elementwise import select
from minidl.ops.shaping import broadcast_to, checked_axes
from minidl.ops.sum.op import mean
from minidl.tensor import Axis, Operand, Tensor, attach, record


def var(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The average squared distance from the mean (divided by n, not n - 1)."""
    (x,) = operands("var", x)
    axes = checked_axes("var", axis, x.shape)
    distance = x - mean(x, axes, keepdims=True)
    drift = mean(distance, axes, keepdims)  # not 0: the mean was rounded
    return mean(distance * distance, axes, keepdims) - drift * drift


@ieee
def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest number along `axis`; equal ones share the gradient. ValueError when there is none."""
    (x,) = operands("max", x)
    axes = checked_axes("max", axis, x.shape)
    if _count(x, axes) == 0:
        raise ValueError(f"max: nothing to compare over axis {axis} of shape {x.shape}")
    if not axes:
        return x
    y = x.array.max(axes, keepdims=True)
    winners = (x.array == y) | (x.array != x.array)  # one nan makes the result nan, which is then its doing
    shares = Tensor(winners.sum(axes, keepdims=True).astype(x.dtype), x.backend)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (select(broadcast_to(dy.reshape(shares.shape) / shares, winners.shape), winners),)

    return record(y if keepdims else y.squeeze(axes), (x,), backward)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest number along `axis`; equal ones share the gradient. ValueError when there is none."""
    (x,) = operands("min", x)
    axes = checked_axes("min", axis, x.shape)
    if _count(x, axes) == 0:
        raise ValueError(f"min: nothing to compare over axis {axis} of shape {x.shape}")
    return -max(-x, axes, keepdims)


def _count(x: Tensor, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[number] for number in axes)


attach(var=var, max=max, min=min)
