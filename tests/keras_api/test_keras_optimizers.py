"""Optimizers of the Keras front door: what can be said without Keras; numbers are compared in test_optimizer_steps."""

import math
from functools import partial

import numpy as np
import pytest

from minidl import optimisers
from minidl.keras import optimizers
from minidl.keras.optimizers import SGD, Adagrad, Adam, AdamW, Nadam, RMSprop, schedules
from minidl.layers import Dense
from minidl.tensor import Tensor
from minidl.training import load_checkpoint, save_checkpoint

MAKERS = [
    SGD,
    lambda: SGD(0.1, momentum=0.9),
    lambda: SGD(0.1, momentum=0.9, nesterov=True),
    lambda: SGD(schedules.ExponentialDecay(0.1, 2, 0.5)),
    Adam,
    lambda: Adam(amsgrad=True),
    AdamW,
    RMSprop,
    lambda: RMSprop(momentum=0.5, centered=True),
    Adagrad,
    Nadam,
]


def params(backend="cpu", dtype=np.float32):
    random = np.random.default_rng(0)
    shapes = {"layers.0.weight": (3, 2), "layers.0.bias": (2,), "layers.1.scale": (2,)}
    return {
        name: Tensor(random.normal(size=shape).astype(dtype), backend, requires_grad=True)
        for name, shape in shapes.items()
    }


def give_gradients(parameters, step=0):
    random = np.random.default_rng(1 + step)
    for x in parameters.values():
        x.grad = Tensor(random.normal(size=x.shape).astype(x.dtype), x.backend)


def take_steps(optimizer, parameters, count=3, first=0):
    for step in range(first, first + count):
        give_gradients(parameters, step)
        optimizer.step(parameters)
    return {name: x.numpy().copy() for name, x in parameters.items()}


def assert_same(first, second, **tolerance):
    for name, array in first.items():
        np.testing.assert_allclose(array, second[name], err_msg=name, **tolerance or {"rtol": 0, "atol": 0})


@pytest.mark.parametrize(
    ("ours", "minidls"),
    [
        (SGD(0.1), optimisers.Descent(0.1)),
        (SGD(0.1, 0.9), optimisers.Momentum(0.1, 0.9)),
        (SGD(0.1, 0.9, True), optimisers.Nesterov(0.1, 0.9)),
    ],
    ids=["plain", "momentum", "nesterov"],
)
def test_sgd_is_minidls_own_bit_for_bit(ours, minidls):
    assert_same(take_steps(ours, params()), take_steps(minidls, params()))


def adam(g, memory, t, rate, epsilon=0.125, amsgrad=False):
    m, v, largest = memory or (0, 0, 0)
    m, v = 0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g * g
    largest = np.maximum(largest, v) if amsgrad else v
    alpha = rate * math.sqrt(1 - 0.75**t) / (1 - 0.5**t)
    return alpha * m / (np.sqrt(largest) + epsilon), (m, v, largest)


def rmsprop(g, memory, t, rate, centered=False, momentum=0):
    square, mean, velocity = memory or (0, 0, 0)
    square, mean = 0.5 * square + 0.5 * g * g, 0.5 * mean + 0.5 * g
    velocity = momentum * velocity + rate * g / np.sqrt(square - centered * mean**2 + 0.125)
    return velocity, (square, mean, velocity)


def adagrad(g, memory, t, rate):
    total = (0.5 if memory is None else memory) + g * g
    return rate * g / np.sqrt(total + 0.125), total


def nadam(g, memory, t, rate):
    m, v, product = memory or (0, 0, 1)
    now, later = (0.5 * (1 - 0.5 * 0.96**step) for step in (t, t + 1))
    m, v, product = 0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g * g, product * now
    ahead = later * m / (1 - product * later) + (1 - now) * g / (1 - product)
    return rate * ahead / (np.sqrt(v / (1 - 0.75**t)) + 0.125), (m, v, product)


BETAS = {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125}


