"""Ops that move numbers without changing them, and their transposes, which add up what was copied.

reshape and transpose undo themselves; broadcast_to and sum_to, and indexing and scattering, are each other's backward.
Where NumPy gives a view, it is copied, so that changing one tensor in place never changes another behind its back.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy

from minidl.backend import Backend, ieee
from minidl.modes import is_recording
from minidl.operands import is_whole_number, operands, shapes_of
from minidl.ops.axis_sums import summed
from minidl.tensor import Axis, Operand, Tensor, attach, record

Shape = tuple[int, ...]


def checked_axes(op: str, axis: Axis, shape: Shape) -> tuple[int, ...]:
    """The axes meant, counted from the front: one, several, or all when None. ValueError, naming `op`, for others."""
    ndim = len(shape)
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    for number in axes:
        if not is_whole_number(number) or not -ndim <= number < ndim:
            known = f"an axis from {-ndim} to {ndim - 1}" if ndim else "no axis"
            raise ValueError(f"{op}: expected {known} of shape {shape}, got {number!r}")
    counted = tuple(int(number) % ndim for number in axes)
    if len(set(counted)) < len(counted):
        raise ValueError(f"{op}: expected each axis of shape {shape} once, got {axis}")
    return counted


def reshape(x: Operand, *shape: int | Sequence[int]) -> Tensor:
    """The same numbers, row by row, in another shape; one -1 is worked out."""
    (x,) = operands("reshape", x)
    old_shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (reshape(dy, old_shape),)

    try:
        array = x.array.reshape(_spread(shape))
    except (ValueError, TypeError):
        raise ValueError(f"reshape: expected sizes whose product is that of {old_shape}, one of them -1 if the others "
                         f"decide it, got {tuple(_spread(shape))}") from None  # fmt: skip
    return record(array.copy(), (x,), backward)


def flatten(x: Operand) -> Tensor:
    """(n, ...) -> (n, product of the rest): keep the batch axis, lay the rest out in a row (height, width, channel)."""
    (x,) = operands("flatten", x)
    if x.ndim == 0:
        raise ValueError("flatten: expected at least a batch axis (n, ...), got shape ()")
    return reshape(x, (x.shape[0], math.prod(x.shape[1:])))


def transpose(x: Operand, *axes: int | Sequence[int]) -> Tensor:
    """Reorder the axes: x.transpose(2, 0, 1) of (h, w, c) is (c, h, w); without arguments, reverse them. ValueError
    unless each axis is named once."""
    (x,) = operands("transpose", x)
    order = checked_axes("transpose", _spread(axes), x.shape) or tuple(range(x.ndim))[::-1]
    if len(order) < x.ndim:
        raise ValueError(f"transpose: expected all {x.ndim} axes of shape {x.shape}, got {order}")
    inverse = [order.index(axis) for axis in range(x.ndim)]

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (transpose(dy, inverse),)

    return record(x.array.transpose(order).copy(), (x,), backward)


def broadcast_to(x: Operand, shape: Shape) -> Tensor:
    """Repeat x along new and length-1 axes, by NumPy's rule, until it has `shape`."""
    (x,) = operands("broadcast_to", x)
    old_shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (sum_to(dy, old_shape),)

    return record(x.backend.xp.broadcast_to(x.array, shape).copy(), (x,), backward)


@ieee
def sum_to(x: Operand, shape: Shape) -> Tensor:
    """Add up x over the axes that broadcasting from `shape` added or stretched: the transpose of broadcast_to."""
    (x,) = operands("sum_to", x)
    if x.shape == shape:
        return x
    old_shape, added = x.shape, x.ndim - len(shape)
    stretched = tuple(added + axis for axis, size in enumerate(shape) if size == 1 and old_shape[added + axis] != 1)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (broadcast_to(dy, old_shape),)

    return record(summed(x.array, x.backend, (*range(added), *stretched)).reshape(shape), (x,), backward)


def getitem(x: Operand, key: Any) -> Tensor:
    """x[key] with NumPy's basic and advanced indexing: numbers, slices, None, ..., arrays of numbers or booleans.

    IndexError for a place that is not there; on a GPU not for one in an array of numbers, where CuPy counts round.
    """
    (x,) = operands("getitem", x)
    key = _array_key(key, x.backend)
    shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (scatter(dy, key, shape),)

    return record(x.array[key].copy(), (x,), backward)


