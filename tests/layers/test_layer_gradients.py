"""The gradients of every layer, first and second order, along random directions; one row for each.

On backend "reference", which is the faster one for so few numbers; the other backends are compared with it elsewhere.
"""

import numpy as np
import pytest

import minidl
from minidl import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMaxPool,
    GlobalMeanPool,
    GroupNorm,
    LayerNorm,
    MaxPool,
    MeanPool,
    Parallel,
    SkipConnection,
    Upsample,
    check_gradients,
    flatten,
    gelu,
    layers,
    leakyrelu,
    relu,
    softmax,
    tanh,
    training_mode,
    use_backend,
)
from minidl.functions import add, multiply

IMAGES, ROWS = (2, 4, 4, 2), (3, 4)

LAYERS = [
    (Conv, lambda: Conv((3, 3), (2, 3), tanh, pad=1, stride=2), IMAGES),
    (Conv, lambda: Conv((2, 2), (2, 2), leakyrelu, groups=2, dilation=2, bias=False), IMAGES),
    (Dense, lambda: Dense(4, 3, gelu), ROWS),
    (Dense, lambda: Dense(4, 3, softmax, bias=False), ROWS),
    (MaxPool, lambda: MaxPool(3, stride=1, pad=1), IMAGES),
    (MeanPool, lambda: MeanPool((2, 2)), IMAGES),
    (GlobalMeanPool, GlobalMeanPool, IMAGES),
    (GlobalMaxPool, GlobalMaxPool, IMAGES),
    (AdaptiveMaxPool, lambda: AdaptiveMaxPool((3, 2)), IMAGES),
    (AdaptiveMeanPool, lambda: AdaptiveMeanPool((3, 2)), IMAGES),
    (ConvTranspose, lambda: ConvTranspose((3, 2), (2, 4), tanh, stride=2, pad=1, groups=2), IMAGES),
    (GroupNorm, lambda: GroupNorm(2, 1, tanh), IMAGES),
    (LayerNorm, lambda: LayerNorm((4, 2)), IMAGES),
    (Upsample, lambda: Upsample(2), IMAGES),
    (Upsample, lambda: Upsample(2, "bilinear"), IMAGES),
    (Parallel, lambda: Parallel(multiply, Dense(4, 2), Dense(4, 2, tanh)), ROWS),
    (BatchNorm, lambda: BatchNorm(2, tanh), IMAGES),
    (BatchNorm, lambda: BatchNorm(2, relu), IMAGES),
    (Dropout, lambda: Dropout(0.4), ROWS),
    (SkipConnection, lambda: SkipConnection(Dense(4, 4, tanh), add), ROWS),
    (Chain, lambda: Chain(Conv((2, 2), (2, 2), tanh), flatten, Dense(18, 2)), IMAGES),
]
NAMES = [f"{kind.__name__}-{number}" for number, (kind, _, _) in enumerate(LAYERS)]


@pytest.fixture(autouse=True)
def _small_and_repeatable():
    minidl.seed(0)
    with use_backend("reference"):
        yield


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("kind", "make", "shape"), LAYERS, ids=NAMES)
def test_gradients(kind, make, shape, order, training):
    layer, x = make(), np.random.default_rng(1).standard_normal(shape)

    def in_training(x):
        with training_mode(step=1):
            return layer(x)

    if training:
        check_gradients(in_training, [x], order=order, directions=5, parameters=layer.tensors())
    else:
        check_gradients(layer, [x], order=order, directions=5)


def test_every_layer_has_a_row():
    named = {getattr(layers, name) for name in layers.__all__}
    kinds = {kind for kind in named if isinstance(kind, type) and issubclass(kind, layers.Layer)} - {layers.Layer}
    assert kinds == {kind for kind, _, _ in LAYERS}


@pytest.mark.parametrize("order", [1, 2])
def test_a_whole_network(order):
    block = Chain(Conv((3, 3), (4, 4), pad=1), BatchNorm(4, relu))
    network = Chain(
        Conv((3, 3), (3, 4), pad=1), BatchNorm(4, relu), SkipConnection(block, add), MaxPool((2, 2)), flatten,
        Dense(64, 8, relu), Dropout(0.5), Dense(8, 5),
    )  # fmt: skip

    def in_training(x):
        with training_mode(step=1):
            return network(x)

    x = np.random.default_rng(0).random((3, 8, 8, 3))
    check_gradients(in_training, [x], order=order, directions=5, parameters=network.tensors())