@pytest.mark.parametrize(
    ("optimizer", "formula"),
    [
        (Adam(0.5, **BETAS), adam),
        (Adam(0.5, **BETAS, amsgrad=True), partial(adam, amsgrad=True)),
        (RMSprop(0.5, rho=0.5, epsilon=0.125), rmsprop),
        (RMSprop(0.5, rho=0.5, epsilon=0.125, centered=True), partial(rmsprop, centered=True)),
        (RMSprop(0.5, rho=0.5, epsilon=0.125, momentum=0.5), partial(rmsprop, momentum=0.5)),
        (Adagrad(0.5, 0.5, 0.125), adagrad),
        (Nadam(0.5, **BETAS), nadam),
    ],
)
def test_steps_follow_an_independent_transcription_of_the_formula(optimizer, formula):
    x, memory = Tensor(np.zeros(3), requires_grad=True), None
    expected = np.zeros(3)
    for t in range(1, 6):
        gradient = np.random.default_rng(t).normal(size=3) / t
        x.grad = Tensor(gradient)
        optimizer.step({"x": x})
        step, memory = formula(gradient, memory, t, 0.5)
        expected = expected - step
    np.testing.assert_allclose(x.array, expected, rtol=1e-12)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("backend", ["reference", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_backends_agree(make, backend):
    expected = take_steps(make(), params(dtype=np.float64))
    assert_same(take_steps(make(), params(backend, np.float64)), expected, rtol=1e-12)


@pytest.mark.parametrize("make", MAKERS)
def test_a_checkpoint_restores_an_optimizer(make, tmp_path):
    """Four steps on end, and two, a checkpoint and two: the same weights. That is: all its memory is in the state."""
    model, again = Dense(3, 2), Dense(3, 2)
    again.load({name: x.numpy() for name, x in model.tensors().items()})
    through = take_steps(make(), model.params(), 4)
    optimizer, restored = make(), make()
    take_steps(optimizer, again.params(), 2)
    save_checkpoint(tmp_path / "checkpoint.safetensors", again, optimizer)
    other = Dense(3, 2)
    take_steps(restored, other.params(), 5)  # which restoring makes up for
    load_checkpoint(tmp_path / "checkpoint.safetensors", other, restored)
    assert restored.iterations == 2
    assert_same(take_steps(restored, other.params(), 2, first=2), through)


@pytest.mark.parametrize("make", MAKERS)
def test_a_configuration_makes_an_equal_optimizer(make):
    config = optimizers.serialize(make())
    again = optimizers.get(config)
    assert optimizers.serialize(again) == config
    assert_same(take_steps(again, params()), take_steps(make(), params()))


DECAYED = {"layers.0.weight": 0.95, "layers.0.bias": 0.95, "layers.1.scale": 0.95}


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        ({}, DECAYED),
        ({"var_names": ["bias"]}, {**DECAYED, "layers.0.bias": 1}),
        ({"var_names": ["gamma", "kernel"]}, {"layers.0.weight": 1, "layers.0.bias": 0.95, "layers.1.scale": 1}),
        ({"var_names": ["layers"]}, DECAYED),
        ({"var_list": ["layers.0.bias"]}, {**DECAYED, "layers.0.bias": 1}),
    ],
    ids=["none", "minidl's name", "Keras's names", "not a parameter's", "a tensor"],
)
def test_weight_decay_takes_a_share_of_the_parameters_that_are_not_excluded(excluded, expected):
    optimizer, parameters = SGD(0.5, weight_decay=0.1), params()
    if "var_list" in excluded:
        excluded = {"var_list": [parameters[name] for name in excluded["var_list"]]}
    optimizer.exclude_from_weight_decay(**excluded)
    for x in parameters.values():
        x.array, x.grad = np.ones_like(x.array), Tensor(np.zeros_like(x.array))
    optimizer.step(parameters)
    for name, share in expected.items():
        np.testing.assert_allclose(parameters[name].array, share, rtol=1e-6)


