"""Layers against PyTorch's, with the same parameters: outputs in float64."""

import numpy as np
import pytest

from minidl import AdaptiveMaxPool, AdaptiveMeanPool, ConvTranspose, GroupNorm, LayerNorm, Tensor, Upsample

torch = pytest.importorskip("torch")
nn = torch.nn.functional

pytestmark = pytest.mark.torch


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def channels_first(x):
    return torch.tensor(x).permute(0, 3, 1, 2)


SCALE, SHIFT = random(6), random(6) + 1

LAYERS = {
    "group norm": (
        lambda: with_numbers(GroupNorm(6, 3), scale=SCALE, shift=SHIFT),
        lambda x: nn.group_norm(x, 3, torch.tensor(SCALE), torch.tensor(SHIFT)),
    ),
    "bilinear": (
        lambda: Upsample(3, "bilinear"),
        lambda x: nn.interpolate(x, scale_factor=3, mode="bilinear", align_corners=True),
    ),
    "nearest": (lambda: Upsample(2), lambda x: nn.interpolate(x, scale_factor=2, mode="nearest")),
    "adaptive max pool": (lambda: AdaptiveMaxPool((2, 1)), lambda x: nn.adaptive_max_pool2d(x, (2, 1))),
    "adaptive mean pool": (lambda: AdaptiveMeanPool((4, 5)), lambda x: nn.adaptive_avg_pool2d(x, (4, 5))),
    "transposed convolution": (
        lambda: with_numbers(ConvTranspose((3, 2), (6, 4), stride=2, pad=1), weight=random(3, 2, 4, 6), bias=random(4)),
        lambda x: nn.conv_transpose2d(
            x, torch.tensor(random(3, 2, 4, 6)).permute(3, 2, 0, 1), torch.tensor(random(4)), stride=2, padding=1
        ),
    ),
}


def with_numbers(layer, **arrays):
    layer.to(dtype="float64").load(arrays)
    return layer


@pytest.mark.parametrize(("make", "theirs"), LAYERS.values(), ids=LAYERS)
def test_layer(make, theirs):
    x = random(2, 4, 5, 6)
    expected = theirs(channels_first(x)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(make()(Tensor(x)).numpy(), expected, rtol=1e-9, atol=1e-11)


def test_layer_norm():
    x, scale, shift = random(3, 4, 5), random(4, 5), random(4, 5) + 1
    layer = with_numbers(LayerNorm((4, 5)), scale=scale, shift=shift)
    expected = nn.layer_norm(torch.tensor(x), (4, 5), torch.tensor(scale), torch.tensor(shift)).numpy()
    np.testing.assert_allclose(layer(Tensor(x)).numpy(), expected, rtol=1e-9, atol=1e-11)
