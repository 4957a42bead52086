"""Dropout: off in evaluation; in training a mask that only seed, step and place decide."""

import numpy as np
import pytest

import minidl
from minidl import Chain, Dropout, Tensor, training_mode

ONES = np.ones((200, 50), np.float32)


@pytest.fixture(autouse=True)
def _same_seed():
    minidl.seed(0)


def dropped(layer, step=0, x=ONES):
    with training_mode(step):
        return layer(x).numpy()


def test_evaluation_leaves_the_input_alone():
    x = Tensor(ONES)
    assert Dropout(0.5)(x) is x


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_training_drops_that_share_and_scales_the_rest(rate):
    y = dropped(Dropout(rate))
    kept = y[y != 0]
    np.testing.assert_allclose(kept, 1 / (1 - rate), rtol=1e-6)
    assert (y == 0).mean() == pytest.approx(rate, abs=0.015)  # 10,000 numbers: three standard deviations
    for axis in (0, 1):  # no row and no column is singled out
        assert (y == 0).mean(axis).std() == pytest.approx((rate * (1 - rate) / ONES.shape[axis]) ** 0.5, rel=0.35)


def test_a_step_repeats_its_mask_and_another_step_has_another():
    layer = Dropout(0.5)
    np.testing.assert_array_equal(dropped(layer, 3), dropped(layer, 3))
    assert not np.array_equal(dropped(layer, 3), dropped(layer, 4))


def test_two_layers_in_one_step_have_two_masks():
    y = dropped(Chain(Dropout(0.5), Dropout(0.5)))
    assert (y == 0).mean() == pytest.approx(0.75, abs=0.02)


def test_the_seed_decides_the_mask():
    before = dropped(Dropout(0.5))
    minidl.seed(1)
    assert not np.array_equal(dropped(Dropout(0.5)), before)


def test_masks_are_equal_on_all_backends():
    np.testing.assert_array_equal(dropped(Dropout(0.3)), dropped(Dropout(0.3), x=Tensor(ONES, "reference")))


def test_the_gradient_passes_where_the_signal_did():
    x = Tensor(ONES, requires_grad=True)
    with training_mode():
        y = Dropout(0.5)(x)
    y.sum().backward()  # outside training mode: the mask is that of the forward pass all the same
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


@pytest.mark.parametrize("rate", [-0.1, 1.1, 1.5, float("nan")])
def test_impossible_rates(rate):
    with pytest.raises(ValueError, match="Dropout: expected a rate from 0 to 1"):
        Dropout(rate)