def test_parameters_without_a_gradient_stay_as_they_are():
    optimizer, parameters = AdamW(0.1, weight_decay=0.5), params()
    give_gradients(parameters)
    still = parameters["layers.0.bias"]
    before, still.grad = still.numpy().copy(), None
    optimizer.step(parameters)
    np.testing.assert_array_equal(still.array, before)
    assert all(x.grad is None for x in parameters.values())


def test_a_learning_rate_can_be_read_and_set():
    optimizer = SGD(0.5)
    optimizer.learning_rate = np.float32(0.25)
    assert (optimizer.learning_rate, optimizer.iterations) == (0.25, 0)
    parameters = {"x": Tensor(np.zeros(1), requires_grad=True)}
    parameters["x"].grad = Tensor(np.ones(1))
    optimizer.step(parameters)
    np.testing.assert_array_equal(parameters["x"].array, [-0.25])
    assert SGD(lambda: 0.125).learning_rate == 0.125


def test_a_schedule_is_asked_with_the_number_of_steps_before():
    optimizer = SGD(schedules.PiecewiseConstantDecay([0, 1], [1.0, 10.0, 100.0]))
    x, rates = Tensor(np.zeros(1), requires_grad=True), []
    for _ in range(3):
        rates.append(optimizer.learning_rate)
        x.grad = Tensor(np.ones(1))
        optimizer.step({"x": x})
    assert rates == [1, 10, 100]
    np.testing.assert_array_equal(x.array, [-111])
    with pytest.raises(TypeError, match="follows a schedule"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = schedules.ExponentialDecay(1.0, 1, 0.5)
    assert optimizer.learning_rate == 0.125


@pytest.mark.parametrize("name", ["sgd", "SGD", "Adam", "adamw", "RMSprop", "rmsprop", "adagrad", "Nadam"])
def test_optimizers_have_names(name):
    found = optimizers.get(name)
    assert type(found).__name__.lower() == name.lower()
    assert optimizers.get(found) is found
    assert optimizers.get(None) is None


def test_objects_without_a_name_are_numbered():
    assert [SGD().name, SGD().name, SGD(name="mine").name, AdamW().name] == ["sgd", "sgd_1", "mine", "adam_w"]


class Sign(optimizers.Optimizer):
    """What a new optimizer needs."""

    def move(self, gradient, *memories):
        return self._rate * np.sign(gradient)


def test_a_new_optimizer_defines_move():
    found = optimizers.deserialize({"class_name": "Sign", "config": {"learning_rate": 0.5}}, {"Sign": Sign})
    x = Tensor(np.zeros(2), requires_grad=True)
    x.grad = Tensor(np.array([3.0, -2.0]))
    found.step({"x": x})
    np.testing.assert_array_equal(x.array, [-0.5, 0.5])


def with_a_group():
    optimizer, parameters = SGD(), params()
    optimizer.groups = [optimisers.Group("*.bias", rate_factor=2)]
    take_steps(optimizer, parameters)


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: optimizers.get("adamm"), ValueError, "expected one of adagrad, adam, adamw, nadam, rmsprop, sgd; got"),
        (lambda: optimizers.get("Lion"), NotImplementedError, "does not have Keras's 'lion'"),
        (lambda: optimizers.get(3), ValueError, "such as 'adagrad'"),
        (lambda: optimizers.get({"config": {}}), ValueError, "'class_name' and 'config'"),
        (lambda: Adam(use_ema=True), NotImplementedError, "use_ema=False, got True, .* average the weights"),
        (lambda: Adam(gradient_accumulation_steps=4), NotImplementedError, "larger batch_size"),
        (lambda: Adam(loss_scale_factor=4.0), NotImplementedError, "no scaling"),
        (lambda: SGD(lr=0.1), TypeError, "unexpected argument 'lr'"),
        (lambda: SGD(-0.1), ValueError, "0 or more, got -0.1"),
        (lambda: SGD(momentum=1.5), ValueError, "momentum from 0 to 1, got 1.5"),
        (lambda: Adam(beta_2=1.0), ValueError, "beta_2 from 0 to below 1, got 1.0"),
        (lambda: AdamW(weight_decay=None), ValueError, "Adam has none"),
        (lambda: SGD(clipnorm=1.0, clipvalue=1.0), ValueError, "one of clipnorm, clipvalue and global_clipnorm"),
        (lambda: SGD(lambda: 0.1).get_config(), TypeError, "make it a LearningRateSchedule"),
        (lambda: SGD().step(params()), ValueError, "none of 3 parameters has a gradient"),
        (lambda: SGD(weight_decay=-1), ValueError, "SGD: expected a weight_decay of 0 or more, got -1"),
        (lambda: Adam(epsilon=math.nan), ValueError, "Adam: expected epsilon of 0 or more, got nan, which is not fin"),
        (with_a_group, NotImplementedError, "SGD: groups are for minidl.optimisers; Keras has none"),
    ],
)
def test_what_cannot_be_is_refused(attempt, error, message):
    with pytest.raises(error, match=message):
        attempt()


