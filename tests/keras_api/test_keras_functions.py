"""Activations, initializers and regularizers of the Keras front door, without Keras."""

import math

import numpy as np
import pytest

import minidl
from minidl import functions as F
from minidl.gradient_check import check_gradients
from minidl.keras import activations, initializers, regularizers
from minidl.layers import initialisers as minidls
from minidl.tensor import Tensor

X = np.array([[-3.7, -1.5, -0.25], [0.3, 1.2, 7.1]])


# Activations ----------------------------------------------------------------------------------------------------------

FORMULAS = [
    ("relu", {}, lambda x: max(x, 0)),
    ("relu", {"negative_slope": 0.5}, lambda x: x if x > 0 else 0.5 * x),
    ("relu", {"max_value": 1.0}, lambda x: min(max(x, 0), 1)),
    ("relu", {"negative_slope": 0.5, "max_value": 4.0, "threshold": 1.0},
     lambda x: min(x, 4) if x > 1 else 0.5 * (x - 1)),
    ("leaky_relu", {}, lambda x: x if x > 0 else 0.2 * x),
    ("relu6", {}, lambda x: min(max(x, 0), 6)),
    ("elu", {"alpha": 0.5}, lambda x: x if x > 0 else 0.5 * math.expm1(x)),
    ("celu", {"alpha": 0.5}, lambda x: x if x > 0 else 0.5 * math.expm1(x / 0.5)),
    ("selu", {}, lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))),
    ("gelu", {}, lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
    ("sigmoid", {}, lambda x: 1 / (1 + math.exp(-x))),
    ("log_sigmoid", {}, lambda x: -math.log(1 + math.exp(-x))),
    ("hard_sigmoid", {}, lambda x: min(max(x / 6 + 0.5, 0), 1)),
    ("silu", {}, lambda x: x / (1 + math.exp(-x))),
    ("hard_silu", {}, lambda x: x * min(max(x / 6 + 0.5, 0), 1)),
    ("mish", {}, lambda x: x * math.tanh(math.log(1 + math.exp(x)))),
    ("tanh", {}, math.tanh),
    ("hard_tanh", {}, lambda x: min(max(x, -1), 1)),
    ("softplus", {}, lambda x: math.log(1 + math.exp(x))),
    ("softsign", {}, lambda x: x / (1 + abs(x))),
    ("exponential", {}, math.exp),
    ("linear", {}, lambda x: x),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "formula"), FORMULAS)
def test_activations_follow_their_formula_and_have_gradients(name, settings, formula):
    def function(x):
        return getattr(activations, name)(x, **settings)

    np.testing.assert_allclose(
        function(Tensor(X)).numpy(), np.vectorize(formula, otypes=[float])(X), rtol=1e-12, atol=1e-14
    )
    check_gradients(function, X)
    if not settings:
        np.testing.assert_array_equal(activations.get(name)(Tensor(X)).numpy(), function(Tensor(X)).numpy())


@pytest.mark.parametrize(("name", "function"), [("softmax", F.softmax), ("log_softmax", F.logsoftmax)])
def test_softmax_along_any_axis(name, function):
    here = getattr(activations, name)
    np.testing.assert_array_equal(here(Tensor(X), axis=0).numpy(), function(Tensor(X.T)).numpy().T)
    np.testing.assert_array_equal(here(Tensor(X), axis=1).numpy(), here(Tensor(X)).numpy())


@pytest.mark.parametrize(
    ("identifiers", "function"),
    [
        ([None, "linear", activations.linear, F.identity], F.identity),
        (["relu", activations.relu, F.relu], F.relu),
        (["softmax", activations.softmax, F.softmax], F.softmax),
        (["tanh", activations.tanh], F.tanh),
        (["sigmoid", activations.sigmoid], F.sigmoid),
        (["silu", "swish", activations.swish], F.swish),
        (["gelu", activations.gelu], activations.gelu),
        ([F.gelu], F.gelu),
    ],
)
def test_get_hands_out_minidls_own_functions(identifiers, function):
    for identifier in identifiers:
        assert activations.get(identifier) is function


def test_names_of_activations():
    for name in {name for name, _, _ in FORMULAS} | {"softmax", "log_softmax"}:
        assert activations.serialize(activations.get(name)) == name
    assert activations.serialize(activations.get("swish")) == "silu"


# Initializers ---------------------------------------------------------------------------------------------------------

