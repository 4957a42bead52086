"""check_gradients() refuses each kind of mistake in a backward pass, number by number and along directions."""

import numpy as np
import pytest

from minidl import functions as F
from minidl.gradient_check import GradientError, check_gradients
from minidl.tensor import Tensor, record

RANDOM = np.random.default_rng(7)
A, B = RANDOM.uniform(0.5, 2, (2, 3, 3))
ROW, WIDE = RANDOM.uniform(0.5, 2, 3), RANDOM.normal(size=(2, 3))
IMAGE, FILTERS = RANDOM.normal(size=(1, 3, 3, 2)), RANDOM.normal(size=(3, 3, 2, 2))


def made(function, backward):
    """`function` with a backward of its own, (dy, *inputs) -> gradients."""
    return lambda *inputs: record(function(*inputs).array, inputs, lambda dy: backward(dy, *inputs))


def fixed(x):
    """The numbers of x without history."""
    return Tensor(x.array.copy(), x.backend)


def turned(x):
    return x.transpose(1, 0)


def convolution(x, w):
    return F.conv2d(x, w, pad=1)


def rolled(x, places):
    return F.concatenate([x[places:], x[:places]], axis=0)


def without_number(dy, k):
    return dy * (np.arange(dy.size) != k).reshape(dy.shape).astype(float)


def normalised(x, axis=0):
    return (x - x.mean(axis, keepdims=True)) / (x.var(axis, keepdims=True) + 1e-5) ** 0.5


def softmax_gradient(dy, y, axis):
    return y * (dy - (dy * y).sum(axis, keepdims=True))


WRONG = {
    # transposed
    "product, b not transposed": (made(F.matmul, lambda dy, a, b: (dy @ b, turned(a) @ dy)), [A, B]),
    "product, a not transposed": (made(F.matmul, lambda dy, a, b: (dy @ turned(b), a @ dy)), [A, B]),
    "product, result transposed": (made(F.matmul, lambda dy, a, b: (dy @ turned(b), turned(dy) @ a)), [A, B]),
    "product, in the other order": (made(F.matmul, lambda dy, a, b: (turned(b) @ dy, turned(a) @ dy)), [A, B]),
    "transpose without a transpose": (made(turned, lambda dy, x: (dy,)), [A]),
    "filters not turned": (
        made(lambda x: convolution(x, FILTERS), lambda dy, x: (convolution(dy, FILTERS.transpose(0, 1, 3, 2)),)),
        [IMAGE],
    ),
    "channels not swapped": (
        made(lambda x: convolution(x, FILTERS), lambda dy, x: (convolution(dy, FILTERS[::-1, ::-1].copy()),)), [IMAGE],
    ),
    "reshaped in another order": (
        made(lambda x: x.reshape(9), lambda dy, x: (turned(dy.reshape(3, 3)),)), [A],
    ),
    # wrong axis
    "softmax over columns": (made(F.softmax, lambda dy, x: (softmax_gradient(dy, F.softmax(x), 0),)), [A]),
    "mean by the wrong length": (
        made(lambda x: x.mean(0), lambda dy, x: (F.broadcast_to(dy, x.shape) / x.shape[1],)), [WIDE],
    ),
    "sum along the other axis": (
        made(lambda x: x.sum(1), lambda dy, x: (F.broadcast_to(dy.reshape(1, 3), x.shape),)), [A],
    ),
    "bias summed over columns": (made(F.add, lambda dy, x, b: (dy, dy.sum(1))), [A, ROW]),
    "concatenated parts swapped": (
        made(lambda a, b: F.concatenate([a, b], axis=0), lambda dy, a, b: (dy[3:], dy[:3])), [A, B],
    ),
    "stacked on another axis": (
        made(lambda a, b: F.stack([a, b], axis=0), lambda dy, a, b: (dy[:, 0], dy[:, 1])), [A[:2], B[:2]],
    ),
    # one index
    "shifted by one": (made(F.exp, lambda dy, x: (rolled(dy * F.exp(x), 1),)), [ROW]),
    "first number missing": (made(F.exp, lambda dy, x: (without_number(dy * F.exp(x), 0),)), [A]),
    "last number missing": (made(F.exp, lambda dy, x: (without_number(dy * F.exp(x), 8),)), [A]),
    "two numbers swapped": (made(F.log, lambda dy, x: ((dy / x)[np.array([1, 0, 2])],)), [ROW]),
    "reversed": (made(lambda x: x[::-1], lambda dy, x: (dy,)), [ROW]),
    "maximum given to the first": (
        made(lambda x: F.max(x, -1), lambda dy, x: (dy.reshape(3, 1) * np.eye(3)[[0, 0, 0]],)), [np.sort(A)],
    ),
    "a number picked twice counts once": (
        made(lambda x: x[np.array([0, 0, 1])], lambda dy, x: (F.concatenate([dy[1:], dy[:1] * 0], axis=0),)), [ROW],
    ),
    # missing input or term
    "one of two factors": (made(F.multiply, lambda dy, a, b: (dy * b, dy * 0)), [A, B]),
    "the other factor": (made(F.multiply, lambda dy, a, b: (dy * 0, dy * a)), [A, B]),
    "used twice, counted once": (made(lambda x: x * x, lambda dy, x: (dy * x,)), [ROW]),
    "divisor": (made(F.divide, lambda dy, a, b: (dy / b, dy * 0)), [A, B]),
    "sign of the divisor": (made(F.divide, lambda dy, a, b: (dy / b, dy * a / (b * b))), [A, B]),
    "divisor not squared": (made(F.divide, lambda dy, a, b: (dy / b, -dy * a / b)), [A, B]),
    "exponent": (made(F.power, lambda dy, a, b: (dy * b * a ** (b - 1), dy * 0)), [A, B]),
    "softmax without the sum": (made(F.softmax, lambda dy, x: (dy * F.softmax(x),)), [A]),
    "logsoftmax without the sum": (made(F.logsoftmax, lambda dy, x: (dy,)), [A]),
    "norm without the mean's term": (
        made(normalised, lambda dy, x: ((dy - normalised(x) * (dy * normalised(x)).mean(0)) / x.var(0) ** 0.5,)), [A],
    ),
    "norm without the variance's term": (
        made(normalised, lambda dy, x: ((dy - dy.mean(0)) / x.var(0) ** 0.5,)), [A],
    ),
    "tanh without the square": (made(F.tanh, lambda dy, x: (dy * (1 - F.tanh(x)),)), [ROW]),
    "sigmoid without the factor": (made(F.sigmoid, lambda dy, x: (dy * (1 - F.sigmoid(x)),)), [ROW]),
    "swish as if it were sigmoid": (
        made(F.swish, lambda dy, x: (dy * F.sigmoid(x) * (1 - F.sigmoid(x)),)), [ROW],
    ),
    "history cut off": (lambda x: x * fixed(F.exp(x)), [ROW]),
    # the incoming gradient
    "dy left out": (made(F.exp, lambda dy, x: (F.exp(x),)), [ROW]),
    "dy squared": (made(F.exp, lambda dy, x: (dy * dy * F.exp(x),)), [ROW]),
    "dy without its sign": (made(F.exp, lambda dy, x: (abs(dy) * F.exp(x),)), [ROW[:1]]),
    "dy only where it is positive": (made(F.exp, lambda dy, x: (F.relu(dy) * F.exp(x),)), [ROW[:1]]),
    "dy only where it is negative": (made(F.exp, lambda dy, x: (-F.relu(-dy) * F.exp(x),)), [ROW[:1]]),
    "dy clipped": (made(F.exp, lambda dy, x: (F.clip(dy, -1, 1) * F.exp(x),)), [ROW[:1]]),
    "dy averaged": (made(F.exp, lambda dy, x: (F.broadcast_to(dy.mean(), x.shape) * F.exp(x),)), [ROW]),
    "dy reversed": (made(F.exp, lambda dy, x: (dy[::-1] * F.exp(x),)), [ROW]),
    # factor and sign
    "half": (made(lambda x: (x * x).sum(), lambda dy, x: (dy * x,)), [A]),
    "one per thousand": (made(F.exp, lambda dy, x: (1.001 * dy * F.exp(x),)), [ROW]),
    "one per million and a half": (made(F.exp, lambda dy, x: ((1 + 2.5e-6) * dy * F.exp(x),)), [ROW]),
    "sign": (made(F.sqrt, lambda dy, x: (-dy / (2 * F.sqrt(x)),)), [ROW]),
    "sum for mean": (made(lambda x: x.mean(), lambda dy, x: (F.broadcast_to(dy, x.shape),)), [A]),
    "unbiased for biased variance": (
        made(lambda x: x.var(0), lambda dy, x: (dy * (x - x.mean(0)) * (2 / (x.shape[0] - 1)),)), [A],
    ),
}  # fmt: skip

