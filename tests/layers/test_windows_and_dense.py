"""Conv, Dense and the pools: values worked out by hand, and arguments that make no sense."""

import numpy as np
import pytest

from minidl import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    Conv,
    ConvTranspose,
    Dense,
    GlobalMaxPool,
    GlobalMeanPool,
    MaxPool,
    MeanPool,
    SamePad,
    Tensor,
    Upsample,
    relu,
)
from minidl.functions import conv2d

IMAGE = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)


def conv_with(weight, *arguments, **options):
    """A Conv from one channel to one, with this window and no bias."""
    layer = Conv(weight.shape, (1, 1), *arguments, bias=False, **options)
    layer.weight.array = weight.astype(np.float32)[:, :, None, None]
    return layer


def test_conv_slides_the_filter_as_it_is():
    """Keras's and PyTorch's convention: the top left weight meets the top left pixel. Flux's Conv turns it round."""
    window = np.array([[1, 0], [0, 10]])
    y = conv_with(window)(IMAGE).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(y, [[50, 61, 72], [94, 105, 116], [138, 149, 160]])


@pytest.mark.parametrize(
    ("options", "shape", "corner"),
    [
        ({}, (2, 2), 0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10),
        ({"pad": 1}, (4, 4), 0 + 1 + 4 + 5),
        ({"pad": (0, 1)}, (2, 4), 0 + 1 + 4 + 5 + 8 + 9),
        ({"pad": (1, 0, 0, 0)}, (3, 2), 0 + 1 + 2 + 4 + 5 + 6),
        ({"stride": 2, "pad": 1}, (2, 2), 0 + 1 + 4 + 5),
        ({"dilation": 2, "pad": 1}, (2, 2), 5 + 7 + 13 + 15),
    ],
    ids=str,
)
def test_conv_window_options(options, shape, corner):
    y = conv_with(np.ones((3, 3)), **options)(IMAGE).numpy()
    assert y.shape == (1, *shape, 1)
    assert y[0, 0, 0, 0] == corner


def test_conv_groups_see_only_their_own_channels():
    layer = Conv((1, 1), (4, 2), groups=2, bias=False)
    layer.weight.array = np.ones((1, 1, 2, 2), np.float32)
    x = np.array([1, 2, 30, 40], np.float32).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(layer(x).numpy().ravel(), [3, 70])


def test_conv_adds_its_bias_and_applies_its_activation():
    layer = Conv((1, 1), (1, 2), relu)
    layer.weight.array = np.ones((1, 1, 1, 2), np.float32)
    layer.bias.array = np.array([-10, 1], np.float32)
    y = layer(IMAGE).numpy()
    np.testing.assert_array_equal(y[..., 0], np.maximum(IMAGE[..., 0] - 10, 0))
    np.testing.assert_array_equal(y[..., 1], IMAGE[..., 0] + 1)
    plain = conv2d(IMAGE, layer.weight, layer.bias)
    np.testing.assert_array_equal(relu(plain).numpy(), y)


def test_dense_multiplies_rows():
    layer = Dense(2, 3, relu)
    layer.weight.array = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    layer.bias.array = np.array([0, 0, -100], np.float32)
    np.testing.assert_array_equal(layer(Tensor([[1.0, 10.0]])).numpy(), [[41, 52, 0]])
    assert list(Dense(2, 3, bias=False).params()) == ["weight"]


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (MaxPool((2, 2)), [[5, 7], [13, 15]]),
        (MaxPool(3, stride=1), [[10, 11], [14, 15]]),
        (MaxPool(2, pad=1), [[0, 2, 3], [8, 10, 11], [12, 14, 15]]),
        (MaxPool((1, 4)), [[3], [7], [11], [15]]),
        (MeanPool((2, 2)), [[2.5, 4.5], [10.5, 12.5]]),
        (MeanPool(2, pad=1), [[0, 0.75, 0.75], [3, 7.5, 4.5], [3, 6.75, 3.75]]),  # padding counts as zeros
        (GlobalMeanPool(), [[7.5]]),
        (GlobalMaxPool(), [[15]]),
        (MaxPool(2, stride=1, pad=SamePad()), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]),
        (MeanPool((3, 1), pad=SamePad()), [[4 / 3, 2, 8 / 3, 10 / 3], [20 / 3, 22 / 3, 8, 26 / 3]]),
        (AdaptiveMaxPool((2, 1)), [[7], [15]]),
        (AdaptiveMaxPool((3, 4)), [[4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]),
        (AdaptiveMeanPool((1, 1)), [[7.5]]),
        (AdaptiveMeanPool((2, 3)), [[2.5, 3.5, 4.5], [10.5, 11.5, 12.5]]),
    ],
    ids=lambda value: value.code() if callable(value) else "",
)
def test_pools(pool, expected):
    np.testing.assert_allclose(pool(IMAGE).numpy()[0, :, :, 0], expected, rtol=1e-6)