@ieee
def scatter(x: Operand, key: Any, shape: Shape) -> Tensor:
    """Zeros of `shape` with x added at [key], repeated places adding up: the transpose of indexing."""
    (x,) = operands("scatter", x)
    key = _array_key(key, x.backend)
    once, xp = _visits_each_place_once(key), x.backend.xp
    y = xp.zeros(shape, x.dtype if once else numpy.float64)
    if once:
        y[key] = x.array
    else:
        xp.add.at(y, key, x.array.astype(numpy.float64))
        y = y.astype(x.dtype, copy=False)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (getitem(dy, key),)

    return record(y, (x,), backward)


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Join tensors along an axis they already have: (2, 3) and (4, 3) become (6, 3). ValueError unless all other axes
    agree."""
    tensors = _some("concatenate", tensors)
    axis = _one_axis("concatenate", axis, tensors[0].shape)
    if len({(*x.shape[:axis], *x.shape[axis + 1 :]) for x in tensors}) > 1 or len({x.ndim for x in tensors}) > 1:
        raise ValueError(f"concatenate: expected shapes that differ along axis {axis} only, got {shapes_of(tensors)}")
    ends = [0]
    for x in tensors:
        ends.append(ends[-1] + x.shape[axis])

    def backward(dy: Tensor) -> tuple[Tensor, ...]:
        before = (slice(None),) * axis
        return tuple(dy[(*before, slice(*piece))] for piece in pairwise(ends))

    return record(tensors[0].backend.xp.concatenate([x.array for x in tensors], axis), tensors, backward)


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis: three of (2, 4) become (3, 2, 4). ValueError for other shapes."""
    tensors = _some("stack", tensors)
    if len({x.shape for x in tensors}) > 1:
        raise ValueError(f"stack: expected tensors of one shape, got {shapes_of(tensors)}")
    axis = _one_axis("stack", axis, (len(tensors), *tensors[0].shape))
    return concatenate([x.reshape(*x.shape[:axis], 1, *x.shape[axis:]) for x in tensors], axis)


@ieee
def _setitem(x: Tensor, key: Any, value: Operand) -> None:
    """x[key] = value, in place: for data and for parameters between steps, never inside a recorded computation."""
    if x.requires_grad and is_recording():
        raise RuntimeError(
            "x[...] = value: changing a tensor that requires a gradient cannot be recorded; "
            "do it inside no_grad(), or compute a new tensor with where()"
        )
    if isinstance(value, Tensor | numpy.ndarray):
        value = x.backend.asarray(value.array if isinstance(value, Tensor) else value)
    x.array[_array_key(key, x.backend)] = value
    x.version += 1


def _some(op: str, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """operands(), of which there must be one at least."""
    tensors = operands(op, *inputs)
    if not tensors:
        raise ValueError(f"{op}: expected at least one tensor, got none")
    return tensors


def _one_axis(op: str, axis: int, shape: Shape) -> int:
    if axis is None or isinstance(axis, Iterable):
        raise ValueError(f"{op}: expected one axis, got {axis}")
    return checked_axes(op, axis, shape)[0]


def _spread(sizes: tuple[int | Sequence[int], ...]) -> list[int]:
    """(2, 3) and ((2, 3),) alike as [2, 3]."""
    return [size for group in sizes for size in (group if isinstance(group, Sequence) else [group])]


def _visits_each_place_once(key: Any) -> bool:
    """Whether `key` is basic indexing; arrays of numbers may name a place twice."""
    return all(
        part is None or part is Ellipsis or isinstance(part, int | slice)
        for part in (key if isinstance(key, tuple) else (key,))
    )


def _array_key(key: Any, backend: Backend) -> Any:
    """A copy of an index, its tensors and arrays on the backend: what changes the original later does not matter."""
    if isinstance(key, tuple):
        return tuple(_array_key(part, backend) for part in key)
    if isinstance(key, Tensor | numpy.ndarray):
        return backend.asarray(key.array if isinstance(key, Tensor) else key).copy()
    return copy.deepcopy(key)


attach(reshape=reshape, transpose=transpose, __getitem__=getitem, __setitem__=_setitem)