WRONG_IN_SECOND_ORDER = {
    "product": (made(F.multiply, lambda dy, a, b: (dy * fixed(b), dy * a)), [A, B]),
    "exp": (made(F.exp, lambda dy, x: (dy * fixed(F.exp(x)),)), [ROW]),
    "tanh": (made(F.tanh, lambda dy, x: (dy * (1 - fixed(F.tanh(x)) ** 2),)), [ROW]),
    "cube": (made(lambda x: x**3, lambda dy, x: (3 * dy * x * fixed(x),)), [ROW]),
    "log": (made(F.log, lambda dy, x: (dy / fixed(x),)), [ROW]),
    "softmax": (made(F.softmax, lambda dy, x: (softmax_gradient(dy, fixed(F.softmax(x)), -1),)), [A]),
    "matmul": (made(F.matmul, lambda dy, a, b: (dy @ fixed(turned(b)), turned(a) @ dy)), [A, B]),
    "dy": (made(F.exp, lambda dy, x: (fixed(dy) * F.exp(x),)), [ROW]),
}
EITHER_WAY = pytest.mark.parametrize("directions", [None, 3], ids=["numbers", "directions"])


def test_there_are_enough():
    assert len(WRONG) + len(WRONG_IN_SECOND_ORDER) >= 50


@EITHER_WAY
@pytest.mark.parametrize(("function", "inputs"), WRONG.values(), ids=WRONG)
def test_a_wrong_gradient_is_wrong(function, inputs, directions):
    with pytest.raises(GradientError):
        check_gradients(function, inputs, directions=directions)


@EITHER_WAY
@pytest.mark.parametrize(("function", "inputs"), WRONG_IN_SECOND_ORDER.values(), ids=WRONG_IN_SECOND_ORDER)
def test_a_wrong_gradient_of_a_gradient_is_wrong_at_order_two_only(function, inputs, directions):
    check_gradients(function, inputs, directions=directions)
    with pytest.raises(GradientError, match="the gradient of"):
        check_gradients(function, inputs, order=2, directions=directions)
