"""Initial weights: their fans, bounds and variances, and which layers use them how."""

import numpy as np
import pytest

import minidl
from minidl import Conv, Dense
from minidl.layers import glorot_normal, glorot_uniform, he_normal, he_uniform
from minidl.layers.initialisers import fans


@pytest.mark.parametrize(
    ("shape", "expected"), [((7, 5), (7, 5)), ((3, 3, 16, 32), (144, 288)), ((1, 5, 2, 3), (10, 15))]
)
def test_fans_count_the_taps_of_the_window(shape, expected):
    assert fans(shape) == expected


@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 40, 80)])
@pytest.mark.parametrize(
    ("init", "variance_of"),
    [
        (glorot_uniform, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        (glorot_normal, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        (he_uniform, lambda fan_in, fan_out: 2 / fan_in),
        (he_normal, lambda fan_in, fan_out: 2 / fan_in),
    ],
    ids=lambda value: value.__name__,
)
def test_variance(init, variance_of, shape):
    weights = init(shape, np.random.default_rng(0))
    variance = variance_of(*fans(shape))
    assert weights.shape == shape
    assert weights.dtype == np.float32
    assert weights.var() == pytest.approx(variance, rel=0.03)
    assert abs(weights.mean()) < 0.02 * variance**0.5
    if init.__name__.endswith("uniform"):  # variance limit ** 2 / 3
        limit = (3 * variance) ** 0.5
        assert 0.999 * limit < abs(weights).max() <= limit * (1 + 1e-6)
    else:
        assert abs(weights).max() > 3 * variance**0.5


def test_layers_draw_glorot_uniform_weights_and_start_with_zero_bias():
    minidl.seed(3)
    dense, conv = Dense(4, 5), Conv((3, 3), (4, 6), groups=2)
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(dense.weight.numpy(), glorot_uniform((4, 5), generator))
    np.testing.assert_array_equal(conv.weight.numpy(), glorot_uniform((3, 3, 2, 6), generator))
    assert not dense.bias.numpy().any()
    assert not conv.bias.numpy().any()


def test_an_initialiser_of_ones_own():
    layer = Dense(2, 3, init=lambda shape, generator: np.full(shape, 0.5, np.float32))
    np.testing.assert_array_equal(layer.weight.numpy(), np.full((2, 3), 0.5))
