"""Sums and means over axes, whose gradient is given to every number that was added."""

import math

from minidl.operands import operands
from minidl.ops.axis_sums import summed
from minidl.ops.shaping import broadcast_to, checked_axes
from minidl.tensor import Axis, Operand, Tensor, attach, record


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Add up x over `axis` (one, several, or all when None); with keepdims=True these axes stay, of size 1."""
    (x,) = operands("sum", x)
    return _sum("sum", x, checked_axes("sum", axis, x.shape), keepdims)


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The average of x over `axis`; axes as in sum(). ValueError when there is nothing to average."""
    (x,) = operands("mean", x)
    axes = checked_axes("mean", axis, x.shape)
    count = math.prod(x.shape[number] for number in axes)
    if count == 0:
        raise ValueError(f"mean: nothing to average over axis {axis} of shape {x.shape}")
    return _sum("mean", x, axes, keepdims, count)


def row_sums(x: Operand) -> Tensor:
    """x (..., c) summed over all axes but the last -> (c,); ValueError for a number without axes."""
    (x,) = operands("row_sums", x)
    if x.ndim == 0:
        raise ValueError("row_sums: expected x (..., c), got a single number")
    return _sum("row_sums", x, tuple(range(x.ndim - 1)))


def _sum(name: str, x: Tensor, axes: tuple[int, ...], keepdims: bool = False, count: int = 1) -> Tensor:
    """The sum over `axes`, divided by `count` before it is rounded."""
    shape = x.shape
    kept = tuple([1 if number in axes else size for number, size in enumerate(shape)])
    y = summed(x.array, x.backend, axes, count)

    def backward(dy: Tensor) -> tuple[Tensor]:
        share = dy if count == 1 else dy / count
        return (broadcast_to(share.reshape(kept), shape),)

    return record(y.reshape(kept) if keepdims else y, (x,), backward, name=name)


attach(sum=sum, mean=mean)