def test_padding_never_wins_a_max_pool():
    np.testing.assert_array_equal(MaxPool(2, pad=1)(-1 - IMAGE).numpy().max(), -1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv((3, 3), (3, 4), groups=2), r"Conv: expected channels \(in, out\) that groups=2 divides"),
        (lambda: Conv((3, 3), (0, 4)), "Conv: expected channels"),
        (lambda: Conv((0, 3), (3, 4)), "Conv: "),
        (lambda: Conv((3, 3), (3, 4), stride=0), "Conv: "),
        (lambda: Conv((3, 3), (3, 4), pad=-1), "Conv: "),
        (lambda: MaxPool(0), "MaxPool: "),
        (lambda: MeanPool(2, stride=0), "MeanPool: "),
        (lambda: ConvTranspose((3, 3), (3, 4), groups=2), "ConvTranspose: expected channels"),
        (lambda: ConvTranspose((2, 2), (3, 4), stride=3, pad=SamePad()), "SamePad: a window of .* leaves pixels out"),
        (lambda: AdaptiveMaxPool((0, 1)), "AdaptiveMaxPool: "),
        (lambda: Dense(0, 2), "Dense: expected at least one input and one output, got 0 and 2"),
    ],
)
def test_nonsense_is_refused_when_the_layer_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("pool", [GlobalMeanPool(), GlobalMaxPool(), AdaptiveMaxPool((1, 1)), AdaptiveMeanPool((1, 1))])
def test_these_pools_want_images(pool):
    with pytest.raises(ValueError, match=rf"{type(pool).__name__}: expected images \(n, h, w, c\), got \(2, 3\)"):
        pool(np.zeros((2, 3), np.float32))


def test_an_adaptive_pool_cannot_enlarge():
    with pytest.raises(
        ValueError, match=r"AdaptiveMeanPool: expected images of at least 5 x 2 pixels, got \(1, 4, 4, 1\)"
    ):
        AdaptiveMeanPool((5, 2))(IMAGE)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 5)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_keeps_the_size_divided_by_the_stride(size, stride, dilation):
    layer = Conv(size, (1, 2), pad=SamePad(), stride=stride, dilation=dilation)
    for side in [6, 7]:
        out = -(-side // stride)
        assert layer(np.zeros((1, side, side, 1), np.float32)).shape == (1, out, out, 2)


def test_same_padding_puts_the_odd_pixel_first():
    """As Flux does: the result at (i, j) is the sum over pixels (i - 1, j - 1) to (i, j)."""
    y = conv_with(np.ones((2, 2)), pad=SamePad())(IMAGE).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(y[:2], [[0, 1, 3, 5], [4, 10, 14, 18]])


def test_transposed_convolution_paints_its_filter_at_every_pixel():
    layer = ConvTranspose((2, 2), (1, 1), relu, stride=2)
    layer.weight.array = np.array([[1, 2], [3, -4]], np.float32)[:, :, None, None]
    layer.bias.array = np.ones(1, np.float32)
    y = layer(np.array([[1.0, 10.0]], np.float32)[None, :, :, None]).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(y, [[2, 3, 11, 21], [4, 0, 31, 0]])


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_of_a_transposed_convolution_multiplies_the_size(stride):
    layer = ConvTranspose((3, 4), (4, 6), pad=SamePad(), stride=stride, groups=2)
    assert layer(np.zeros((1, 5, 4, 4), np.float32)).shape == (1, 5 * stride, 4 * stride, 6)
    assert layer.weight.shape == (3, 4, 3, 4)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("nearest", [[0, 0, 6, 6], [0, 0, 6, 6]]),
        ("bilinear", [[0, 2, 4, 6], [0, 2, 4, 6]]),
    ],
)
def test_upsampling(mode, expected):
    x = np.array([0, 6], np.float32).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(Upsample(2, mode)(x).numpy()[0, :, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"), [((0,), "from 1, got 0"), ((2, "cubic"), "nearest, bilinear, got 'cubic'")]
)
def test_upsampling_refuses(arguments, message):
    with pytest.raises(ValueError, match=f"Upsample: expected .*{message}"):
        Upsample(*arguments)
