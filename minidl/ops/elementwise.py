"""Functions of one number at a time, and Flux's activation functions among them."""

import math
from collections.abc import Callable
from typing import Any

import numpy
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray

from minidl.backend import Array, ieee
from minidl.operands import broadcast_operands, operands
from minidl.ops.shaping import sum_to
from minidl.tensor import Operand, Tensor, attach, record


@ieee
def exp(x: Operand) -> Tensor:
    """e ** x"""
    (x,) = operands("exp", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy * exp(x),)

    return record(x.backend.xp.exp(x.array), (x,), backward)


@ieee
def log(x: Operand) -> Tensor:
    """The natural logarithm."""
    (x,) = operands("log", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy / x,)

    return record(x.backend.xp.log(x.array), (x,), backward)


@ieee
def sqrt(x: Operand) -> Tensor:
    """The square root; its gradient is infinite at 0."""
    (x,) = operands("sqrt", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy / (2 * sqrt(x)),)

    return record(x.backend.xp.sqrt(x.array), (x,), backward)


@ieee
def erf(x: Operand) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of e ** -t ** 2 from 0 to x; within 2e-15 in float64."""
    (x,) = operands("erf", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy * (2 / math.sqrt(math.pi) * exp(-x * x)),)

    distance = x.backend.xp.minimum(abs(x.array), 6)  # where erf is 1 to the last digit
    t = 2 / (2 + distance)
    left = t * x.backend.xp.exp(_chebyshev_sum(_ERFC, (8 * t - 5) / 3) - distance * distance)
    return record(x.backend.xp.where(x.array < 0, left - 1, 1 - left), (x,), backward)


def _erfc_without_its_fall(places: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """log(erfc(d) / t) + d ** 2 with t = 2 / (2 + d): smooth, for d from 6 to 0 as `places` go from -1 to 1."""
    fractions = [(5 + 3 * place) / 8 for place in places.tolist()]
    distances = [2 / t - 2 for t in fractions]
    return numpy.array([math.log(math.erfc(d) / t) + d * d for d, t in zip(distances, fractions, strict=True)])


_ERFC: list[float] = Chebyshev.interpolate(_erfc_without_its_fall, 18).coef.tolist()


def _chebyshev_sum(coefficients: list[float], x: Array) -> Array:
    """The sum over k of coefficients[k] * cos(k * arccos(x)), by Clenshaw's recurrence."""
    last, before = 0 * x, 0 * x
    for coefficient in coefficients[:0:-1]:
        last, before = 2 * x * last - before + coefficient, last
    return x * last - before + coefficients[0]


@ieee
def absolute(x: Operand) -> Tensor:
    """|x|; its gradient at 0 is 0."""
    (x,) = operands("absolute", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy * Tensor(x.backend.xp.sign(x.array), x.backend),)

    return record(abs(x.array), (x,), backward)


def select(x: Operand, mask: Array) -> Tensor:
    """x where the boolean array `mask` holds, 0 elsewhere. The mask is not copied: leave it as it is.

    ValueError unless the mask has the shape of x, or broadcasts to it.
    """
    (x,) = operands("select", x)
    mask = mask.array if isinstance(mask, Tensor) else x.backend.asarray(mask)
    _check_condition("select", mask, x.shape)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (select(dy, mask),)

    # Not x * mask, which is nan where x is infinite. As an integer, -True has all bits set: this keeps all bits of x or
    # none. xp.where says the same, but takes many times as long for masks without a pattern.
    kept = x.array.view(f"i{x.dtype.itemsize}") & -mask.view("i1")
    return record(kept.view(x.dtype), (x,), backward)


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """a where `condition` (booleans, such as x > 0) holds, b elsewhere; all three broadcast."""
    a, b = broadcast_operands("where", a, b)
    mask = condition.array if isinstance(condition, Tensor) else a.backend.asarray(condition)
    _check_condition("where", mask, a.shape, b.shape)
    mask = mask.copy()  # what changes the condition later does not matter
    a_shape, b_shape = a.shape, b.shape

    def backward(dy: Tensor) -> tuple[Tensor, Tensor]:
        return sum_to(select(dy, mask), a_shape), sum_to(select(dy, ~mask), b_shape)

    return record(a.backend.xp.where(mask, a.array, b.array), (a, b), backward)


@ieee
def weighted(weight: Operand, x: Operand) -> Tensor:
    """weight * x, where a weight of 0 leaves nothing of an infinite x: 0, not nan. nan stays nan."""
    weight, x = broadcast_operands("weighted", weight, x)
    lost = (weight.array == 0) & (abs(x.array) == math.inf)
    return weight * where(lost, 0.0, x)


