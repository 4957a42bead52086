"""What is said when the loss is nan, and when a network does not learn: the right step and the right layer."""

import re

import numpy as np
import pytest
from small_run import assert_equal, copies, digits, small_network

import minidl
from minidl import BatchNorm, Chain, Dense, Dropout, flatten, models, no_grad, relu
from minidl.data import DataLoader, to_float
from minidl.layers import he_normal
from minidl.losses import logitcrossentropy
from minidl.optimisers import Descent, Momentum
from minidl.training import fit
from minidl.training.diagnosis import NotFiniteError, explain_dead_signal, explain_not_finite

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says on its own where a matmul overflows


@pytest.fixture(autouse=True)
def _same_seed():
    minidl.seed(0)


def images(count=16):
    return to_float(digits(count)[0])


def set_to(tensor, value):
    tensor.array = np.full(tensor.shape, value, np.float32)


def overflowing_layer(model):
    set_to(model[4].weight, 3e38)  # finite, but not what it computes


def wrong_parameter(model):
    set_to(model[4].bias, np.nan)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (overflowing_layer, r"The first layer whose output is not finite is layer 4, Dense\(128, 32, relu\)\. Lower"),
        (wrong_parameter, r"layers\.4\.bias holds numbers that are not finite, from a step before\. Lower"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_fit_names_step_and_layer_and_leaves_the_parameters_alone(harm, message):
    model, loader = small_network(), DataLoader((images(), digits(16)[1]), 8)
    optimiser = Momentum(0.01)
    fit(model, logitcrossentropy, loader, optimiser, epochs=1)
    harm(model)
    before, velocity = copies(model), {name: v.copy() for name, v in optimiser.state["velocity"].items()}
    with pytest.raises(NotFiniteError, match=rf"step 3: the loss is (nan|inf)\. {message}.*\(now 0\.01\)"):
        fit(model, logitcrossentropy, loader, optimiser, epochs=1)
    after = copies(model)
    assert_equal({name: after[name] for name in model.params()}, {name: before[name] for name in model.params()})
    assert_equal(optimiser.state["velocity"], velocity)
    assert optimiser.steps == 2


def test_a_learning_rate_that_is_far_too_high_is_caught():
    model, loader = small_network(), DataLoader((images(32), digits(32)[1]), 8, shuffle=True)
    with pytest.raises(NotFiniteError, match="Lower the learning rate"):
        fit(model, logitcrossentropy, loader, Descent(1e30), epochs=5)


def test_bad_data_is_told_from_a_bad_network():
    x = images()
    x[3, 4, 5, 0] = np.nan
    text = explain_not_finite(small_network(), x, float("nan"), Descent())
    assert text.endswith("The input itself holds numbers that are not finite: look at the data")


def test_the_loss_function_may_be_to_blame():
    text = explain_not_finite(small_network(), images(), float("inf"), Descent())
    assert "Every layer's output is finite: the loss function itself overflows" in text


def deep(init=None, normalise=False):
    """Twenty dense layers of 64 behind flatten. With Glorot's weights relu takes a part of the signal in each."""
    options = {"init": init} if init else {}
    blocks = [(Dense(64, 64, relu, **options), *([BatchNorm(64)] if normalise else [])) for _ in range(20)]
    return Chain(flatten, *(layer for block in blocks for layer in block), Dense(64, 10))


def test_the_first_layer_whose_signal_has_died_is_named():
    model, x = deep(), images()
    text = explain_dead_signal(model, x)
    with no_grad():
        spreads = [model[: i + 1](x).numpy().std(0).mean() / x.std(0).mean() for i in range(len(model))]
    first = next(i for i, spread in enumerate(spreads) if spread < 0.01)
    assert 5 < first < 20
    assert text.startswith(f"the signal has died in layer {first}, Dense(64, 64, relu): its outputs differ between ")
    assert "Put a BatchNorm behind each convolution, or draw the weights with init=he_normal" in text


@pytest.mark.parametrize("cure", [{"init": he_normal}, {"normalise": True}], ids=["init", "normalise"])
def test_the_remedies_that_are_named_help(cure):
    assert explain_dead_signal(deep(**cure), images()) is None


def test_masks_of_dropout_are_not_taken_for_a_signal():
    plain = deep()
    masked = Chain(flatten, *(layer for dense in plain[1:-1] for layer in (dense, Dropout(0.5))), plain[-1])
    layer = int(re.match(r"the signal has died in layer (\d+)", explain_dead_signal(plain, images()))[1])
    assert explain_dead_signal(masked, images()).startswith(f"the signal has died in layer {2 * layer - 1}, Dense(64")
    text = explain_dead_signal(Chain(flatten, Chain(*masked[1:])), images())
    assert "active" not in text  # it names layers as they are


def test_a_model_with_its_own_call_is_looked_at_as_a_whole():
    class Overflowing(Chain):
        def __call__(self, x):
            return super().__call__(x) * np.inf

    with np.errstate(invalid="ignore"):
        text = explain_not_finite(Overflowing(flatten, Dense(64, 10)), images(), float("nan"), Descent())
    assert "The first layer whose output is not finite is layer 0, " in text


def test_the_articles_networks_are_diagnosed():
    rows = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    text = explain_dead_signal(models.article_keras(), rows)
    assert text is not None
    assert "Conv((3, 3), " in text


def test_looking_leaves_no_trace():
    model = small_network()
    before = copies(model)
    explain_dead_signal(model, images())
    explain_not_finite(model, images(), float("nan"), Descent())
    assert_equal(copies(model), before)
