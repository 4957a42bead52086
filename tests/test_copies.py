"""copy.copy, copy.deepcopy and pickle: what comes back computes the same, has no history, and shares nothing."""

import copy
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

import minidl
from minidl import (
    Chain,
    Conv,
    Dense,
    Dropout,
    Layer,
    Tensor,
    flatten,
    functions,
    grad,
    losses,
    optimisers,
    relu,
    schedules,
    training_mode,
)
from minidl import gradient_rules as rules
from minidl import layers as L
from minidl.backend import default_backend, get_backend
from minidl.data import CIFAR10, Cutout, DataLoader, Digits, RandomCrop, RandomFlip, to_float
from minidl.models import vgg11

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}
copied = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
IMAGES = np.random.default_rng(0).random((4, 8, 8, 4), np.float32)
LAYERS = [
    L.AdaptiveMaxPool((2, 2)), L.AdaptiveMeanPool((2, 2)), L.BatchNorm(4, relu), Chain(relu),
    Conv((3, 3), (4, 6), relu),
    L.ConvTranspose((3, 3), (4, 6)), Dense(4, 3, minidl.tanh), Dropout(0.5), L.GlobalMaxPool(), L.GlobalMeanPool(),
    L.GroupNorm(4, 2), L.LayerNorm(4), L.MaxPool((2, 2)), L.MeanPool((2, 2)),
    L.Parallel(functions.add, Conv((1, 1), (4, 2)), Conv((1, 1), (4, 2))),
    L.SkipConnection(Conv((3, 3), (4, 4), pad=L.SamePad()), functions.add), L.Upsample(2),
]  # fmt: skip
SCHEDULES = [
    schedules.constant(0.1), schedules.cosine(0.1, 20, 3), schedules.one_cycle(0.1, 20),
    schedules.exponential(0.1, every=3),
    schedules.inverse(0.1), schedules.piecewise({0: 0.1, 5: 0.01}), schedules.warmed_up(schedules.cosine(0.1, 20), 4),
]  # fmt: skip
OPTIMISERS = [
    *[
        kind()
        for kind in vars(optimisers).values()
        if inspect.isclass(kind) and issubclass(kind, optimisers.Optimiser) and kind is not optimisers.Optimiser
    ],
    rules.OptimiserChain(rules.ClipNorm(1.0), rules.WeightDecay(1e-3), optimisers.Adam()),
]


def public(module, kind):
    return {
        name for name in module.__all__ if inspect.isclass(thing := getattr(module, name)) and issubclass(thing, kind)
    }


def small_network():
    minidl.seed(0)
    return Chain(Conv((3, 3), (4, 6), pad=1), L.BatchNorm(6, relu), flatten, Dropout(0.5), Dense(6 * 64, 5))


def train_a_step(model, optimiser, step=0):
    with training_mode(step):
        loss = losses.logitcrossentropy(model(IMAGES), np.eye(5, dtype=np.float32)[:4])
    loss.backward()
    optimiser.step(model.params())


def bits(model):
    return {name: x.numpy().tobytes() for name, x in model.tensors().items()}


