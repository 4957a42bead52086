"""check_gradients() must pass what is right and fail what is wrong: here it is given functions broken on purpose."""

import numpy as np
import pytest

from minidl import BatchNorm, Chain, Conv, Dense, Dropout, flatten, relu
from minidl.functions import dense, exp, multiply, sqrt
from minidl.gradient_check import GradientError, check_gradients
from minidl.modes import training_mode
from minidl.tensor import Tensor, record

BACKENDS = ["reference", "cpu"]
EITHER_WAY = pytest.mark.parametrize("directions", [None, 3])

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]])
Y = np.array([[1.5, 0.7, -0.5], [-2.0, 1.1, 0.9]])


def product(backward):
    """x * y with a backward of its own, (dy, x, y) -> (dx, dy)."""

    def multiply_wrongly(x, y):
        return record(x.array * y.array, (x, y), lambda dy: backward(dy, x, y))

    return multiply_wrongly


def constant(x):
    """The numbers of x as a tensor without history."""
    return Tensor(x.array.copy(), x.backend)


BROKEN = {
    "wrong sign": product(lambda dy, x, y: (dy * y, -dy * x)),
    "missing factor": product(lambda dy, x, y: (dy * y, dy)),
    "a little too large": product(lambda dy, x, y: (dy * y, 1.00001 * dy * x)),
    "ignores dy": product(lambda dy, x, y: (dy * y, x)),
    "missing gradient": lambda x, y: x * constant(y),
    "history cut off": lambda x, y: x + constant(y) * 2,
    "gradient that should not be": product(lambda dy, x, y: (dy * y, dy * x + 0.001)),
    "nan gradient": product(lambda dy, x, y: (dy * y, dy * x * float("nan"))),
    "infinite gradient": product(lambda dy, x, y: (dy * y, dy * x * float("inf"))),
    "small, as of a mean over many": lambda x, y: 1e-7 * x * constant(y),
}


@EITHER_WAY
@pytest.mark.parametrize("function", BROKEN.values(), ids=BROKEN)
def test_wrong_gradients_fail(function, directions):
    with pytest.raises(GradientError):
        check_gradients(function, [X, Y], directions=directions)


@EITHER_WAY
def test_wrong_second_order_term_fails_at_order_two_only(directions):
    def wrong(x, y):
        # right numbers, but the history of y is cut: d2/dxdy is lost
        return record(x.array * y.array, (x, y), lambda dy: (dy * constant(y), dy * x))

    check_gradients(wrong, [X, Y], order=1, directions=directions)
    with pytest.raises(GradientError, match="the gradient of wrong"):
        check_gradients(wrong, [X, Y], order=2, directions=directions)


def test_order_two_checks_the_first_order_as_well():
    with pytest.raises(GradientError, match=r"^multiply_wrongly is wrong"):
        check_gradients(product(lambda dy, x, y: (-dy * y, -dy * x)), [X, Y], order=2)


def test_error_names_function_input_index_and_both_values():
    with pytest.raises(AssertionError) as error:
        check_gradients(product(lambda dy, x, y: (dy * y, 2 * dy * x)), [X, Y])
    message = str(error.value)
    assert "multiply_wrongly is wrong with respect to input 1 (y), index (0, 0): computed " in message
    computed, numerical = (float(message.split(word)[1].split()[0].rstrip(",")) for word in ["computed", "numerical"])
    assert computed == pytest.approx(2 * numerical)


def test_error_along_a_direction_names_the_worst_input():
    with pytest.raises(GradientError) as error:
        check_gradients(product(lambda dy, x, y: (dy * y, 3 * dy * x)), [X, Y], directions=2)
    assert "direction 0: computed " in str(error.value)
    assert error.value.__notes__ == ["Moving inputs alone, input 1 (y) is the most wrong."]


@EITHER_WAY
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_right_gradients_pass_with_a_small_error(backend, order, directions):
    x, weight = Tensor(X, backend), Tensor(Y.T.copy(), backend)
    assert 0 < check_gradients(dense, [x, weight], order, directions) < 1e-7
    assert 0 <= check_gradients(lambda x: 3 * x, x, order, directions) < 1e-7  # linear: its second derivative is zero
    assert 0 <= check_gradients(lambda x: x.sum() * 0 + 5, x, order, directions) < 1e-7
    assert 0 <= check_gradients(constant_of_shape_two, x, order, directions) < 1e-7


