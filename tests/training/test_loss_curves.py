"""The fast kernels train as the readable ones do, step by step."""

import numpy as np
import pytest

from minidl import BatchNorm, Chain, Conv, Dense, MaxPool, flatten, relu, seed, use_backend
from minidl.data import DataLoader, Digits, onehotbatch
from minidl.losses import logitcrossentropy
from minidl.optimisers import Momentum
from minidl.training import epochs, train

STEPS = 300


def small_vgg(batchnorm):
    """Images of 32 x 32, 8 x 8 after the first pool, so that tiles of 4, of 2 and patches all take part."""
    activation = [BatchNorm(16, relu)] if batchnorm else [relu]
    return Chain(
        MaxPool((4, 4)),
        Conv((3, 3), (3, 8), relu, pad=1),
        Conv((3, 3), (8, 16), pad=1),
        *activation,
        MaxPool((2, 2)),
        Conv((3, 3), (16, 16), relu, pad=1),
        MaxPool((2, 2)),
        Conv((3, 3), (16, 16), relu, pad=1),
        flatten,
        Dense(64, 10),
    )


def losses(backend, batchnorm):
    images, labels = Digits("train").arrays()
    data = DataLoader((images[:480], onehotbatch(labels[:480], range(10))), batchsize=16, shuffle=True)
    with use_backend(backend):
        seed(0)
        model, values = small_vgg(batchnorm), []

        def loss(x, y):
            value = logitcrossentropy(model(x), y)
            values.append(value.item())
            return value

        optimiser = Momentum(0.004, 0.9)
        for _ in epochs(STEPS // len(data)):
            train(loss, model.params(), data, optimiser)
    return np.array(values)


@pytest.mark.parametrize("batchnorm", [False, True], ids=["plain", "batch norm"])
def test_300_steps_follow_the_loss_curve_of_the_reference(batchnorm):
    fast, slow = losses("cpu", batchnorm), losses("reference", batchnorm)
    assert len(fast) == STEPS
    assert slow[-30:].mean() < 0.6 * slow[:30].mean()  # it does learn
    np.testing.assert_allclose(fast[:30], slow[:30], rtol=1e-3)  # before rounding errors have grown
    smooth = np.ones(30) / 30
    np.testing.assert_allclose(np.convolve(fast, smooth, "valid"), np.convolve(slow, smooth, "valid"), atol=0.03)
