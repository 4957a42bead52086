"""Optimizers and schedules step by step beside Keras's own.

In float64, although Keras then still rounds some of its settings to float32.
"""

import numpy as np
import pytest

from minidl.keras import optimizers
from minidl.keras.objects import snake_case
from minidl.tensor import Tensor

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

pytestmark = pytest.mark.keras

STEPS, SHAPES = 6, {"kernel": (3, 4), "bias": (4,)}
RATES = [0.5, 0.5, 0.25, 0.125, 0.125, 0.25]

# Numbers that float32 holds exactly: Keras rounds some of its settings to that even when it computes in float64
OPTIONS = [{}, {"weight_decay": 0.125}, {"clipnorm": 0.5}, {"clipvalue": 0.25}, {"global_clipnorm": 0.5}]
KINDS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.875}),
    ("SGD", {"momentum": 0.5, "nesterov": True}),
    ("Adam", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125}),
    ("Adam", {"beta_1": 0.875, "beta_2": 0.5, "epsilon": 0.125, "amsgrad": True}),
    ("AdamW", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125, "weight_decay": 0.25}),
    ("RMSprop", {"rho": 0.5, "epsilon": 0.125}),
    ("RMSprop", {"rho": 0.5, "epsilon": 0.125, "momentum": 0.75}),
    ("RMSprop", {"rho": 0.75, "epsilon": 0.125, "centered": True}),
    ("RMSprop", {"rho": 0.75, "epsilon": 0.125, "centered": True, "momentum": 0.5}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "epsilon": 0.125}),
    ("Nadam", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125}),
]
DEFAULTS = [("SGD", {}), ("SGD", {"momentum": 0.9}), *((kind, {}) for kind in [
    "Adam", "AdamW", "RMSprop", "Adagrad", "Nadam"])]  # fmt: skip
SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [2, 5], "values": [0.1, 0.05, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "power": 2.0, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 7}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "alpha": 0.1, "warmup_target": 0.5,
                     "warmup_steps": 4}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 3}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 3, "t_mul": 1.0, "m_mul": 0.5,
                             "alpha": 0.1}),
]  # fmt: skip


@pytest.fixture
def in_float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def starts_and_gradients(dtype="float64"):
    random = np.random.default_rng(0)
    starts = {name: random.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    gradients = [{name: random.normal(size=x.shape).astype(dtype) for name, x in starts.items()} for _ in range(STEPS)]
    return starts, gradients


def our_weights(optimizer, starts, gradients, set_rates):
    parameters = {name: Tensor(x.copy(), requires_grad=True) for name, x in starts.items()}
    for step, given in enumerate(gradients):
        if set_rates:
            optimizer.learning_rate = RATES[step]
        for name, gradient in given.items():
            parameters[name].grad = Tensor(gradient)
        optimizer.step(parameters)
    return {name: x.numpy() for name, x in parameters.items()}


def their_weights(optimizer, starts, gradients, set_rates):
    variables = {name: keras.Variable(x, name=name) for name, x in starts.items()}
    for step, given in enumerate(gradients):
        if set_rates:
            optimizer.learning_rate = RATES[step]
        optimizer.apply([keras.ops.convert_to_tensor(given[name]) for name in variables], list(variables.values()))
    return {name: keras.ops.convert_to_numpy(x.value) for name, x in variables.items()}


def compare(ours, theirs, dtype="float64", set_rates=True, tolerance=1e-7):
    starts, gradients = starts_and_gradients(dtype)
    expected = their_weights(theirs, starts, gradients, set_rates)
    for name, weights in our_weights(ours, starts, gradients, set_rates).items():
        assert not np.allclose(weights, starts[name])
        np.testing.assert_allclose(weights, expected[name], rtol=tolerance, atol=tolerance / 10)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("kind", "settings"), KINDS, ids=str)
def test_steps_agree_while_the_learning_rate_changes(kind, settings, options):
    ours, theirs = (getattr(m.optimizers, kind)(**{**settings, **options}) for m in (minidl_keras, keras))
    compare(ours, theirs)


class minidl_keras:
    optimizers = optimizers