SHAPE = (3, 3, 40, 60)  # fans 360 and 540
CUT = 2 / initializers.random.TRUNCATED_DEVIATION  # where a truncated normal distribution of deviation 1 ends


def two(distribution):
    """Kurtosis and largest number of a distribution with standard deviation 1."""
    return {"uniform": (1.8, math.sqrt(3)), "normal": (3.0, 4.7), "truncated": (2.368, CUT)}[distribution]


@pytest.mark.parametrize(
    ("initializer", "mean", "deviation", "distribution"),
    [
        (initializers.RandomNormal(), 0, 0.05, "normal"),
        (initializers.RandomNormal(1.0, 0.5), 1, 0.5, "normal"),
        (initializers.RandomUniform(), 0, 0.1 / math.sqrt(12), "uniform"),
        (initializers.RandomUniform(1.0, 3.0), 2, 2 / math.sqrt(12), "uniform"),
        (initializers.TruncatedNormal(), 0, 0.05 * 0.8796, "truncated"),
        (initializers.TruncatedNormal(1.0, 0.5), 1, 0.5 * 0.8796, "truncated"),
        (initializers.VarianceScaling(), 0, math.sqrt(1 / 360), "truncated"),
        (initializers.VarianceScaling(3.0, "fan_out", "uniform"), 0, math.sqrt(3 / 540), "uniform"),
        (initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal"), 0, math.sqrt(1 / 450), "normal"),
        (initializers.VarianceScaling(1.0, "fan_avg", "normal"), 0, math.sqrt(1 / 450), "truncated"),
        (initializers.GlorotUniform(), 0, math.sqrt(1 / 450), "uniform"),
        (initializers.GlorotNormal(), 0, math.sqrt(1 / 450), "truncated"),
        (initializers.HeNormal(), 0, math.sqrt(2 / 360), "truncated"),
        (initializers.HeUniform(), 0, math.sqrt(2 / 360), "uniform"),
        (initializers.LecunNormal(), 0, math.sqrt(1 / 360), "truncated"),
        (initializers.LecunUniform(), 0, math.sqrt(1 / 360), "uniform"),
    ],
)
def test_distributions(initializer, mean, deviation, distribution):
    minidl.seed(0)
    weights = initializer(SHAPE)
    assert weights.dtype == np.float32
    assert weights.shape == SHAPE
    assert weights.mean() == pytest.approx(mean, abs=0.02 * deviation)
    assert weights.std() == pytest.approx(deviation, rel=0.01)
    standard = (weights - mean) / deviation
    kurtosis, largest = two(distribution)
    assert (standard**4).mean() == pytest.approx(kurtosis, rel=0.03)
    assert 0.8 * largest < abs(standard).max() < 1.001 * largest


@pytest.mark.parametrize("shape", [(5, 7), (3, 3, 2, 4)])
def test_glorot_uniform_draws_what_minidl_draws(shape):
    minidl.seed(3)
    expected = minidls.glorot_uniform(shape, minidl.randomness.generator())
    minidl.seed(3)
    np.testing.assert_array_equal(initializers.get("glorot_uniform")(shape), expected)


@pytest.mark.parametrize("make", [initializers.HeNormal, initializers.GlorotUniform, initializers.Orthogonal])
def test_a_seed_gives_the_same_numbers_at_each_call(make):
    initializer = make(seed=7)
    np.testing.assert_array_equal(initializer((4, 5)), initializer((4, 5)))
    again = initializers.deserialize(initializers.serialize(initializer))
    np.testing.assert_array_equal(initializer((4, 5)), again((4, 5)))
    assert not np.array_equal(make()((4, 5)), make()((4, 5)))


@pytest.mark.parametrize(
    ("initializer", "shape", "expected"),
    [
        (initializers.Zeros(), (2,), [0, 0]),
        (initializers.Ones(), (2,), [1, 1]),
        (initializers.Constant(3), (1, 2), [[3, 3]]),
        (initializers.Constant(np.array([1, 2])), (2, 2), [[1, 2], [1, 2]]),
        (initializers.Identity(2.0), (2, 3), [[2, 0, 0], [0, 2, 0]]),
        (initializers.get(np.array([1.0, 2.0])), (2,), [1, 2]),
        (initializers.get("zeros"), (2,), [0, 0]),
        (initializers.get("one"), (1,), [1]),
        (initializers.get(initializers.ones), (1,), [1]),
        (initializers.get(lambda shape, dtype=None: np.full(shape, 5.0)), (1,), [5]),
    ],
)
def test_fixed_weights(initializer, shape, expected):
    np.testing.assert_array_equal(initializer(shape), expected)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 2, 5)])
