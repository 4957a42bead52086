"""Layers of Keras that make one of several inputs, and the functions of the same names: add([x, y])."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from minidl.keras.layers.layer import Layer, Part
from minidl.keras.symbolic import Shape
from minidl.ops import arithmetic, elementwise
from minidl.ops.shaping import concatenate as joined
from minidl.tensor import Tensor


class _Merging(Layer):
    takes_several = True
    least, most = 1, 10**6

    def make(self, shape: Sequence[Shape]) -> tuple[list[Part], dict[str, Tensor]]:
        if not self.least <= len(shape) <= self.most:
            expected = f"{self.least}" if self.least == self.most else f"{self.least} or more"
            raise ValueError(f"{self.name}: expected a list of {expected} inputs, got {len(shape)}")
        self.compute_output_shape(shape)  # for its checks
        return [self.merged], {}

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        """One tensor of all."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Sizes of 1 are repeated, as NumPy does."""
        if len({len(shape) for shape in input_shape}) > 1:
            raise ValueError(f"{self.name}: expected inputs of equally many axes, got shapes {list(input_shape)}")
        return tuple(self._size(sizes, input_shape) for sizes in zip(*input_shape, strict=True))

    def _size(self, sizes: tuple[int | None, ...], shapes: Sequence[Shape]) -> int | None:
        known = {size for size in sizes if size not in (None, 1)}
        if len(known) > 1:
            raise ValueError(f"{self.name}: expected inputs of one shape, got {list(shapes)}")
        return known.pop() if known else None if None in sizes else 1


class Add(_Merging):
    """The sum: how a residual block joins its two paths (He et al. 2015)."""

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(arithmetic.add, inputs)


class Subtract(_Merging):
    """The first less the second."""

    least = most = 2

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0] - inputs[1]


class Multiply(_Merging):
    """The product."""

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(arithmetic.multiply, inputs)


class Average(_Merging):
    """The mean."""

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(arithmetic.add, inputs) / len(inputs)


class Maximum(_Merging):
    """The largest number of each place."""

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(elementwise.maximum, inputs)


class Minimum(_Merging):
    """The smallest number of each place."""

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(elementwise.minimum, inputs)


class Concatenate(_Merging):
    """The inputs behind each other along an axis, the channels unless given."""

    configured = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def merged(self, inputs: Sequence[Tensor]) -> Tensor:
        return joined(inputs, self.axis)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        first = list(input_shape[0])
        axis = self.axis % len(first)
        if axis == 0:
            raise ValueError(f"{self.name}: expected an axis behind the batch, got {self.axis}")
        for shape in input_shape:
            if len(shape) != len(first) or any(a != b for i, (a, b) in enumerate(zip(shape, first, strict=True))
                                               if i != axis and None not in (a, b)):  # fmt: skip
                raise ValueError(
                    f"{self.name}: expected inputs that differ in axis {axis} only, got {list(input_shape)}"
                )
        sizes = [shape[axis] for shape in input_shape]
        first[axis] = None if None in sizes else sum(size for size in sizes if size is not None)
        return tuple(first)


def add(inputs: Sequence[Any]) -> Any:
    return Add()(inputs)


def subtract(inputs: Sequence[Any]) -> Any:
    return Subtract()(inputs)


def multiply(inputs: Sequence[Any]) -> Any:
    return Multiply()(inputs)


def average(inputs: Sequence[Any]) -> Any:
    return Average()(inputs)


def maximum(inputs: Sequence[Any]) -> Any:
    return Maximum()(inputs)


def minimum(inputs: Sequence[Any]) -> Any:
    return Minimum()(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1) -> Any:
    return Concatenate(axis)(inputs)
