"""What functions do first: make tensors of their inputs that can be computed with together, or say why they cannot."""

import numbers
from collections.abc import Sequence
from typing import TypeGuard

import numpy

from minidl.backend import Array, default_backend
from minidl.tensor import FLOATS, Operand, Tensor
from minidl.whole_numbers import is_whole_number as is_whole_number


def operands(op: str, *inputs: Operand) -> tuple[Tensor, ...]:
    """The inputs of function `op` as tensors that agree: one backend, one float type. Nothing is cast silently.

    Arrays join the backend of the tensors among the inputs; numbers and lists join their dtype too.
    """
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    backend = tensors[0].backend if tensors else default_backend()
    dtype = next((x.dtype for x in inputs if _has_dtype(x)), numpy.dtype(numpy.float32))
    joined = []
    for x in inputs:
        if not isinstance(x, Tensor):
            try:
                x = Tensor(x, backend, dtype=None if _has_dtype(x) else dtype)
            except (TypeError, ValueError) as error:
                error.add_note(f"as an input of {op}")
                raise
        if x.backend.name != backend.name:
            raise ValueError(
                f"{op}: inputs live on different backends, {backend.name!r} and {x.backend.name!r}; "
                f"move one with .to({backend.name!r})"
            )
        if x.dtype != dtype:
            raise TypeError(
                f"{op}: inputs have different dtypes, {dtype} and {x.dtype}; convert one with .to(dtype={str(dtype)!r})"
            )
        if x.dtype not in FLOATS:
            raise TypeError(f"{op}: expected float32 or float64, got {x.dtype}; convert with .to(dtype='float32')")
        joined.append(x)
    return tuple(joined)


def broadcast_operands(op: str, *inputs: Operand) -> tuple[Tensor, ...]:
    """operands() whose shapes NumPy's broadcasting can join; ValueError, naming `op`, when it cannot."""
    tensors = operands(op, *inputs)
    try:
        numpy.broadcast_shapes(*(x.shape for x in tensors))
    except ValueError:
        raise ValueError(
            f"{op}: expected shapes that broadcast (counted from the last axis, equal or 1), got {shapes_of(tensors)}"
        ) from None
    return tensors


def operands_with_bias(
    op: str, x: Operand, weight: Operand, bias: Operand | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """operands() for a layer that may have no bias."""
    tensors = operands(op, x, weight) if bias is None else operands(op, x, weight, bias)
    return tensors[0], tensors[1], None if bias is None else tensors[2]


def check_bias(op: str, bias: Tensor | None, outputs: int) -> None:
    """ValueError unless there is no bias, or one number for each output."""
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"{op}: expected bias ({outputs},), got {bias.shape}")


def shapes_of(tensors: Sequence[Tensor]) -> str:
    """Their shapes, for an error: "(2, 3) and (4,)"."""
    return " and ".join(str(x.shape) for x in tensors)


def _has_dtype(x: object) -> TypeGuard[Tensor | Array]:
    # A NumPy scalar is a plain number. Tensors come first: most are, and asking for a Number takes long
    return isinstance(x, Tensor) or (hasattr(x, "dtype") and not isinstance(x, numbers.Number))
