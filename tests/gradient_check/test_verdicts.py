"""check_gradients() at awkward places: no wrong gradient passes, no right one is called wrong."""

import numpy as np
import pytest

from minidl import BatchNorm, Chain, Conv, Tensor, flatten, gelu, leakyrelu, relu, seed, softplus, tanh
from minidl import functions as F
from minidl.gradient_check import GradientError, UndecidedError, check_gradients
from minidl.modes import recording
from minidl.tensor import grad, record

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(1, 4, 4, 1)) * (np.arange(16).reshape(1, 4, 4, 1) > 5)  # with zeros


def normalised(x):
    return F.batch_norm(x, np.ones(2), np.zeros(2), 1e-5)[0]


def scaled(x):
    return x * np.array([1e6, 0.5], x.dtype)


SMOOTH = {
    "log 1e-3": (F.log, [1e-3]), "log 1e8": (F.log, [1e8]), "1/x": (lambda x: 1 / x, [1e-3]),
    "sqrt": (F.sqrt, [1e-4]), "sqrt 1e-12": (F.sqrt, [1e-12]), "1e10 + x": (lambda x: 1e10 + x, [1.5]),
    "norm small": (normalised, RANDOM.normal(size=(6, 2)) * 1e-4),
    "norm shifted": (normalised, 1e4 + RANDOM.uniform(-1, 1, (6, 2))), "scaled": (scaled, [0.3, 0.7]),
    "softmax": (F.softmax, [[1000.0, 999.0, 998.5]]), "exp(20x)": (lambda x: (20 * x).exp(), [0.5, 1.5]),
    "cube": (lambda x: x**3, [1e-3, -1e-3]), "cube at 0": (lambda x: x * x * x, [0.0]),
    "square at 0": (lambda x: x * x, [0.0, 0.0]), "1e-300": (lambda x: x * 2, [1e-300]),
    "1 + 1e-12": (lambda x: 1 + x, [1e-12]), "mixed": (lambda x: x * x, [1e-6, 1.0, 1e6]),
    "constant": (lambda x: x * 0 + 5, [1.0, 2.0]), "large constant": (lambda x: x * 0 + 1e17, [1.0]),
    "sigmoid": (F.sigmoid, [40.0, -40.0]), "tanh": (tanh, [20.0, -20.0, 1e-9]),
    "beside the kink": (leakyrelu, [1e-9, -1e-9]), "gelu": (gelu, [0.0, 1e-5, 10.0, -10.0]),
    "softplus": (softplus, [0.0, 50.0, -50.0]), "mean": (lambda x: x.mean(), RANDOM.normal(size=10) * 1e6),
    "var": (lambda x: x.var(), 1e4 + RANDOM.normal(size=5)), "near a pole": (lambda x: 1 / (x - 1), [1 + 1e-6]),
    "exp 700": (F.exp, [700.0]), "exp -700": (F.exp, [-700.0]), "1/x2": (lambda x: 1 / (x * x), [1e5]),
    "zero": (lambda x: (x - x) * 3, [1.0, 2.0]), "bends": (lambda x: tanh(30 * x * x * x), [0.3, 0.9]),
    "power": (lambda x: x**0.5, [1e-8]), "relu far": (relu, [1e-6, -1e6]),
}  # fmt: skip
NETWORK = Chain(Conv((3, 3), (1, 2), relu, pad=1), flatten)
AT_KINKS = {
    "relu": (relu, [0.0, 1.0]), "abs": (abs, [0.0]), "two kinks": (lambda x: relu(x) - relu(-x), [0.0]),
    "pool": (lambda x: F.max_pool2d(x, 2), np.zeros((1, 4, 4, 1))), "clip": (lambda x: F.clip(x, -1, 1), [1.0, -1.0]),
    "network": (NETWORK, IMAGES), "leakyrelu": (leakyrelu, [0.0]), "max": (lambda x: x.max(), [1.0, 1.0]),
    "lost": (lambda x: 1e17 + x, [1.0]),
}  # fmt: skip


