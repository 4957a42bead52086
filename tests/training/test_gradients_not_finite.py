"""A gradient that is not finite moves nothing, and its layer is named: in train(), in fit() and by Keras's fit()."""

import numpy as np
import pytest

import minidl
from minidl import Chain, Dense, Tensor, use_backend
from minidl.functions import mean, sqrt
from minidl.gradient_rules import ClipGrad, OptimiserChain
from minidl.keras import layers as keras_layers
from minidl.keras import models as keras_models
from minidl.keras import optimizers as keras_optimizers
from minidl.losses import mse
from minidl.ops.optimiser_steps import op as steps
from minidl.optimisers import Adam, AdamW, Descent, Momentum, Nesterov, RMSProp
from minidl.training import fit, train
from minidl.training.data_loader import DataLoader
from minidl.training.diagnosis import NotFiniteError
from minidl.training.gradient_watch import LOOK_EVERY

BACKENDS = ["reference", "cpu", pytest.param("gpu", marks=pytest.mark.gpu)]
OPTIMISERS = [Descent, Momentum, Nesterov, RMSProp, Adam, AdamW, lambda: OptimiserChain(ClipGrad(1.0), Adam())]
BATCH, GOOD, BAD = 2, 3, 5  # batches that are as they should be, then some with a zero


def root(x):
    """Finite at 0, where its slope is not."""
    return sqrt(x * x)


def network():
    minidl.seed(0)
    model = Chain(Dense(3, 4, bias=False), Dense(4, 4, bias=False), root, Dense(4, 2))
    for x in model.params().values():
        x.array = abs(x.array)
    return model


def data():
    x = np.random.default_rng(0).uniform(0.5, 1, ((GOOD + BAD) * BATCH, 3)).astype(np.float32)
    x[GOOD * BATCH :] = 0
    return x, np.ones((len(x), 2), np.float32)


def state_of(model, optimiser):
    memories = {f"{m} {name}": array for m, named in optimiser.state.items() for name, array in named.items()}
    arrays = {**{name: x.numpy() for name, x in model.tensors().items()}, **memories}
    return optimiser.steps, {name: np.array(x if isinstance(x, np.ndarray) else x.get()) for name, x in arrays.items()}


def assert_same_state(one, other):
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    for name in one[1]:
        np.testing.assert_array_equal(one[1][name], other[1][name])


@pytest.mark.parametrize("way", ["train", "fit"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_moves(backend, optimiser, way):
    """On a GPU, too, where several more steps were asked for before somebody looked."""
    x, y = data()
    results = []
    for count in [GOOD, GOOD + BAD]:
        with use_backend(backend):
            model, rule = network(), optimiser()
            batches = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, count * BATCH, BATCH)]

            def run(model=model, rule=rule, batches=batches, count=count):
                if way == "train":
                    train(lambda m, x, y: mse(m(Tensor(x)), Tensor(y)), model, batches, rule)
                else:
                    fit(model, mse, DataLoader((x[: count * BATCH], y[: count * BATCH]), batchsize=BATCH), rule, 1)

            if count == GOOD:
                run()
            else:
                with pytest.raises(NotFiniteError, match=r"step 4: the loss is .* gradient of layers\.1\.weight"):
                    run()
                assert all(p.grad is None for p in model.params().values())
            results.append(state_of(model, rule))
    assert_same_state(*results)


def test_the_message_names_layer_rate_and_what_to_do():
    x, y = data()
    model = network()
    with pytest.raises(NotFiniteError) as caught:
        fit(model, mse, DataLoader((x[-2:], y[-2:]), batchsize=2), Momentum(0.25), 1)
    for part in ["step 1: the loss is 1, ", "layers.1.weight (layer 1, Dense(4, 4, bias=False))", "now 0.25", "sqrt"]:
        assert part in str(caught.value)


@pytest.mark.gpu
def test_a_gpu_is_looked_at_every_few_steps():
    x, y = data()
    seen, batches = [], [(x[-2:], y[-2:])] * (2 * LOOK_EVERY)
    with use_backend("gpu"):
        model = network()
    with pytest.raises(NotFiniteError), use_backend("gpu"):
        train(lambda m, x, y: mse(m(Tensor(x)), Tensor(y)), model, batches, Momentum(), cb=lambda: seen.append(1))
    assert len(seen) == LOOK_EVERY - 1


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop", "Adagrad", "Nadam"])
@pytest.mark.parametrize("way", ["fit", "train_on_batch"])
def test_keras(optimizer, way):
    x, y = data()
    model = keras_models.Sequential(
        [
            keras_layers.Input((3,)),
            keras_layers.BatchNormalization(center=False),
            keras_layers.Dense(4, use_bias=False),
            keras_layers.Activation(root),
            keras_layers.Dense(2),
        ]
    )
    rule = getattr(keras_optimizers, optimizer)(weight_decay=0.1, clipvalue=1.0)
    model.compile(rule, "mse")
    model.train_on_batch(x[:4], y[:4])
    before = rule.iterations, [np.array(weight) for weight in model.get_weights()]
    memories = {name: array.copy() for named in rule.state.values() for name, array in named.items()}
    with pytest.raises(NotFiniteError, match=r"step 2: the loss is .* gradient of .* is not finite"):
        getattr(model, way)(x[-4:], y[-4:])
    assert rule.iterations == before[0]
    for array, expected in zip(model.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(array, expected)
    after = {name: array for named in rule.state.values() for name, array in named.items()}
    for name, array in memories.items():
        np.testing.assert_array_equal(after[name], array)
    model.train_on_batch(x[:4], y[:4])  # no gradient was left behind
    assert np.isfinite(np.concatenate([weight.ravel() for weight in model.get_weights()])).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_place_of_a_gradient_is_looked_at(backend, dtype, number):
    for size in [1, 3, 40, 5000, 70001]:
        for place in {0, size // 2, size - 1}:
            gradients = [Tensor(np.full(size, 3e38, dtype), backend) for _ in range(3)]
            found = gradients[0].backend.xp.zeros(2, "int32")
            steps.find_not_finite(gradients, found, 4)
            assert found.tolist() == [0, 0]
            gradients[1].array[place] = number
            steps.find_not_finite(gradients, found, 5)
            assert found.tolist() == [5, 2]
            steps.find_not_finite(gradients, found, 6)  # what was found first counts
            assert found.tolist() == [5, 2]


def test_a_loss_that_is_not_finite_is_still_told_from_a_gradient():
    x, y = data()
    with pytest.raises(NotFiniteError, match="the loss is nan"):
        fit(network(), lambda p, t: mean(p - t) * np.nan, DataLoader((x, y), batchsize=2), Momentum(), 1)