def test_orthogonal_columns_or_rows(shape):
    weights = initializers.Orthogonal(gain=2.0)(shape)
    matrix = weights.reshape(-1, shape[-1])
    square = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-5)


def test_every_orthogonal_matrix_is_as_likely():
    corners = [initializers.Orthogonal(seed=seed)((2, 2))[0, 0] for seed in range(20)]
    assert {-1, 1} == {int(np.sign(corner)) for corner in corners}


def test_vectors_and_other_float_types_can_be_drawn():
    assert initializers.GlorotUniform()((5,)).shape == (5,)
    assert initializers.HeNormal()((5, 2), "float64").dtype == np.float64


# Regularizers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regularizer", "expected"),
    [
        (regularizers.L1(), 0.01 * abs(X).sum()),
        (regularizers.L2(), 0.01 * (X * X).sum()),
        (regularizers.L1L2(l1=0.5), 0.5 * abs(X).sum()),
        (regularizers.L1L2(l2=0.5), 0.5 * (X * X).sum()),
        (regularizers.l1_l2(l1=0.1, l2=0.2), 0.1 * abs(X).sum() + 0.2 * (X * X).sum()),
        (regularizers.get("l2"), 0.01 * (X * X).sum()),
        (regularizers.get("L1"), 0.01 * abs(X).sum()),
        (regularizers.get("l1l2"), 0),
        (regularizers.get(regularizers.l2(0.3)), 0.3 * (X * X).sum()),
        (regularizers.get(lambda x: x.sum()), X.sum()),
    ],
)
def test_regularizers(regularizer, expected):
    y = regularizer(Tensor(X))
    assert y.shape == ()
    assert y.item() == pytest.approx(expected)
    if expected:
        check_gradients(regularizer, X)
    if isinstance(regularizer, regularizers.Regularizer):
        again = regularizers.get(regularizers.serialize(regularizer))
        assert again(Tensor(X)).item() == y.item()


# What all share -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [initializers, regularizers])
def test_nothing_stays_nothing(module):
    assert module.get(None) is None


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: activations.get("rellu"), ValueError, "activation: expected one of celu, .*relu, .*; got 'rellu'"),
        (lambda: activations.get("sparsemax"), NotImplementedError, "does not have Keras's 'sparsemax'"),
        (lambda: activations.get(3), ValueError, "activation: expected a name, such as 'celu'"),
        (lambda: activations.serialize(lambda x: x), ValueError, "which have names"),
        (lambda: activations.get({"class_name": "relu"}), ValueError, "functions go by name"),
        (lambda: initializers.get("xavier"), ValueError, "initializer: expected one of .*glorot_uniform.*'xavier'"),
        (lambda: initializers.get("stft"), NotImplementedError, "does not have Keras's 'stft'"),
        (lambda: initializers.get(np.ones(2))((3,)), ValueError, r"expected an array of shape \(3,\), got \(2,\)"),
        (lambda: initializers.HeNormal(seed=1.5), TypeError, "HeNormal: expected a whole number"),
        (lambda: initializers.Identity()((2,)), ValueError, r"shape of a matrix, got \(2,\)"),
        (lambda: initializers.Orthogonal()((2,)), ValueError, r"two axes or more, got \(2,\)"),
        (lambda: initializers.VarianceScaling(0.0), ValueError, "scale above 0"),
        (lambda: initializers.VarianceScaling(mode="fan"), ValueError, "fan_in, fan_out, fan_avg .*'fan'"),
        (lambda: initializers.VarianceScaling(distribution="x"), ValueError, "truncated_normal, got .*'x'"),
        (lambda: initializers.HeNormal.from_config({"input_axes": [0]}), NotImplementedError, "have input_axes"),
        (lambda: regularizers.get("l3"), ValueError, "regularizer: expected one of L1, .*'l3'"),
        (lambda: regularizers.get("OrthogonalRegularizer"), NotImplementedError, "does not have Keras's"),
        (lambda: regularizers.L2(-1), ValueError, "l2 of 0 or more, got -1"),
        (lambda: regularizers.L1(math.inf), ValueError, "l1 of 0 or more, got inf"),
    ],
)
def test_what_cannot_be_is_refused(attempt, error, message):
    with pytest.raises(error, match=message):
        attempt()
