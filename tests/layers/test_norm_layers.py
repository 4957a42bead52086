"""GroupNorm and LayerNorm: what is normalised with what."""

import numpy as np
import pytest

from minidl import GroupNorm, LayerNorm, Tensor, relu, training_mode


def images(*shape):
    return np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 6), (2, 7, 6)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_group_norm_normalises_each_image_and_group(shape, groups):
    x = images(*shape)
    layer = GroupNorm(6, groups, eps=0)
    layer.scale.array = np.arange(1, 7, dtype=np.float32)
    layer.shift.array = np.full(6, 5, np.float32)
    y = ((layer(x).numpy() - 5) / np.arange(1, 7)).reshape(shape[0], -1, groups, 6 // groups)
    np.testing.assert_allclose(y.mean((1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((1, 3)), 1, rtol=1e-4)
    distances = np.diff(y, axis=3) / np.diff(x.reshape(y.shape), axis=3)
    np.testing.assert_allclose(distances, distances[:, :1, :, :1] + 0 * distances, rtol=1e-2)


@pytest.mark.parametrize(("size", "axes"), [(6, (3,)), ((5, 6), (2, 3)), ((4, 5, 6), (1, 2, 3))])
def test_layer_norm_normalises_the_last_axes(size, axes):
    x = images(3, 4, 5, 6)
    y = LayerNorm(size, eps=0)(x).numpy()
    expected = (x - x.mean(axes, keepdims=True)) / x.std(axes, keepdims=True)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert LayerNorm(size).scale.shape == x.shape[-len(axes) :]


@pytest.mark.parametrize("make", [lambda: GroupNorm(4, 2, relu), lambda: LayerNorm(4, relu)])
def test_training_makes_no_difference_and_relu_comes_last(make):
    layer, x = make(), Tensor(images(1, 2, 2, 4))
    y = layer(x).numpy()
    with training_mode():
        np.testing.assert_array_equal(layer(x).numpy(), y)
    assert y.min() == 0


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: GroupNorm(6, 4), None, "GroupNorm: expected channels that groups=4 divides, got 6"),
        (lambda: GroupNorm(0, 1), None, "GroupNorm: expected channels"),
        (lambda: GroupNorm(6, 2), (2, 5), r"GroupNorm: expected x \(n, ..., 6\), got \(2, 5\)"),
        (lambda: GroupNorm(6, 2), (6,), r"GroupNorm: expected x \(n, ..., 6\), got \(6,\)"),
        (lambda: LayerNorm(()), None, "LayerNorm: expected at least one size"),
        (lambda: LayerNorm((2, 0)), None, "LayerNorm: expected at least one size, each at least 1"),
        (lambda: LayerNorm((2, 3)), (2, 4), r"LayerNorm: expected x \(..., 2, 3\), got \(2, 4\)"),
        (lambda: LayerNorm((2, 3)), (3,), r"LayerNorm: expected x \(..., 2, 3\), got \(3,\)"),
    ],
)
def test_refuses(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make()(np.zeros(shape, np.float32))