@pytest.mark.parametrize("copied", [copy.copy, *COPIES.values()], ids=["copy", *COPIES])
@pytest.mark.parametrize("backend", ["reference", "cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_a_copy_of_a_tensor_has_all_but_its_history(copied, backend):
    x = Tensor(np.array([1.0, 2.0]), backend, requires_grad=True)
    (x * x).sum().backward()
    x.array = np.array([3.0, 4.0]) if backend != "gpu" else x.backend.asarray(np.array([3.0, 4.0]))
    y = copied(x)
    assert (y.numpy().tolist(), y.dtype, y.backend is x.backend, y.requires_grad) == ([3, 4], "float64", True, True)
    assert (y.version, y.grad.numpy().tolist(), y.grad is x.grad) == (0, [2, 4], False)
    y.array = y.array * 0
    assert x.numpy().tolist() == [3, 4]

    plain = copied(x * 2)
    assert (plain.numpy().tolist(), plain.requires_grad, plain.grad) == ([6, 8], False, None)
    assert minidl.tensor.op_name(plain) is None
    assert minidl.tensor.inputs_of(plain) == ()


@copied
def test_a_copied_backend_is_the_same_backend(copied):
    assert copied(default_backend()) is get_backend("cpu")


def test_the_tables_have_every_layer():
    assert {type(layer).__name__ for layer in LAYERS} == public(L, Layer) - {"Layer"}


@copied
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_copied_layer_computes_the_same_and_is_one_of_its_own(copied, layer):
    other = copied(layer)
    assert repr(other) == repr(layer)
    results = []
    for one in [layer, other]:
        with training_mode(3):
            x = Tensor(IMAGES if type(one) is not Dense else IMAGES[0, 0], requires_grad=True)
            y = one(x)
        results.append([y.numpy().tobytes(), grad((y * y).sum(), x)[0].numpy().tobytes(), bits(one)])
    assert results[0] == results[1]
    assert not {id(x) for x in layer.tensors().values()} & {id(x) for x in other.tensors().values()}


@copied
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda optimiser: type(optimiser).__name__)
def test_a_copy_goes_on_with_the_same_steps_and_leaves_the_original_alone(copied, optimiser):
    model, optimiser = small_network(), copied(optimiser)
    train_a_step(model, optimiser)
    before = bits(model)
    other, other_optimiser = copied((model, optimiser))
    train_a_step(other, other_optimiser, 1)
    assert bits(model) == before
    train_a_step(model, optimiser, 1)
    assert bits(other) == bits(model) != before


@copied
def test_what_is_shared_stays_shared_within_the_copy(copied):
    layer, tied = Dense(4, 4), Dense(4, 4)
    tied.weight = layer.weight
    other = copied(Chain(layer, relu, layer, tied))
    assert other[0] is other[2]
    assert other[1] is relu
    assert other[3].weight is other[0].weight is not layer.weight
    assert {layer.weight: 1}[layer.weight] == 1


def test_weights_are_averaged_over_copies_while_a_network_trains():
    model, optimiser = small_network(), optimisers.Momentum(0.1)
    averaged, sums = copy.deepcopy(model), dict.fromkeys(model.params(), 0)
    for step in range(3):
        train_a_step(model, optimiser, step)
        sums = {name: sums[name] + x.numpy() for name, x in model.params().items()}
        for name, x in averaged.params().items():
            x.array = x.numpy() * (step / (step + 1)) + model.params()[name].numpy() / np.float32(step + 1)
    for name, x in averaged.params().items():
        np.testing.assert_allclose(x.numpy(), sums[name] / 3, rtol=1e-4, atol=1e-6)
        assert x.version == 3


@copied
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_copied_schedules_give_the_same_rates(copied, schedule):
    assert [copied(schedule)(step) for step in range(25)] == [schedule(step) for step in range(25)]


@copied
def test_a_copied_loader_gives_the_same_batches(copied):
    images = (IMAGES * 255).astype(np.uint8)
    steps = [RandomCrop(1), RandomFlip(), Cutout(2), to_float]
    loader = DataLoader((images, np.arange(4)), 3, shuffle=True, augment=steps)
    list(loader)
    for (x, y), (other_x, other_y) in zip(loader, copied(loader), strict=True):
        assert (x.tobytes(), y.tolist()) == (other_x.tobytes(), other_y.tolist())


@copied
def test_copied_data_sets_are_the_same(copied):
    digits = Digits("test")
    assert repr(copied(digits)) == repr(digits)
    assert copied(digits).images.tobytes() == digits.images.tobytes()
    assert copied(CIFAR10) is CIFAR10


@copied
@pytest.mark.parametrize(
    "module", [functions, losses, minidl.metrics, L.initialisers], ids=lambda module: module.__name__
)
def test_functions_go_by_their_names(copied, module):
    for function in vars(module).values():
        if inspect.isfunction(function) and not function.__name__.startswith("_"):
            assert copied(function) is function


@copied
def test_a_network_of_the_book_can_be_copied(copied):
    model = vgg11(10)
    assert bits(copied(model)) == bits(model)


SPAWNED = """
import multiprocessing
import numpy as np
import minidl

def predict(model):
    return model(np.ones((2, 3), np.float32)).numpy().tobytes()

if __name__ == "__main__":
    model = minidl.Chain(minidl.Dense(3, 4, minidl.relu), minidl.Dense(4, 2, minidl.tanh))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(predict, [model] * 3) == [predict(model)] * 3
"""


def test_a_network_can_be_sent_to_another_process(tmp_path):
    (tmp_path / "spawned.py").write_text(SPAWNED)
    subprocess.run([sys.executable, "spawned.py"], cwd=tmp_path, check=True, timeout=120)