@ieee
def xlogy(x: Operand, y: Operand) -> Tensor:
    """x * log(y), and 0 where x is 0, even where the logarithm is infinite or undefined. nan stays nan."""
    x, y = broadcast_operands("xlogy", x, y)
    lost = (x.array == 0) & ((y.array <= 0) | (y.array == math.inf))
    return x * log(where(lost, 1.0, y))  # log(1), so that the gradient is 0, too, and not 0 / 0


def _check_condition(op: str, mask: Array, *shapes: tuple[int, ...]) -> None:
    """TypeError unless `mask` is of booleans; ValueError unless it broadcasts with `shapes`, and to the only one."""
    if mask.dtype != bool:
        raise TypeError(f"{op}: expected booleans as condition, such as x > 0, got {mask.dtype}")
    if len(shapes) == 1 and mask.shape == shapes[0]:
        return
    try:
        joined = numpy.broadcast_shapes(mask.shape, *shapes)
    except ValueError:
        joined = None
    if joined is None or (len(shapes) == 1 and joined != shapes[0]):
        raise ValueError(f"{op}: expected a condition that broadcasts to {' and '.join(map(str, shapes))}, "
                         f"got shape {mask.shape}")  # fmt: skip


@ieee
def maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of a and b; at a tie the gradient goes to a. nan counts as larger, so that it cannot disappear."""
    a, b = broadcast_operands("maximum", a, b)
    return where((a.array >= b.array) | _is_nan(a.array), a, b)


@ieee
def minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of a and b; at a tie the gradient goes to a. nan counts as smaller."""
    a, b = broadcast_operands("minimum", a, b)
    return where((a.array <= b.array) | _is_nan(a.array), a, b)


def clip(x: Operand, low: float, high: float) -> Tensor:
    """x limited to low...high; the gradient is 0 outside."""
    (x,) = operands("clip", x)
    return minimum(maximum(x, low), high)


def _is_nan(array: Array) -> Array:
    return array != array


# Activation functions, as Flux defines them ---------------------------------------------------------------------------


def identity(x: Operand) -> Tensor:
    """x: no activation."""
    (x,) = operands("identity", x)
    return x


def leakyrelu(x: Operand, slope: float = 0.01) -> Tensor:
    """x for x > 0, else slope * x."""
    (x,) = operands("leakyrelu", x)
    return where(x > 0, x, slope * x)


def elu(x: Operand, scale: float = 1.0) -> Tensor:
    """x for x > 0, else scale * (e ** x - 1) (Clevert et al. 2015)."""
    (x,) = operands("elu", x)
    return where(x > 0, x, scale * (exp(minimum(x, 0)) - 1))  # minimum(): no overflow on the side not taken


@ieee
def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + e ** -x), computed with e ** -|x|, which cannot overflow."""
    (x,) = operands("sigmoid", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        y = sigmoid(x)
        return (dy * y * (1 - y),)

    small = x.backend.xp.exp(-abs(x.array))
    return record(x.backend.xp.where(x.array < 0, small, 1) / (1 + small), (x,), backward)


@ieee
def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent."""
    (x,) = operands("tanh", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy * (1 - tanh(x) ** 2),)

    return record(x.backend.xp.tanh(x.array), (x,), backward)


@ieee
def softplus(x: Operand) -> Tensor:
    """log(1 + e ** x), without overflow."""
    (x,) = operands("softplus", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy * sigmoid(x),)

    return record(x.backend.xp.logaddexp(x.array, x.dtype.type(0)), (x,), backward)


def swish(x: Operand) -> Tensor:
    """x * sigmoid(x) (Ramachandran et al. 2017)."""
    (x,) = operands("swish", x)
    return x * sigmoid(x)


def gelu(x: Operand) -> Tensor:
    """x * P(normal < x) in the tanh approximation of Hendrycks and Gimpel 2016, as in Flux."""
    (x,) = operands("gelu", x)
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _comparison(symbol: str, compare: Callable[[Array, Array], Array]) -> Callable[[Operand, Operand | None], Tensor]:
    """A method that compares two tensors and returns booleans, which have no gradient."""

    @ieee
    def method(a: Operand, b: Operand | None) -> Any:  # Tensor, or NotImplemented
        if b is None:
            return NotImplemented  # so that Python answers: x == None is False, x < None an error
        a, b = broadcast_operands(symbol, a, b)
        return Tensor(compare(a.array, b.array), a.backend)

    return method


attach(
    exp=exp, log=log, sqrt=sqrt, __abs__=absolute,
    __eq__=_comparison("==", lambda a, b: a == b), __ne__=_comparison("!=", lambda a, b: a != b),
    __lt__=_comparison("<", lambda a, b: a < b), __le__=_comparison("<=", lambda a, b: a <= b),
    __gt__=_comparison(">", lambda a, b: a > b), __ge__=_comparison(">=", lambda a, b: a >= b),
)  # fmt: skip
