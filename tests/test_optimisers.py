"""Optimisers, each against an independent transcription of its formula, over several steps."""

import numpy as np
import pytest

from minidl import Dense, Tensor, optimisers
from minidl.optimisers import Adam, AdamW, Descent, Momentum, Nesterov, Optimiser, RMSProp

STEPS, SHAPE = 6, (3, 2)
RATES = [0.1, 0.1, 0.5, 0.5, 0.01, 0.2]  # the learning rate changes under way


def name(value):
    kind = value if isinstance(value, type) else type(value)
    return kind.__name__ if issubclass(kind, Optimiser) else ""


def descent(x, gradients, rates):
    for g, rate in zip(gradients, rates, strict=True):
        x = x - rate * g
    return x


def momentum(x, gradients, rates, rho=0.9, weight_decay=0.0):
    """The velocity holds learning rates, as in Flux and Keras: old gradients keep the rate of their day."""
    v = np.zeros_like(x)
    for g, rate in zip(gradients, rates, strict=True):
        v = rho * v - rate * (g + weight_decay * x)
        x = x + v
    return x


def nesterov(x, gradients, rates, rho=0.9):
    v = np.zeros_like(x)
    for g, rate in zip(gradients, rates, strict=True):
        x = x + rho**2 * v - (1 + rho) * rate * g
        v = rho * v - rate * g
    return x


def rmsprop(x, gradients, rates, rho=0.9, eps=1e-8):
    s = np.zeros_like(x)
    for g, rate in zip(gradients, rates, strict=True):
        s = rho * s + (1 - rho) * g * g
        x = x - rate * g / (np.sqrt(s) + eps)
    return x


def adamw(x, gradients, rates, decay=0.0, beta1=0.9, beta2=0.999, eps=1e-8):
    m, s = np.zeros_like(x), np.zeros_like(x)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * g * g
        x = x - rate * ((m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps) + decay * x)
    return x


CASES = [
    (Descent(), descent, {}),
    (Momentum(), momentum, {}),
    (Momentum(0.1, 0.5), momentum, {"rho": 0.5}),
    (Momentum(0.1, 0.5, 0.3), momentum, {"rho": 0.5, "weight_decay": 0.3}),
    (Nesterov(), nesterov, {}),
    (Nesterov(0.1, 0.5), nesterov, {"rho": 0.5}),
    (RMSProp(), rmsprop, {}),
    (RMSProp(0.1, 0.5, 0.1), rmsprop, {"rho": 0.5, "eps": 0.1}),
    (Adam(), adamw, {}),
    (Adam(0.1, (0.5, 0.8), 0.1), adamw, {"beta1": 0.5, "beta2": 0.8, "eps": 0.1}),
    (AdamW(), adamw, {}),
    (AdamW(0.1, (0.5, 0.8), 0.3), adamw, {"beta1": 0.5, "beta2": 0.8, "decay": 0.3}),
]


def some_steps(dtype):
    random = np.random.default_rng(0)
    return random.normal(size=SHAPE).astype(dtype), random.normal(size=(STEPS, *SHAPE)).astype(dtype)


def fresh(optimiser):
    """An optimiser with the same settings, at its beginning."""
    again = type(optimiser)(optimiser.learning_rate)
    vars(again).update({name: value for name, value in vars(optimiser).items() if name not in ("state", "steps")})
    return again


def take_steps(optimiser, start, gradients, rates, backend="cpu"):
    x = Tensor(start.copy(), backend, requires_grad=True)
    for g, rate in zip(gradients, rates, strict=True):
        optimiser.learning_rate = rate
        x.grad = Tensor(g.copy(), backend)
        optimiser.step({"x": x})
    return x.numpy()


