"""minidl.models and minidl.keras.networks: each network through both doors, with the same weights."""

import numpy as np
import pytest

from minidl import models
from minidl.keras import networks

NAMES = ["vgg16", "vgg19", "resnet18", "resnet34", "small_cnn", "lenet", "mlp"]


@pytest.mark.parametrize("name", NAMES)
def test_both_doors_build_the_same_network(name):
    chain, model = getattr(models, name)(), getattr(networks, name)()
    tensors = list(chain.tensors().values())
    if name.startswith("vgg"):
        for x in tensors:
            x.array *= 3 if x.ndim > 1 else 1  # so that scores of an untrained network are not all alike
    model.set_weights([x.numpy() for x in tensors])
    assert model.count_params() == sum(x.size for x in tensors)
    assert len(model.trainable_weights) == len(chain.params())
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    expected = chain(images).numpy()
    np.testing.assert_allclose(model(images).numpy(), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert model.output_shape == (None, 10)
    assert model.name == name
