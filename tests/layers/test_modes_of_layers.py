"""Layers that are frozen, and layers whose mode is set by hand."""

import numpy as np
import pytest

from minidl import (
    BatchNorm,
    Chain,
    Conv,
    Dense,
    Dropout,
    SkipConnection,
    Tensor,
    flatten,
    freeze,
    no_grad,
    relu,
    testmode,
    thaw,
    training_mode,
    trainmode,
)
from minidl.functions import add
from minidl.optimisers import Descent


def network():
    return Chain(
        Conv((3, 3), (1, 2), pad=1), BatchNorm(2, relu), SkipConnection(Chain(BatchNorm(2)), add), flatten, Dense(8, 3)
    )


def images():
    return np.random.default_rng(0).random((4, 2, 2, 1), np.float32)


def test_frozen_layers_are_not_trained_until_they_are_thawed():
    model = network()
    every = list(model.params())
    assert freeze(model[0]) is model[0]
    assert list(model.params()) == every[2:]
    before = model[0].weight.numpy().copy()
    for frozen in [True, False]:
        with training_mode():
            (model(images()) ** 2).sum().backward()
        Descent().step(model.params())
        assert (model[0].weight.numpy() == before).all() == frozen
        thaw(model)
    assert list(model.params()) == every
    assert not any(
        model.tensors()[name].requires_grad for name in ["layers.1.mean", "layers.2.layer.layers.0.variance"]
    )


def test_freezing_drops_gradients():
    layer = Dense(1, 1)
    layer(np.ones((1, 1), np.float32)).sum().backward()
    freeze(layer)
    assert layer.weight.grad is None


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("set_mode", "as_in_training"), [(testmode, False), (trainmode, True)])
def test_a_mode_set_by_hand_is_stronger_than_the_one_around(set_mode, as_in_training, training):
    model = network()
    assert set_mode(model) is model
    with no_grad():  # where convolution and batch norm are computed at one go, if batch norm is that of evaluation
        y = _output(model, training).numpy()
    expected = _output(network_like(model), as_in_training).numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    set_mode(model, None)
    assert [layer.active for layer in model.layers_inside() if isinstance(layer, BatchNorm)] == [None, None]


def _output(model, training):
    if training:
        with training_mode():
            return model(images())
    return model(images())


def network_like(model):
    """A new one with the same numbers, whose statistics have followed nothing yet."""
    again = network()
    again.load({name: x.numpy() for name, x in model.tensors().items()} | _statistics(network()))
    return again


def _statistics(model):
    return {name: x.numpy() for name, x in model.tensors().items() if not x.requires_grad}


def test_the_inverse_modes():
    layer = Dropout(0.5)
    for change, active in [(testmode, False), (trainmode, True)]:
        assert change(layer).active is active
        assert change(layer, False).active is not active
        assert change(layer, None).active is None


def test_dropout_by_hand():
    x = Tensor(np.ones(1000))
    with training_mode():
        assert testmode(Dropout(0.5))(x) is x
    dropped = trainmode(Dropout(0.5))
    masks = [dropped(x).numpy() == 0 for _ in range(2)]
    assert all(400 < mask.sum() < 600 for mask in masks)
    assert (masks[0] != masks[1]).any()  # each call has a mask of its own
