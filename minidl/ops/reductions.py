"""Many numbers into one: sums, means, extremes."""

from minidl.ops.elementwise import select
from minidl.ops.shaping import Shape, broadcast_to
from minidl.tensor import Axis, Operand, Tensor, attach, operands, record


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Add up x over `axis` (one, several, or all when None)."""
    (x,) = operands("sum", x)
    axes, old_shape, kept = _axes(x, axis), x.shape, _kept_shape(x, axis)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (broadcast_to(dy.reshape(kept), old_shape),)

    return record(x.array.sum(axes, keepdims=keepdims), (x,), backward)


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The average of x over `axis`."""
    (x,) = operands("mean", x)
    count = _count(x, axis)
    if count == 0:
        raise ValueError(f"mean: nothing to average over axis {axis} of shape {x.shape}")
    return sum(x, axis, keepdims) / count


def var(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The average squared distance from the mean (divided by n, not n - 1)."""
    (x,) = operands("var", x)
    distance = x - mean(x, axis, keepdims=True)
    return mean(distance * distance, axis, keepdims)


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest number along `axis`; equal ones share the gradient."""
    (x,) = operands("max", x)
    axes, kept = _axes(x, axis), _kept_shape(x, axis)
    if _count(x, axis) == 0:
        raise ValueError(f"max: nothing to compare over axis {axis} of shape {x.shape}")
    y = x.array.max(axes, keepdims=True)
    winners = (x.array == y) | (x.array != x.array)  # one nan makes the result nan, which is then its doing
    shares = Tensor(winners.sum(axes, keepdims=True).astype(x.dtype), x.backend)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (select(broadcast_to(dy.reshape(kept) / shares, winners.shape), winners),)

    return record(y if keepdims else y.reshape(_reduced_shape(x, axis)), (x,), backward)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest number along `axis`; equal ones share the gradient."""
    (x,) = operands("min", x)
    return -max(-x, axis, keepdims)


def _axes(x: Tensor, axis: Axis) -> tuple[int, ...]:
    """The axes meant, counted from the front."""
    if axis is None:
        return tuple(range(x.ndim))
    chosen = (axis,) if isinstance(axis, int) else tuple(axis)
    for number in chosen:
        if not -x.ndim <= number < x.ndim:
            raise ValueError(f"expected an axis from {-x.ndim} to {x.ndim - 1} of shape {x.shape}, got {number}")
    return tuple(number % x.ndim for number in chosen)


def _kept_shape(x: Tensor, axis: Axis) -> Shape:
    axes = _axes(x, axis)
    return tuple(1 if number in axes else size for number, size in enumerate(x.shape))


def _reduced_shape(x: Tensor, axis: Axis) -> Shape:
    axes = _axes(x, axis)
    return tuple(size for number, size in enumerate(x.shape) if number not in axes)


def _count(x: Tensor, axis: Axis) -> int:
    count = 1
    for number in _axes(x, axis):
        count *= x.shape[number]
    return count


attach(sum=sum, mean=mean, var=var, max=max, min=min)
