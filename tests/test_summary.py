"""What networks cost: against numbers counted by hand, published figures, and the memory that training really holds."""

import gc
import tracemalloc

import numpy as np
import pytest

from minidl import (
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMeanPool,
    Layer,
    MaxPool,
    Parallel,
    SkipConnection,
    Tensor,
    flatten,
    identity,
    models,
    relu,
    training_mode,
)
from minidl.functions import add
from minidl.ops import memory
from minidl.summary import summarise

MIB = 2**20


def no_numbers(shape, generator):
    """Zeros, which the system hands out only when they are written: a large network for nothing."""
    return np.zeros(shape, np.float32)


def only_row(layer, input_shape, **options):
    summary = summarise(Chain(layer), input_shape, **options)
    assert len(summary.rows) == 2
    return summary.rows[1]


@pytest.mark.parametrize(
    ("layer", "input_shape", "output", "parameters", "products"),
    [
        (Conv((3, 3), (3, 8), pad=1), (6, 5, 3), (6, 5, 8), 3 * 3 * 3 * 8 + 8, 6 * 5 * 8 * 3 * 3 * 3),
        (Conv((3, 2), (4, 6), stride=2, groups=2, bias=False), (7, 8, 4), (3, 4, 6), 72, 3 * 4 * 6 * 3 * 2 * 2),
        (Conv((2, 2), (1, 2), dilation=2), (5, 5, 1), (3, 3, 2), 10, 3 * 3 * 2 * 2 * 2),
        (ConvTranspose((2, 2), (3, 5), stride=2), (4, 4, 3), (8, 8, 5), 65, 4 * 4 * 3 * 2 * 2 * 5),
        (Dense(10, 4), (10,), (4,), 44, 40),
        (BatchNorm(3, relu), (4, 4, 3), (4, 4, 3), 6, 0),
        (MaxPool((2, 2)), (4, 4, 3), (2, 2, 3), 0, 0),
        (relu, (4, 4, 3), (4, 4, 3), 0, 0),
        (flatten, (4, 4, 3), (48,), 0, 0),
        (identity, (4, 4, 3), (4, 4, 3), 0, 0),
    ],
)  # fmt: skip
def test_one_layer(layer, input_shape, output, parameters, products):
    row = only_row(layer, input_shape, batch_size=5)
    assert row.output_shape == (5, *output)
    assert (row.parameters, row.multiply_adds) == (parameters, products)
    assert row.activation_bytes == (0 if layer is identity else 5 * np.prod(output) * 4)


@pytest.mark.parametrize(("memories", "copies"), [(0, 2), (1, 3), (2, 4)])
def test_memory_of_parameters(memories, copies):
    """Parameters, their gradients, and each of the optimiser's memories; running statistics have none of these."""
    row = only_row(BatchNorm(8), (2, 2, 8), memories=memories)
    assert (row.parameters, row.statistics) == (16, 16)
    assert row.parameter_bytes == 4 * (16 * copies + 16)


def large_vgg16():
    """VGG-16 as it was published: 224 x 224 pixels, 1,000 classes."""
    layers, channels = [], 3
    for filters in [64, 64, "pool", 128, 128, "pool", *[256] * 3, "pool", *[512] * 3, "pool", *[512] * 3, "pool"]:
        if filters == "pool":
            layers.append(MaxPool((2, 2)))
        else:
            layers.append(Conv((3, 3), (channels, filters), relu, pad=1, init=no_numbers))
            channels = filters
    sizes = [(7 * 7 * 512, 4096), (4096, 4096), (4096, 1000)]
    return Chain(*layers, flatten, *[Dense(*size, init=no_numbers) for size in sizes])


@pytest.mark.parametrize(
    ("model", "size", "parameters", "billions"),
    [  # those that torchvision lists for its own
        (large_vgg16, 224, 138_357_544, 15.47),
        (lambda: models.resnet18(1000, imagenet_stem=True), 224, 11_689_512, 1.81),
        (lambda: models.resnet34(1000, imagenet_stem=True), 224, 21_797_672, 3.66),
    ],
    ids=["VGG-16", "ResNet-18", "ResNet-34"],
)
def test_published_figures(model, size, parameters, billions):
    total = summarise(model(), (size, size, 3)).total
    assert total.parameters == parameters
    assert total.multiply_adds == pytest.approx(billions * 1e9, abs=0.005e9)


