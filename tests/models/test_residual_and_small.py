"""The residual and the small networks: parameter counts, layers, output shapes, gradients, and one that learns."""

import numpy as np
import pytest

import minidl
from minidl import BatchNorm, Chain, Conv, MaxPool, Parallel, SkipConnection, models, relu, training_mode
from minidl.data import DataLoader, Digits, onehotbatch, to_float
from minidl.functions import add
from minidl.losses import logitcrossentropy
from minidl.optimisers import Momentum
from minidl.training import evaluate, fit

PARAMETERS = [  # counted by hand or, for the residual networks at 1,000 classes, those of torchvision
    (models.small_cnn, {}, 113_962),
    (models.lenet, {}, 62_006),
    (models.mlp, {}, 1_707_274),
    (models.resnet18, {}, 11_173_962),
    (models.resnet34, {}, 21_282_122),
    (models.resnet18, {"classes": 1000, "imagenet_stem": True}, 11_689_512),
    (models.resnet34, {"classes": 1000, "imagenet_stem": True}, 21_797_672),
]
SMALL_IMAGES = [models.small_cnn, models.lenet, models.mlp, models.resnet18]


def images(n, size=32):
    return np.random.default_rng(0).random((n, size, size, 3), dtype=np.float32)


@pytest.mark.parametrize(("make", "options", "count"), PARAMETERS)
def test_number_of_parameters(make, options, count):
    assert sum(x.size for x in make(**options).params().values()) == count


@pytest.mark.parametrize("make", SMALL_IMAGES)
def test_scores_and_a_gradient_in_every_parameter(make):
    minidl.seed(0)
    model = make(classes=7)
    with training_mode():
        scores = model(images(4))
        logitcrossentropy(scores, np.eye(7, dtype=np.float32)[:4]).backward()
    assert scores.shape == model.outputsize((4, 32, 32, 3)) == (4, 7)
    assert [name for name, x in model.params().items() if not np.abs(x.grad.numpy()).max() > 0] == []


@pytest.mark.parametrize(("make", "blocks"), [(models.resnet18, [2, 2, 2, 2]), (models.resnet34, [3, 4, 6, 3])])
def test_residual_blocks_follow_the_table(make, blocks):
    layers = list(make())
    assert [layer.code() for layer in layers[:2]] == [
        "Conv((3, 3), (3, 64), pad=1, bias=False)",
        "BatchNorm(64, relu)",
    ]
    middle = layers[2:-3]
    assert all(layer is relu for layer in middle[1::2])
    expected = []
    for stage, count in enumerate(blocks):
        expected += [SkipConnection if stage == 0 else Parallel, *[SkipConnection] * (count - 1)]
    assert [type(block) for block in middle[::2]] == expected
    for block in middle[::2]:
        body = block.layer if isinstance(block, SkipConnection) else block.layers[0]
        assert [type(layer) for layer in body] == [Conv, BatchNorm, Conv, BatchNorm]
        assert block.connection is add
    first_of_stage_2 = middle[2 * blocks[0]]
    assert [layer.code() for layer in first_of_stage_2.layers[0]] == [
        "Conv((3, 3), (64, 128), stride=2, pad=1, bias=False)", "BatchNorm(128, relu)",
        "Conv((3, 3), (128, 128), pad=1, bias=False)", "BatchNorm(128)",
    ]  # fmt: skip
    assert [layer.code() for layer in first_of_stage_2.layers[1]] == [
        "Conv((1, 1), (64, 128), stride=2, bias=False)", "BatchNorm(128)",
    ]  # fmt: skip


def test_the_stem_for_large_images():
    model = models.resnet18(5, imagenet_stem=True)
    assert isinstance(model[2], MaxPool)
    assert model[:3].outputsize((1, 224, 224, 3)) == (1, 56, 56, 64)
    assert model.outputsize((1, 64, 64, 3)) == (1, 5)


@pytest.mark.parametrize("make", [models.resnet18, models.small_cnn, models.lenet, models.mlp])
def test_weights_are_of_he_s_size(make):
    """Variance 2 / fan_in, which keeps the signal alive behind relu."""
    minidl.seed(0)
    checked = 0
    for name, x in make().params().items():
        if name.endswith("weight") and x.size > 5000:
            fan_in = x.size // x.shape[-1]
            assert x.numpy().var() == pytest.approx(2 / fan_in, rel=0.1), name
            checked += 1
    assert checked


def test_an_addition_skips_the_body_of_a_block():
    """With weights of zero a block is the identity for what is not negative: the signal goes round it."""
    block = models.resnet18()[2:4]
    for x in block.params().values():
        x.array = np.zeros_like(x.array)
    x = np.random.default_rng(0).random((1, 4, 4, 64), dtype=np.float32)
    np.testing.assert_array_equal(block(x).numpy(), x)


def trained_on_digits(model: Chain, epochs: int) -> float:
    """Accuracy on the test digits."""
    data = DataLoader(
        (Digits("train").images, onehotbatch(Digits("train").labels, range(10))), 64, shuffle=True, seed=0,
        augment=[to_float],
    )  # fmt: skip
    test = Digits("test")
    fit(model, logitcrossentropy, data, Momentum(0.02, 0.9), epochs)
    batches = DataLoader((test.images, onehotbatch(test.labels, range(10))), 120, augment=[to_float])
    return evaluate(model, logitcrossentropy, batches)["accuracy"]


@pytest.mark.parametrize(("make", "epochs", "least"), [(models.small_cnn, 1, 0.8), (models.mlp, 2, 0.85)])
def test_small_networks_learn_digits_in_seconds(make, epochs, least):
    minidl.seed(0)
    assert trained_on_digits(make(), epochs) >= least
