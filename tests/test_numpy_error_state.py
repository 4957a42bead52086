"""What the caller has said to numpy.seterr() changes nothing: neither results, nor is there an error or a warning."""

import itertools
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

import minidl
from minidl import Tensor, grad, gradient_rules, losses, optimisers, seed, training_mode, use_backend
from minidl.gradient_examples import EXAMPLES
from minidl.keras import activations as keras_activations
from minidl.keras import losses as keras_losses
from minidl.keras import metrics as keras_metrics
from minidl.keras import optimizers as keras_optimizers
from minidl.losses import mse
from minidl.tensor import op_name

TINY, HUGE = 1e-42, 3e38
AWKWARD = [0.0, -0.0, np.inf, -np.inf, np.nan, TINY, HUGE, -HUGE, 1.0, -100.0, 1e-20]


def awkward(shape, start=0):
    numbers = itertools.islice(itertools.cycle(AWKWARD), start, start + int(np.prod(shape)))
    return np.array(list(numbers), np.float32).reshape(shape)


def with_every_state(compute):
    """The same bits, whatever NumPy is told to do about numbers that are not finite; warnings are errors in tests."""
    results = []
    for state in ["ignore", "raise", "warn"]:
        with np.errstate(all=state):
            results.append(compute())
    for other in results[1:]:
        assert len(other) == len(results[0])
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("start", [0, 4])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_functions(example, backend, start):
    def compute():
        inputs = [
            Tensor(awkward(x.shape, start + 3 * i), backend, requires_grad=True) if x.dtype.kind == "f"
            else Tensor(x, backend)
            for i, x in enumerate(example.inputs)
        ]  # fmt: skip
        leaves = [x for x in inputs if x.requires_grad]
        y = example(*inputs)
        first = grad((y * y).sum(), leaves, create_graph=True)
        total = sum(((dx * dx).sum() for dx in first), Tensor(np.float32(0), backend, dtype=np.float32))
        second = grad(total, leaves) if op_name(total) else ()
        return [x.numpy() for x in (y, *first, *second)]

    with_every_state(compute)