def test_containers_show_the_sum_of_what_is_inside():
    body, shortcut = Chain(Conv((3, 3), (2, 4), pad=1), BatchNorm(4)), Conv((1, 1), (2, 4), bias=False)
    model = Chain(Parallel(add, body, shortcut), SkipConnection(relu, add), GlobalMeanPool(), flatten, Dense(4, 3))
    summary = summarise(model, (8, 8, 2), batch_size=10)
    assert [(row.depth, row.name) for row in summary.rows] == [
        (0, "Chain"), (1, "Parallel"), (2, "Chain"), (3, "Conv((3, 3), (2, 4), pad=1)"), (3, "BatchNorm(4)"),
        (2, "Conv((1, 1), (2, 4), bias=False)"), (2, "add"), (1, "SkipConnection"), (2, "relu"), (2, "add"),
        (1, "GlobalMeanPool()"), (1, "flatten"), (1, "Dense(4, 3)"),
    ]  # fmt: skip
    chain, parallel, inner = summary.rows[:3]
    assert (inner.parameters, inner.multiply_adds) == (76 + 8, 64 * 72)
    assert (parallel.parameters, parallel.multiply_adds) == (76 + 8 + 8, 64 * (72 + 8))
    assert (chain.parameters, chain.multiply_adds) == (76 + 8 + 8 + 15, 64 * (72 + 8) + 12)
    assert parallel.activation_bytes == 4 * 10 * 8 * 8 * 4 * 4  # four rows of 10 x 8 x 8 x 4 floats
    assert parallel.output_shape == (10, 8, 8, 4)
    assert chain.output_shape == (10, 3)
    assert chain.parameters == sum(x.size for x in model.params().values())


def test_a_layer_that_is_used_twice_owns_its_parameters_once():
    shared = Dense(4, 4)
    summary = summarise(Chain(shared, relu, shared), (4,))
    assert [row.parameters for row in summary.rows] == [20, 20, 0, 0]
    assert summary.total.multiply_adds == 32  # but computes each time


def test_what_is_frozen_is_not_trained():
    layer = Dense(4, 4)
    layer.weight.requires_grad = False
    row = only_row(layer, (4,))
    assert (row.parameters, row.statistics, row.parameter_bytes) == (4, 16, 4 * (3 * 4 + 16))


class Bilinear(Layer):
    """x W x: a layer of somebody else's."""

    def __init__(self):
        self.weight = Tensor(np.ones((3, 3), np.float32), requires_grad=True)

    def __call__(self, x):
        return (x @ self.weight) * x


def test_products_of_an_unknown_layer_are_not_guessed():
    summary = summarise(Chain(Dense(3, 3), Bilinear()), (3,))
    assert [row.multiply_adds for row in summary.rows] == [None, 9, None]
    assert summary.total.parameters == 12 + 9


def test_looking_changes_nothing():
    model = Chain(Conv((3, 3), (3, 4)), BatchNorm(4), Dropout(0.5))
    before = {name: (x.array, x.array.copy()) for name, x in model.tensors().items()}
    summarise(model, (6, 6, 3))
    for name, x in model.tensors().items():
        assert x.array is before[name][0]
        np.testing.assert_array_equal(x.array, before[name][1])


def test_an_input_that_does_not_fit_names_the_layer():
    with pytest.raises(ValueError, match="expected images") as error:
        summarise(Chain(SkipConnection(relu, add), Conv((3, 3), (3, 4))), (6, 6, 2))
    assert "in Conv((3, 3), (3, 4)), given (2, 6, 6, 2)" in error.value.__notes__


@pytest.mark.parametrize(("shape", "batch_size"), [((), 1), ((0, 4, 3), 1), ((4, 4, 3), 0)])
def test_shapes_that_make_no_sense(shape, batch_size):
    with pytest.raises(ValueError, match="expected a batch size and an input shape of numbers from 1"):
        summarise(Chain(relu), shape, batch_size)


NETWORKS = {
    "normalised": lambda: Chain(*models.small_cnn()),
    "residual": lambda: Chain(*models.resnet18()[:6]),
    "convolution and pool at one go": lambda: models.vgg11(batchnorm=False)[:6],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_are_what_training_holds(name):
    """Measured: what is there after the forward pass and was not before it. Pools remember a little beside."""
    model, x = NETWORKS[name](), np.random.default_rng(0).random((16, 32, 32, 3), dtype=np.float32)
    with training_mode():
        model(x[:2])  # kernels are compiled now
    gc.collect()
    memory.release()  # no memory of before can be used again
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    with training_mode():
        y = model(x)
    memory.release()  # only arrays that somebody still needs
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert y.shape[0] == 16
    expected = summarise(model, batch_size=16).total.activation_bytes
    assert expected <= held + 0.1 * MIB
    assert held <= 1.2 * expected