@pytest.mark.parametrize(("function", "x"), SMOOTH.values(), ids=SMOOTH)
def test_right_ones_at_awkward_places_are_right(function, x):
    check_gradients(function, np.asarray(x))


@pytest.mark.parametrize(("function", "x"), AT_KINKS.values(), ids=AT_KINKS)
def test_what_cannot_be_told_is_undecided(function, x):
    with pytest.raises(UndecidedError, match=r"kink or tie|lost in rounding"):
        check_gradients(function, np.asarray(x))
    check_gradients(function, np.asarray(x), allow_undecided=True)


def times(function, factor):
    """With its gradient multiplied by `factor`, a number or one per number of the input."""

    def wrong(x):
        def backward(dy):
            y = Tensor(x.array.copy(), x.backend, requires_grad=True)
            with recording(True):
                (dx,) = grad((function(y) * dy).sum(), y)
            return (dx * factor,)

        return record(function(x).array, (x,), backward)

    return wrong


INVISIBLE = (
    "zero",
    "constant",
    "large constant",
    "square at 0",
    "cube at 0",
)  # 0 times any factor


@pytest.mark.parametrize("factor", [2.0, -1.0, 1.001])
@pytest.mark.parametrize("name", [name for name in SMOOTH if name not in INVISIBLE])
def test_wrong_ones_do_not_pass(name, factor):
    function, x = SMOOTH[name]
    with pytest.raises((GradientError, UndecidedError)):
        check_gradients(times(function, factor), np.asarray(x))


@pytest.mark.parametrize("index", [0, 1])
def test_one_wrong_number_is_seen_beside_a_larger_one(index):
    factor = np.where(np.arange(2) == index, 2.0, 1.0)
    with pytest.raises(GradientError, match=rf"index \({index},\)"):
        check_gradients(times(scaled, factor), np.array([0.3, 0.7]))


def test_a_backward_that_does_not_repeat_itself_fails():
    calls = []

    def alternating(x):
        def backward(dy):
            calls.append(1)
            return (dy * (2 if len(calls) % 2 else 3),)

        return record(x.array * 2, (x,), backward)

    with pytest.raises(GradientError):
        check_gradients(alternating, np.array([1.0]))


def test_captured_tensors_are_checked():
    weight = Tensor([2.0], requires_grad=True)
    array = weight.array
    with pytest.raises(GradientError, match="parameter weight"):
        check_gradients(lambda x: x * Tensor(weight.array.copy()), np.array([1.0]))
    assert weight.array is array


def test_float32_kernels_are_checked():
    def wrong_in_float32(x):
        return record(x.array * 2, (x,), lambda dy: (dy * (3 if x.dtype == np.float32 else 2),))

    check_gradients(wrong_in_float32, np.array([1.0]))
    with pytest.raises(GradientError, match="wrong in float32"):
        check_gradients(wrong_in_float32, np.array([1.0]), dtype="float32")
    with pytest.raises(GradientError, match=r"wrong in float32.*index \(1,\)"):
        check_gradients(only_in_float32(times(scaled, np.float32([1, 1.001]))), np.array([0.3, 0.7]), dtype="float32")


def only_in_float32(wrong):
    return lambda x: wrong(x) if x.dtype == np.float32 else scaled(x)


def test_float32_kernels_that_are_right_pass():
    seed(0)
    convolution = Conv((3, 3), (1, 2), tanh, pad=1)
    check_gradients(convolution, RANDOM.normal(size=(1, 4, 4, 1)), dtype="float32")
    assert convolution.weight.dtype == np.float32
    # The bias before a batch norm changes nothing: its gradient is 0, and rounding in float32
    network = Chain(Conv((3, 3), (1, 2), pad=1), BatchNorm(2), flatten)
    check_gradients(network, RANDOM.normal(size=(2, 4, 4, 1)), dtype="float32", allow_undecided=True)


@pytest.mark.parametrize("options", [{"tolerance": 0}, {"nudge": 0}, {"tolerance": float("nan")}, {"dtype": "int8"}])
def test_options_that_make_no_sense(options):
    with pytest.raises(ValueError, match="check_gradients: expected"):
        check_gradients(relu, np.array([1.0]), **options)
