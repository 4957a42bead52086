"""Broadcasting arithmetic and matrix products, written once on the array library of the inputs."""

import numbers

from minidl.backend import ieee
from minidl.operands import broadcast_operands, operands
from minidl.ops.elementwise import log, where
from minidl.ops.shaping import sum_to
from minidl.tensor import Operand, Tensor, attach, record


@ieee
def add(a: Operand, b: Operand) -> Tensor:
    """a + b, with NumPy's broadcasting."""
    a, b = broadcast_operands("add", a, b)
    a_shape, b_shape = a.shape, b.shape

    def backward(dy: Tensor) -> tuple[Tensor, Tensor]:
        return sum_to(dy, a_shape), sum_to(dy, b_shape)

    return record(a.array + b.array, (a, b), backward)


@ieee
def subtract(a: Operand, b: Operand) -> Tensor:
    """a - b, with NumPy's broadcasting."""
    a, b = broadcast_operands("subtract", a, b)
    a_shape, b_shape = a.shape, b.shape

    def backward(dy: Tensor) -> tuple[Tensor, Tensor]:
        return sum_to(dy, a_shape), sum_to(-dy, b_shape)

    return record(a.array - b.array, (a, b), backward)


@ieee
def multiply(a: Operand, b: Operand) -> Tensor:
    """a * b element by element, with NumPy's broadcasting."""
    a, b = broadcast_operands("multiply", a, b)

    def backward(dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            sum_to(dy * b, a.shape) if a.requires_grad else None,
            sum_to(dy * a, b.shape) if b.requires_grad else None,
        )

    return record(a.array * b.array, (a, b), backward)


@ieee
def divide(a: Operand, b: Operand) -> Tensor:
    """a / b element by element, with NumPy's broadcasting."""
    a, b = broadcast_operands("divide", a, b)

    def backward(dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            sum_to(dy / b, a.shape) if a.requires_grad else None,
            sum_to(-dy * a / (b * b), b.shape) if b.requires_grad else None,
        )

    return record(a.array / b.array, (a, b), backward)


@ieee
def negative(x: Operand) -> Tensor:
    """-x"""
    (x,) = operands("negative", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (-dy,)

    return record(-x.array, (x,), backward)


def power(x: Operand, exponent: Operand) -> Tensor:
    """x ** exponent, with NumPy's broadcasting and NumPy's values.

    d/dx = exponent * x ** (exponent - 1). d/d(exponent) = x ** exponent * log(x), for an exponent that asks for it:
    nan for x < 0, where there is none, and 0 for x = 0 and an exponent from 0, as in PyTorch.
    """
    if isinstance(exponent, numbers.Real):
        return _power_of_number(x, float(exponent))
    return _power_of_tensors(x, exponent)


@ieee
def _power_of_tensors(x: Operand, exponent: Operand) -> Tensor:
    x, exponent = broadcast_operands("power", x, exponent)

    def backward(dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            sum_to(dy * _slope_of_power(x, exponent), x.shape) if x.requires_grad else None,
            sum_to(dy * x**exponent * _log_of_base(x, exponent), exponent.shape) if exponent.requires_grad else None,
        )

    return record(x.array**exponent.array, (x, exponent), backward, name="power")


def _slope_of_power(x: Tensor, exponent: Tensor) -> Tensor:
    """exponent * x ** (exponent - 1), and 0, not 0 / 0, where both are 0."""
    both_zero = (x.array == 0) & (exponent.array == 0)
    return exponent * x ** (where(both_zero, 1.0, exponent) - 1)


def _log_of_base(x: Tensor, exponent: Tensor) -> Tensor:
    """log(x), and 0 where x ** exponent goes to 0 faster than log(x) to minus infinity."""
    return log(where((x.array == 0) & (exponent.array >= 0), 1.0, x))


@ieee
def _power_of_number(x: Operand, exponent: float) -> Tensor:
    (x,) = operands("power", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        if exponent == 0:
            return (dy * 0,)  # not 0 * x ** -1, which is nan at x = 0
        return (dy * (exponent * x ** (exponent - 1)),)

    return record(x.array**exponent, (x,), backward, name="power")


@ieee
def matmul(a: Operand, b: Operand) -> Tensor:
    """The matrix product a (..., m, k) @ b (..., k, n) -> (..., m, n); leading axes broadcast. One axis: a vector."""
    a, b = operands("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[max(0, b.ndim - 2)]:
        raise ValueError(f"matmul: expected a (..., m, k) and b (..., k, n), got {a.shape} and {b.shape}")
    if a.ndim == 1:
        row = matmul(a.reshape(1, -1), b)  # (..., 1, n), or (1,) for a vector b
        return row.reshape(row.shape[:-2] + row.shape[-1:] if b.ndim > 1 else ())
    if b.ndim == 1:
        column = matmul(a, b.reshape(-1, 1))
        return column.reshape(column.shape[:-1])

    def backward(dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            sum_to(dy @ _transposed(b), a.shape) if a.requires_grad else None,
            sum_to(_transposed(a) @ dy, b.shape) if b.requires_grad else None,
        )

    return record(a.array @ b.array, (a, b), backward)


def _transposed(x: Tensor) -> Tensor:
    """The last two axes swapped."""
    return x.transpose(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)


attach(
    __add__=add, __radd__=lambda a, b: add(b, a), __sub__=subtract, __rsub__=lambda a, b: subtract(b, a),
    __mul__=multiply, __rmul__=lambda a, b: multiply(b, a), __truediv__=divide, __rtruediv__=lambda a, b: divide(b, a),
    __neg__=negative, __pow__=power, __rpow__=lambda a, b: power(operands("power", b, a)[0], a),
    __matmul__=matmul, __rmatmul__=lambda a, b: matmul(b, a),
)  # fmt: skip
