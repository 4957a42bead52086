"""BatchNorm: batch statistics in training, running ones in evaluation."""

import numpy as np
import pytest

from minidl import BatchNorm, relu, training_mode

SHAPES = [(5, 3), (4, 2, 3, 3)]


def batch(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(2, 3, shape).astype(dtype)


def normalised(x, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    return (x - x.mean(axes)) / np.sqrt(x.var(axes) + eps)


@pytest.mark.parametrize("shape", SHAPES)
def test_training_normalises_with_the_batch_then_scales_and_shifts(shape):
    layer, x = BatchNorm(3, relu), batch(shape)
    layer.scale.array = np.array([1, 2, 3], np.float32)
    layer.shift.array = np.array([0, 1, -1], np.float32)
    expected = np.maximum(normalised(x) * layer.scale.numpy() + layer.shift.numpy(), 0)
    with training_mode():
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_running_statistics_follow_the_batches(shape, unbiased, momentum):
    """The variance is divided by n - 1 (Bessel) as in Flux and PyTorch, or by n as the one used in training: Keras."""
    layer = BatchNorm(3, momentum=momentum, unbiased=unbiased).to(dtype="float64")
    mean, variance, axes = np.zeros(3), np.ones(3), tuple(range(len(shape) - 1))
    for seed in range(3):
        x = batch(shape, seed, np.float64)
        with training_mode():
            layer(x)
        mean = (1 - momentum) * mean + momentum * x.mean(axes)
        variance = (1 - momentum) * variance + momentum * x.var(axes, ddof=1 if unbiased else 0)
    np.testing.assert_allclose(layer.mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.variance.numpy(), variance, rtol=1e-12)


def test_evaluation_uses_the_running_statistics_and_leaves_them_alone():
    layer, x = BatchNorm(3, eps=0.5), batch((4, 3))
    layer.mean.array, layer.variance.array = np.array([1, 2, 3], np.float32), np.array([4, 9, 16], np.float32)
    layer.scale.array = np.array([1, 2, 3], np.float32)
    expected = (x - [1, 2, 3]) / np.sqrt(np.array([4, 9, 16]) + 0.5) * [1, 2, 3]
    for part in (x, x[:1]):  # one sample is enough here
        np.testing.assert_allclose(layer(part).numpy(), expected[: len(part)], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.mean.numpy(), [1, 2, 3])
    np.testing.assert_array_equal(layer.variance.numpy(), [4, 9, 16])


def test_statistics_keep_dtype_and_need_no_gradient():
    layer = BatchNorm(3)
    with training_mode():
        layer(batch((4, 3)))
    assert list(layer.params()) == ["scale", "shift"]
    assert {x.dtype for x in layer.tensors().values()} == {np.dtype(np.float32)}


def test_one_value_per_channel_cannot_be_normalised():
    layer = BatchNorm(3)
    with training_mode(), pytest.raises(ValueError, match="expected at least two values per channel"):
        layer(batch((1, 3)))
    with training_mode():
        layer(batch((1, 1, 2, 3)))
        np.testing.assert_array_equal(BatchNorm(3, unbiased=False)(batch((1, 3))).numpy(), 0)  # as in Keras
    np.testing.assert_array_equal(np.isfinite(layer.variance.numpy()), True)


def test_a_refused_batch_leaves_the_running_statistics_alone():
    layer = BatchNorm(3)
    with training_mode(), pytest.raises(ValueError, match="BatchNorm: expected x"):
        layer(batch((4, 2)))
    np.testing.assert_array_equal(layer.mean.numpy(), np.zeros(3))


def test_it_needs_a_channel():
    with pytest.raises(ValueError, match="BatchNorm: expected at least one channel, got 0"):
        BatchNorm(0)
