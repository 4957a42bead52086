"""The VGG networks: their layers, parameter counts and output shapes, and gradients that reach every parameter."""

from itertools import pairwise

import numpy as np
import pytest

import minidl
from minidl import BatchNorm, Conv, models, softmax, training_mode
from minidl.losses import crossentropy, logitcrossentropy

PLAIN = {"vgg11": 28_144_010, "vgg13": 28_328_522, "vgg16": 33_638_218, "vgg19": 38_947_914}
FILTERS = {  # of the convolutions, block by block
    "vgg11": [[64], [128], [256] * 2, [512] * 2, [512] * 2],
    "vgg13": [[64] * 2, [128] * 2, [256] * 2, [512] * 2, [512] * 2],
    "vgg16": [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3],
    "vgg19": [[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4],
}
CLASSIFIER = ["flatten", "Dense(512, 4096, relu)", "Dense(4096, 4096, relu)", "Dense(4096, 10)"]
DROPOUTS = [CLASSIFIER[0], CLASSIFIER[1], "Dropout(0.5)", CLASSIFIER[2], "Dropout(0.5)", CLASSIFIER[3]]


def convolutions(name, options, batchnorm):
    """The code of each layer up to the last pool."""
    layers, channels = [], 3
    for block in FILTERS[name]:
        for filters in block:
            activation = "" if batchnorm else "relu, "
            layers.append(f"Conv((3, 3), ({channels}, {filters}), {activation}{options})")
            layers += [f"BatchNorm({filters}, relu)"] if batchnorm else []
            channels = filters
        layers.append("MaxPool((2, 2))")
    return layers


def normalisation_parameters(name):
    return sum(2 * filters for block in FILTERS[name] for filters in block)


ARTICLE = convolutions("vgg16", "stride=(1, 1), pad=(1, 1)", batchnorm=False)
MODELS = {  # name: (function, code of its layers, number of parameters)
    "article_flux": (models.article_flux, [*ARTICLE, "BatchNorm(512)", *DROPOUTS, "softmax"], PLAIN["vgg16"] + 2 * 512),
    "article_keras": (models.article_keras, [*ARTICLE, *CLASSIFIER, "softmax"], PLAIN["vgg16"]),
}
for size, plain in PLAIN.items():
    make = getattr(models, size)
    parts = [convolutions(size, "pad=1", batchnorm) + DROPOUTS for batchnorm in (True, False)]
    MODELS[size] = (make, parts[0], plain + normalisation_parameters(size))
    MODELS[f"{size}-plain"] = (lambda make=make: make(batchnorm=False), parts[1], plain)


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    """Built once for all tests below: the largest take 150 MB."""
    minidl.seed(0)
    return MODELS[name][0]()


def images(n):
    return np.random.default_rng(0).random((n, 32, 32, 3), np.float32)


def test_layers(name, model):
    assert [layer.code() if hasattr(layer, "code") else layer.__name__ for layer in model] == MODELS[name][1]


def test_number_of_parameters(name, model):
    assert sum(x.size for x in model.params().values()) == MODELS[name][2]


def test_output_is_a_row_of_ten_numbers_for_each_image(model):
    y = model(images(2)).numpy()
    assert y.shape == (2, 10)
    assert np.isfinite(y).all()
    if model[-1] is softmax:
        np.testing.assert_allclose(y.sum(1), 1, rtol=1e-5)


def test_a_gradient_reaches_every_parameter(model):
    """All but one kind: a bias in front of a BatchNorm, which subtracts it again together with the mean."""
    loss = crossentropy if model[-1] is softmax else logitcrossentropy
    with training_mode():
        loss(model(images(4)), np.eye(10, dtype=np.float32)[:4]).backward()
    without_effect = biases_before_batch_norm(model)
    sizes = {name: float(np.abs(x.grad.numpy()).max()) for name, x in model.params().items()}
    for x in model.params().values():
        x.grad = None
    assert [name for name, size in sizes.items() if size == 0 and name not in without_effect] == []
    for name in without_effect:
        assert sizes[name] < 1e-3 * sizes[name.replace("bias", "weight")]


def biases_before_batch_norm(model):
    return [
        f"layers.{i}.bias"
        for i, (layer, behind) in enumerate(pairwise(model))
        if isinstance(layer, Conv) and isinstance(behind, BatchNorm)
    ]


def test_number_of_classes():
    assert models.vgg11(classes=3)(images(1)).shape == (1, 3)


@pytest.mark.parametrize("batchnorm", [True, False])
def test_weights_start_small_with_normalisation_and_he_sized_without(batchnorm):
    minidl.seed(0)
    convolution = models.vgg11(batchnorm=batchnorm)[4 if not batchnorm else 6]
    kh, kw, channels, filters = convolution.weight.shape
    fans = kh * kw * channels, kh * kw * filters
    expected = 2 / sum(fans) if batchnorm else 2 / fans[0]
    assert convolution.weight.numpy().var() == pytest.approx(expected, rel=0.02)