def constant_of_shape_two(x):
    return Tensor(np.ones(2), x.backend)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6])
def test_passing_does_not_depend_on_the_unit_of_the_result(scale):
    right, wrong = (lambda x, y: scale * x * y), (lambda x, y: scale * x * constant(y))
    check_gradients(right, [X, Y], order=2)
    with pytest.raises(GradientError):
        check_gradients(wrong, [X, Y])


def test_a_large_constant_does_not_make_right_gradients_fail():
    check_gradients(lambda x: exp(x) + 1e5, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_of_either_float_type_are_copied_and_stay_as_they_are(dtype):
    x = Tensor(X.astype(dtype), requires_grad=True)
    before, array, version = x.numpy().copy(), x.array, x.version
    check_gradients(exp, x, order=2)
    assert x.array is array
    assert (x.version, x.grad, x.dtype) == (version, None, dtype)
    np.testing.assert_array_equal(x.numpy(), before)


def test_integers_and_booleans_are_handed_on_unchecked():
    def chosen(x, rows, mask):
        assert (rows.dtype, mask.dtype) == (np.uint8, bool)
        return x[rows] * 2 + relu(x[mask]).sum()

    check_gradients(chosen, [X, np.array([0, 0], np.uint8), np.array([True, False])], order=2)
    with pytest.raises(ValueError, match="nothing to check"):
        check_gradients(lambda x: x, [np.array([1, 2])])


def test_result_that_is_not_finite_fails():
    with np.errstate(invalid="ignore"), pytest.raises(GradientError, match="sqrt is not finite"):
        check_gradients(sqrt, np.array([1.0, -1.0]))
    with np.errstate(all="ignore"), pytest.raises(GradientError, match=r"sqrt is wrong .* computed inf"):
        check_gradients(sqrt, np.array([0.0]))


def test_function_that_is_not_deterministic_fails():
    random = np.random.default_rng(0)
    with pytest.raises(GradientError, match="not deterministic"):
        check_gradients(lambda x: x * random.random(), X)
    with training_mode(), pytest.raises(GradientError, match=r"not deterministic.*training_mode"):
        check_gradients(Dropout(0.5), X)


@pytest.mark.parametrize(
    ("function", "options", "error", "message"),
    [
        (lambda x: x.array, {}, TypeError, "to return a Tensor, got ndarray"),
        (lambda x: (x, x), {}, TypeError, "to return a Tensor, got tuple"),
        (lambda x: x.to(dtype="float32"), {}, TypeError, "to return float64.*got float32"),
        (lambda x: x > 0, {}, TypeError, "to return float64.*got bool"),
        (exp, {"order": 3}, ValueError, "order 1 or 2, got 3"),
        (exp, {"directions": 0}, ValueError, "at least one direction, got 0"),
    ],
)
def test_wrong_use_is_explained(function, options, error, message):
    with pytest.raises(error, match=message):
        check_gradients(function, X, **options)


def network(backend):
    return Chain(Conv((2, 2), (1, 2), relu), BatchNorm(2), flatten, Dense(8, 2)).to(backend)


IMAGES = np.random.default_rng(3).standard_normal((2, 3, 3, 1))


@pytest.mark.parametrize(("backend", "directions"), [("reference", None), ("reference", 3), ("cpu", 3)])
def test_network_is_checked_with_its_parameters_and_put_back(backend, directions):
    def in_training(x):
        with training_mode():
            return model(x)

    model = network(backend)
    tensors = model.tensors()
    before = {name: (x.array, x.array.copy()) for name, x in tensors.items()}
    check_gradients(in_training, IMAGES, 2, directions, parameters=tensors)
    check_gradients(model, IMAGES, 2, directions)
    for name, x in tensors.items():
        array, values = before[name]
        assert x.array is array
        assert x.dtype == np.float32
        assert x.array.tobytes() == values.tobytes()
        assert x.grad is None


def test_error_names_the_parameter_and_puts_it_back():
    class Scale:
        def __init__(self):
            self.factor = Tensor([2.0], requires_grad=True)

        def params(self):
            return {"factor": self.factor}

        def __call__(self, x):
            return multiply(x, constant(self.factor))

    layer = Scale()
    with pytest.raises(GradientError, match=r"Scale is wrong with respect to parameter factor, index \(0,\)"):
        check_gradients(layer, X)
    assert layer.factor.dtype == np.float32