def test_refused_settings_may_be_at_their_default():
    SGD(use_ema=False, ema_momentum=0.99, ema_overwrite_frequency=None, clipnorm=0.0).step({})


SCHEDULES = [
    (schedules.ExponentialDecay(8.0, 2, 0.25), {0: 8, 1: 4, 2: 2, 3: 1}),
    (schedules.ExponentialDecay(8.0, 2, 0.25, staircase=True), {0: 8, 1: 8, 2: 2, 3: 2}),
    (schedules.InverseTimeDecay(6.0, 2, 2.0), {0: 6, 1: 3, 2: 2, 5: 1}),
    (schedules.InverseTimeDecay(6.0, 2, 2.0, staircase=True), {0: 6, 1: 6, 2: 2, 3: 2}),
    (schedules.PiecewiseConstantDecay([2, 4], [3.0, 2.0, 1.0]), {0: 3, 2: 3, 3: 2, 4: 2, 5: 1}),
    (schedules.PolynomialDecay(5.0, 4, 1.0), {0: 5, 1: 4, 4: 1, 9: 1}),
    (schedules.PolynomialDecay(4.0, 4, 0.0, power=2.0, cycle=True), {0: 4, 2: 1, 4: 0, 6: 0.25, 8: 0}),
    (schedules.CosineDecay(4.0, 4, alpha=0.5), {0: 4, 2: 3, 4: 2, 9: 2}),
    (schedules.CosineDecay(1.0, 4, warmup_target=3.0, warmup_steps=2), {0: 1, 1: 2, 2: 3, 4: 1.5, 6: 0}),
    (schedules.CosineDecayRestarts(4.0, 2, m_mul=0.5), {0: 4, 1: 2, 2: 2, 4: 1, 6: 1, 10: 0.5}),
    (schedules.CosineDecayRestarts(4.0, 2, t_mul=1.0, alpha=0.5), {0: 4, 1: 3, 2: 4, 4: 4, 5: 3}),
]


@pytest.mark.parametrize(("schedule", "rates"), SCHEDULES, ids=lambda value: getattr(value, "name", ""))
def test_schedules_by_hand(schedule, rates):
    assert {step: schedule(step) for step in rates} == pytest.approx(rates)
    again = schedules.deserialize(schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()
    assert {step: again(step) for step in rates} == pytest.approx(rates)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: schedules.CosineDecay(1.0, 0), "decay_steps above 0, got 0"),
        (lambda: schedules.CosineDecayRestarts(1.0, 4, t_mul=0.5), "t_mul of 1 or more, got 0.5"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0]), "one value more"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1.0, 2.0, 3.0]), "boundaries that rise"),
    ],
)
def test_schedules_that_cannot_be(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()