@pytest.mark.parametrize("backend", ["cpu", "reference", pytest.param("gpu", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize(("optimiser", "formula", "settings"), CASES, ids=name)
def test_follows_its_formula_while_the_learning_rate_changes(optimiser, formula, settings, dtype, tolerance, backend):
    start, gradients = some_steps(dtype)
    moved = take_steps(fresh(optimiser), start, gradients, RATES, backend)
    assert moved.dtype == dtype
    expected = formula(start.astype(np.float64), gradients.astype(np.float64), RATES, **settings)
    np.testing.assert_allclose(moved, expected, rtol=tolerance, atol=tolerance)


ADAM = {"learning_rate": 0.001, "betas": (0.9, 0.999), "eps": 1e-8}
DEFAULTS = [
    (Descent, {"learning_rate": 0.1}),
    (Momentum, {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.0}),
    (Nesterov, {"learning_rate": 0.001, "momentum": 0.9}),
    (RMSProp, {"learning_rate": 0.001, "decay": 0.9, "eps": 1e-8}),
    (Adam, ADAM),
    (AdamW, {**ADAM, "decay": 0.0}),
]


@pytest.mark.parametrize(("make", "settings"), DEFAULTS, ids=name)
def test_defaults_are_those_of_flux(make, settings):
    assert vars(make()).items() >= settings.items()


def test_momentum_by_hand():
    """Two steps with gradient 1, first at rate 1, then at 0: the velocity of the first goes on at half its size."""
    start, gradients = np.zeros(1), np.ones((2, 1))
    np.testing.assert_array_equal(take_steps(Momentum(momentum=0.5), start, gradients, [1.0, 0.0]), [-1.5])


@pytest.mark.parametrize(
    ("make", "memories"),
    [
        (Descent, ()),
        (Momentum, ("velocity",)),
        (Nesterov, ("velocity",)),
        (RMSProp, ("square",)),
        (Adam, ("mean", "square")),
        (AdamW, ("mean", "square")),
    ],
)
def test_state_is_named_as_the_parameters_are(make, memories):
    optimiser = make()
    assert tuple(optimiser.state) == memories
    params = {f"layers.{i}.weight": Tensor(np.ones(shape), requires_grad=True) for i, shape in enumerate([(2, 3), 4])}
    for x in params.values():
        x.grad = Tensor(np.ones(x.shape))
    optimiser.step(params)
    for arrays in optimiser.state.values():
        assert {name: array.shape for name, array in arrays.items()} == {n: x.shape for n, x in params.items()}
    assert optimiser.steps == 1


def test_every_optimiser_is_tested():
    kinds = {value for value in vars(optimisers).values() if isinstance(value, type) and issubclass(value, Optimiser)}
    assert kinds - {Optimiser} == {type(optimiser) for optimiser, *_ in CASES}


@pytest.mark.parametrize("make", [Descent, Momentum, Nesterov, RMSProp, Adam, AdamW])
def test_a_step_uses_gradients_up_and_leaves_parameters_without_one_alone(make):
    moved, still = (Tensor(np.ones(2), requires_grad=True) for _ in range(2))
    moved.grad = Tensor(np.ones(2))
    make().step({"moved": moved, "still": still})
    assert moved.grad is None
    assert (moved.numpy() != 1).all()
    np.testing.assert_array_equal(still.numpy(), [1, 1])


@pytest.mark.parametrize("make", [Descent, Momentum, Nesterov, RMSProp, Adam, AdamW])
def test_a_step_between_forward_and_backward_is_noticed(make):
    x = Tensor(np.ones(2), requires_grad=True)
    y = (x * x).sum()
    x.grad = Tensor(np.ones(2))
    make().step({"x": x})
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize("make", [Descent, Momentum, Nesterov, RMSProp, Adam, AdamW])
@pytest.mark.parametrize("rate", [-0.1, float("nan")])
def test_impossible_learning_rates(make, rate):
    with pytest.raises(ValueError, match=f"{make.__name__}: expected a learning rate of 0 or more"):
        make(rate)


@pytest.mark.parametrize(
    "make",
    [
        lambda value: Momentum(momentum=value),
        lambda value: Nesterov(momentum=value),
        lambda value: RMSProp(decay=value),
        lambda value: Adam(betas=(value, 0.9)),
        lambda value: AdamW(betas=(0.9, value)),
    ],
)
@pytest.mark.parametrize("value", [-0.1, 1, 5, float("nan")])
def test_impossible_decays(make, value):
    with pytest.raises(ValueError, match="from 0 to below 1"):
        make(value)


@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_impossible_weight_decays(value):
    with pytest.raises(ValueError, match="expected a weight decay of 0 or more"):
        Momentum(weight_decay=value)


def test_an_optimiser_belongs_to_one_network():
    optimiser = Momentum()
    for inputs, message in ((2, None), (3, r"weight is \(3, 1\) float32, but its velocity is \(2, 1\) float32")):
        layer = Dense(inputs, 1)
        layer(Tensor(np.ones((1, inputs), np.float32))).sum().backward()
        if message is None:
            optimiser.step(layer.params())
        else:
            with pytest.raises(ValueError, match=message):
                optimiser.step(layer.params())