LAYERS = {
    "BatchNorm": lambda: minidl.BatchNorm(3),
    "GroupNorm": lambda: minidl.GroupNorm(3, 1),
    "LayerNorm": lambda: minidl.LayerNorm(3),
    "Conv": lambda: minidl.Conv((3, 3), (3, 8), minidl.gelu, pad=1),
    "ConvTranspose": lambda: minidl.ConvTranspose((3, 3), (3, 8)),
    "Dense": lambda: minidl.Chain(minidl.flatten, minidl.Dense(48, 2, minidl.elu)),
    "Dropout": lambda: minidl.Dropout(0.5),
    "Upsample": lambda: minidl.Upsample(2, "bilinear"),
    "MeanPool": lambda: minidl.MeanPool(2),
    "MaxPool": lambda: minidl.MaxPool(2),
    "GlobalMeanPool": minidl.GlobalMeanPool,
    "GlobalMaxPool": minidl.GlobalMaxPool,
    "AdaptiveMeanPool": lambda: minidl.AdaptiveMeanPool((3, 3)),
    "AdaptiveMaxPool": lambda: minidl.AdaptiveMaxPool((3, 3)),
    "together": lambda: minidl.Chain(
        minidl.Conv((3, 3), (3, 8), pad=1), minidl.BatchNorm(8), minidl.relu, minidl.MaxPool(2), minidl.softmax
    ),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers(layer, backend, training):
    def compute():
        with use_backend(backend), training_mode() if training else nullcontext():
            seed(1)
            made = LAYERS[layer]()
            x = Tensor(awkward((2, 4, 4, 3)), requires_grad=True)
            y = made(x)
            y.sum().backward()
            tensors = made.tensors().values()
            return [
                y.numpy(),
                x.grad.numpy(),
                *(t.numpy() for t in tensors),
                *(t.grad.numpy() for t in tensors if t.grad is not None),
            ]

    with_every_state(compute)


LOSSES = [
    getattr(losses, name) for name in dir(losses) if name.endswith(("entropy", "loss", "divergence", "mse", "mae"))
]
LOSSES = [loss for loss in LOSSES if loss.__module__ == losses.__name__]
KERAS_LOSSES = [loss for loss in keras_losses.FUNCTIONS if loss.__name__ != "sparse_categorical_crossentropy"]


@pytest.mark.parametrize("loss", [*LOSSES, *KERAS_LOSSES], ids=lambda loss: loss.__name__)
def test_losses(loss):
    def compute():
        predicted = Tensor(awkward((11, 3)), requires_grad=True)
        target = awkward((11, 3), 5)
        value = loss(predicted, target) if loss in LOSSES else loss(target, predicted).sum()
        value.backward()
        return [value.numpy(), predicted.grad.numpy()]

    with_every_state(compute)


@pytest.mark.parametrize("name", list(keras_activations.KNOWN))
def test_activations_of_keras(name):
    def compute():
        x = Tensor(awkward((2, 11)), requires_grad=True)
        y = keras_activations.KNOWN[name](x)
        y.sum().backward()
        return [y.numpy(), x.grad.numpy()]

    with_every_state(compute)


@pytest.mark.parametrize("metric", keras_metrics.CLASSES, ids=lambda metric: metric.__name__)
def test_metrics_of_keras(metric):
    def compute():
        made, target = metric(), np.eye(3, dtype=np.float32)
        if "Sparse" in metric.__name__:
            target = np.arange(3)
        for numbers in [awkward((3, 3)), 1 / 3 + 0 * awkward((3, 3), 5).clip(0, 1), awkward((3, 3), 5)]:
            arguments = [numbers] if metric.__name__ in ("Mean", "Sum") else [target, numbers]
            made.update_state(*arguments, sample_weight=np.array([0, 1, 1e-30], np.float32))
        return [made.result()]

    with_every_state(compute)


FLUX = ["Descent", "Momentum", "Nesterov", "RMSProp", "Adam", "AdamW"]
KERAS = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Nadam"]
RULES = [gradient_rules.WeightDecay, gradient_rules.ClipGrad, gradient_rules.ClipNorm, gradient_rules.ClipGlobalNorm]
OPTIMISERS = [
    *(getattr(optimisers, name) for name in FLUX),
    *(partial(getattr(keras_optimizers, name), weight_decay=0.1, clipnorm=1.0) for name in KERAS),
    *(lambda rule=rule: gradient_rules.OptimiserChain(rule(0.1), optimisers.Adam()) for rule in RULES),
]


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("number", range(len(OPTIMISERS)))
def test_optimisers(number, backend):
    def compute():
        optimiser, parameter = OPTIMISERS[number](), Tensor(awkward((11,)), backend, requires_grad=True)
        for start in [0, 3, 8]:
            parameter.grad = Tensor(awkward((11,), start), backend)
            optimiser.step({"weight": parameter})
        return [parameter.numpy(), *(array for memory in optimiser.state.values() for array in memory.values())]

    with_every_state(compute)


def test_tensors_and_their_moves():
    def compute():
        x = Tensor(1e300)  # float32
        wide = Tensor(np.array([1e300, 1e-300]), requires_grad=True)
        narrow = wide.to(dtype=np.float32)
        (narrow * np.inf).sum().backward()
        y = Tensor(np.zeros(2, np.float32))
        y[:] = np.array([1e300, 1e-300])
        return [x.numpy(), narrow.numpy(), wide.grad.numpy(), y.numpy()]

    with_every_state(compute)


def test_the_callers_state_stays_as_it_is():
    """Also inside functions of the caller's own."""
    seen = []

    def loss(predicted, target):
        seen.append(np.geterr()["over"])
        return mse(predicted, target)

    with np.errstate(all="raise"):
        model = minidl.Chain(minidl.Dense(2, 1))
        data = minidl.training.DataLoader((np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)), batchsize=2)
        minidl.training.fit(model, loss, data, optimisers.Momentum(), 1)
        assert np.geterr()["over"] == "raise"
    assert seen == ["raise", "raise"]