@pytest.mark.parametrize(("kind", "settings"), DEFAULTS, ids=str)
def test_defaults_agree_in_float32(kind, settings):
    ours, theirs = (getattr(m.optimizers, kind)(**settings) for m in (minidl_keras, keras))
    compare(ours, theirs, "float32", set_rates=False, tolerance=1e-5)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(("kind", "settings"), SCHEDULES, ids=str)
def test_schedules_agree_and_are_asked_at_the_same_steps(kind, settings):
    ours, theirs = (getattr(m.optimizers.schedules, kind)(**settings) for m in (minidl_keras, keras))
    for step in range(25):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-8)  # theirs computes in float32
    compare(optimizers.SGD(ours, 0.9), keras.optimizers.SGD(theirs, 0.9), set_rates=False, tolerance=1e-6)


@pytest.mark.usefixtures("in_float64")
def test_the_same_names_are_excluded_from_weight_decay():
    ours, theirs = (m.optimizers.SGD(0.5, weight_decay=0.5) for m in (minidl_keras, keras))
    for optimizer in (ours, theirs):
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    compare(ours, theirs)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(("kind", "settings"), KINDS, ids=str)
def test_iterations_are_those_of_all_parameters(kind, settings):
    """Keras has one count: what has no gradient in the first steps begins with the corrections of later ones."""
    starts, gradients = starts_and_gradients()
    ours, theirs = (getattr(m.optimizers, kind)(**settings) for m in (minidl_keras, keras))
    mine = {name: Tensor(x.copy(), requires_grad=True) for name, x in starts.items()}
    variables = {name: keras.Variable(x, name=name) for name, x in starts.items()}
    for step, given in enumerate(gradients):
        given = {**given, "bias": None} if step < 3 else given
        for name, gradient in given.items():
            mine[name].grad = None if gradient is None else Tensor(gradient)
        ours.step(mine)
        theirs.apply([given[name] for name in variables], list(variables.values()))
    for name, x in mine.items():
        np.testing.assert_allclose(x.numpy(), keras.ops.convert_to_numpy(variables[name].value), rtol=1e-7, atol=1e-8)


def test_a_parameter_that_was_not_there_in_the_first_step_is_refused_by_both():
    ours, theirs = (m.optimizers.Adam() for m in (minidl_keras, keras))
    mine = {name: Tensor(np.ones(2), requires_grad=True) for name in ("first", "later")}
    variables = [keras.Variable(np.ones(2), name=name) for name in ("first", "later")]
    for x in mine.values():
        x.grad = Tensor(np.ones(2))
    ours.step({"first": mine["first"]})
    mine["first"].grad = Tensor(np.ones(2))
    theirs.apply([np.ones(2)], variables[:1])
    with pytest.raises(ValueError, match="later was not among the parameters of the first step; compile"):
        ours.step(mine)
    with pytest.raises(ValueError, match="Unknown variable"):
        theirs.apply([np.ones(2)] * 2, variables)


@pytest.mark.parametrize(("kind", "settings"), [*KINDS, *DEFAULTS, *SCHEDULES], ids=str)
def test_configurations_go_both_ways(kind, settings):
    """Ours has Keras's keys, defaults included, and each makes the other's object."""
    modules = [
        m.optimizers if (kind, settings) not in SCHEDULES else m.optimizers.schedules for m in (minidl_keras, keras)
    ]
    ours, theirs = (getattr(module, kind)(**settings) for module in modules)
    config = {**theirs.get_config(), **({"name": ours.name} if hasattr(ours, "name") else {})}
    assert ours.get_config() == pytest.approx(config) if kind != "PiecewiseConstantDecay" else config
    here, there = (
        modules[0].deserialize(modules[1].serialize(theirs)),
        modules[1].deserialize(modules[0].serialize(ours)),
    )
    assert type(here).__name__ == type(there).__name__ == kind
    assert set(here.get_config()) == set(there.get_config())


@pytest.mark.parametrize("name", ["MeanSquaredError", "KLDivergence", "SGD", "RMSprop", "AdamW", "L1L2", "F1Score",
                                  "FBetaScore", "AUC", "Conv2DTranspose", "GlorotUniform", "Dense"])  # fmt: skip
def test_names_are_written_as_in_keras(name):
    from keras.src.utils.naming import to_snake_case

    assert snake_case(name) == to_snake_case(name)
