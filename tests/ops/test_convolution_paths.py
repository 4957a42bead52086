"""Winograd's algorithm and products of patches, each made to compute what the other usually would."""

from itertools import product

import numpy as np
import pytest

from minidl.ops.conv2d import cpu, direct, patchwise, reference, winograd, winograd_weight_gradient
from minidl.ops.windows import Windows, make_windows

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}

# n, h, w, channels, filters, padding: whole tiles and broken ones, channels that fill vectors and that do not
SHAPES = [
    (2, 8, 8, 16, 16, 1),
    (3, 5, 7, 17, 33, 1),
    (2, 4, 4, 100, 70, 1),
    (1, 3, 3, 3, 5, 1),
    (1, 1, 1, 1, 1, 1),
    (9, 9, 6, 70, 20, 1),
    (40, 7, 6, 70, 130, 1),
    (2, 6, 7, 9, 11, 0),
    (2, 6, 7, 9, 11, 2),
    (2, 6, 7, 9, 11, (0, 1, 2, 0)),
    (70, 4, 4, 8, 40, 1),
    (1, 2, 2, 40, 75, 1),  # so few positions that weights are read where they are, but for those of a broken panel
    (1, 2, 8, 520, 40, 1),  # the most of these
    (1, 3, 7, 20, 40, 1),  # one more tile
    (1, 1, 97, 9, 33, 1),  # two blocks
]
SMALL = [(5, 2, 2, 150, 40, 1), (100, 2, 2, 9, 33, 1), (1, 2, 2, 16, 300, 1)]  # without the zeros around them
SIZES = [0, 4, 6]  # of a line of products: patches, and tiles of 2 x 2 and 4 x 4 outputs


def problem(n, h, w, channels, filters, pad, dtype):
    random = np.random.default_rng(0)
    windows = make_windows("conv2d", 3, 1, pad)
    x, weight, bias = (
        random.standard_normal(shape).astype(dtype)
        for shape in [(n, h, w, channels), (3, 3, channels, filters), (filters,)]
    )
    y = reference.forward(x, weight, bias, windows, 1)
    return x, weight, bias, random.standard_normal(y.shape).astype(dtype), windows


def passes(monkeypatch, size, x, weight, bias, dy, windows):
    """All three passes with lines of so many products, or 0 for patches."""
    monkeypatch.setattr(winograd, "line_size", lambda *_: size)
    monkeypatch.setattr(direct, "applies", lambda *_: False)
    return (
        cpu.forward(x, weight, bias, windows, 1),
        cpu.input_gradient(dy, weight, x.shape, windows, 1),
        cpu.weight_gradient(dy, x, weight.shape, windows, 1),
    )


def expected_passes(x, weight, bias, dy, windows):
    return (
        reference.forward(x, weight, bias, windows, 1),
        reference.input_gradient(dy, weight, x.shape, windows, 1),
        reference.weight_gradient(dy, x, weight.shape, windows, 1),
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("shape", "size"), [*product(SHAPES + SMALL, SIZES), *((shape, 3) for shape in SMALL)], ids=str
)
def test_every_path_computes_the_same(monkeypatch, shape, size, dtype):
    case = problem(*shape, dtype)
    for computed, expected in zip(passes(monkeypatch, size, *case), expected_passes(*case), strict=True):
        assert computed.dtype == dtype
        np.testing.assert_allclose(computed, expected, atol=TOLERANCE[dtype] * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "arguments"),
    [
        ((2, 8, 8, 3), (3, 3, 3, 64), {"pad": 1}),
        ((3, 5, 7, 1), (3, 3, 1, 5), {}),
        ((2, 23, 20, 3), (11, 11, 3, 70), {"stride": 4, "pad": 2}),
        ((1, 9, 30, 7), (5, 2, 7, 33), {"stride": (1, 2), "pad": (0, 3, 4, 1)}),
        ((40, 6, 5, 2), (3, 1, 2, 8), {"dilation": (2, 1), "pad": (2, 0)}),
        ((2, 1, 1, 4), (1, 1, 4, 4), {"stride": 3}),
        ((0, 8, 8, 3), (3, 3, 3, 4), {}),
    ],
    ids=str,
)
def test_images_with_few_channels_need_no_patches(x_shape, weight_shape, arguments, dtype):
    random = np.random.default_rng(0)
    windows = make_windows("conv2d", weight_shape[:2], **arguments)
    assert direct.applies(windows, 1, weight_shape)
    x, weight, bias = (
        random.standard_normal(shape).astype(dtype) for shape in [x_shape, weight_shape, weight_shape[3]]
    )
    y = reference.forward(x, weight, bias, windows, 1)
    dy = random.standard_normal(y.shape).astype(dtype)
    for computed, expected in [
        (cpu.forward(x, weight, bias, windows, 1), y),
        (cpu.forward_relu(x, weight, bias, windows, 1), np.maximum(y, 0)),
        (cpu.weight_gradient(dy, x, weight.shape, windows, 1),
         reference.weight_gradient(dy, x, weight.shape, windows, 1)),
    ]:  # fmt: skip
        np.testing.assert_allclose(computed, expected, atol=TOLERANCE[dtype] * np.abs(expected).max(initial=1), rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_work_in_several_parts_computes_the_same(monkeypatch, size):
    """So many tiles and positions, and blocks of so few channels and filters, that all of them are split."""
    monkeypatch.setattr(winograd_weight_gradient, "HEIGHT", 16)
    monkeypatch.setattr(winograd_weight_gradient, "WIDTH", 32)
    case = problem(70, 8, 6, 20, 40, 1, "float64")
    for computed, expected in zip(passes(monkeypatch, size, *case), expected_passes(*case), strict=True):
        np.testing.assert_allclose(computed, expected, atol=1e-12 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_tiles_that_are_transformed_before_compute_the_same(monkeypatch, size):
    """Few tiles of so many channels and filters that several blocks share them."""
    case = problem(3, 8, 6, 140, 260, 1, "float64")
    for computed, expected in zip(passes(monkeypatch, size, *case), expected_passes(*case), strict=True):
        np.testing.assert_allclose(computed, expected, atol=1e-12 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize(
    ("size", "windows", "groups", "channels", "filters", "image"),
    [
        (6, Windows(3, 3, top=1, left=1), 1, 64, 64, (32, 32)),
        (6, Windows(3, 3, top=1, left=1), 1, 512, 512, (4, 4)),
        (4, Windows(3, 3, top=1, left=1), 1, 512, 512, (2, 2)),
        (3, Windows(3, 3, 1, 1, 1, 1, 1, 1), 1, 512, 512, (2, 2)),
        (4, Windows(3, 3, top=1, left=1), 1, 64, 64, (6, 6)),
        (0, Windows(3, 3, top=1, left=1), 1, 512, 512, (1, 1)),
        (0, Windows(3, 3, top=1, left=1), 1, 3, 64, (32, 32)),
        (0, Windows(3, 3, stride_h=2, stride_w=2), 1, 64, 64, (32, 32)),
        (0, Windows(3, 3, dilation_h=2), 1, 64, 64, (32, 32)),
        (0, Windows(3, 3), 2, 64, 64, (32, 32)),
        (0, Windows(1, 1), 1, 64, 64, (32, 32)),
        (0, Windows(3, 3, top=3), 1, 64, 64, (32, 32)),
    ],
)
def test_the_path_that_takes_least_time_is_chosen(size, windows, groups, channels, filters, image):
    weight_shape = (windows.height, windows.width, channels // groups, filters)
    assert winograd.line_size(windows, groups, weight_shape, (64, *image, filters)) == size


def test_few_images_are_not_worth_transforming_the_filters():
    assert winograd.line_size(Windows(3, 3, top=1, left=1), 1, (3, 3, 512, 512), (1, 4, 4, 512)) == 0
    assert winograd.line_size(Windows(3, 3, top=1, left=1), 1, (3, 3, 512, 512), (0, 4, 4, 512)) == 0


@pytest.mark.parametrize("size", SIZES)
def test_nan_reaches_the_outputs_that_see_it_and_no_other_image(monkeypatch, size):
    x, weight, bias, dy, windows = problem(2, 8, 8, 8, 8, 1, "float32")
    x[1, 4, 4, 3] = np.nan
    y, _, _ = passes(monkeypatch, size, x, weight, bias, dy, windows)
    assert np.isnan(y[1, 3:6, 3:6]).all()
    assert np.isfinite(y[0]).all()


def test_patchwise_sums_do_not_depend_on_how_many_positions_there_are(monkeypatch):
    """Positions are split into parts, whose sums are added up: also with fewer positions than parts."""
    monkeypatch.setattr(patchwise, "PARTS", 7)
    case = problem(3, 20, 20, 3, 5, 1, "float64")
    for computed, expected in zip(passes(monkeypatch, 0, *case), expected_passes(*case), strict=True):
        np.testing.assert_allclose(computed, expected, atol=1e-12 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("relu", [False, True])
def test_bias_and_relu_of_patches_reach_every_filter(monkeypatch, relu):
    """17 and 33 filters: vectors and what is left over."""
    for filters in [1, 17, 33]:
        x, weight, bias, _, windows = problem(2, 4, 5, 3, filters, 1, "float32")
        monkeypatch.setattr(winograd, "line_size", lambda *_: 0)
        y = (cpu.forward_relu if relu else cpu.forward)(x, weight, bias, windows, 1)
        expected = reference.forward(x, weight, bias, windows, 1)
        np.testing.assert_allclose(y, np.maximum(expected, 0) if relu else expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("factors", [(0.5, 2.0), (-1.0, 1.0)], ids=["positive", "of both signs"])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("size", [*SIZES, "direct"])
def test_normalised_sums(monkeypatch, size, relu, factors):
    """Factors and shifts for each filter, and 17 and 33 of them: vectors and what is left over."""
    for filters in [16, 17, 33]:
        x, weight, shift, _, windows = problem(2, 6, 5, 3 if size == "direct" else 9, filters, 1, "float64")
        monkeypatch.setattr(winograd, "line_size", lambda *_: 0 if size == "direct" else size)
        monkeypatch.setattr(direct, "applies", lambda *_: size == "direct")
        arguments = (x, weight, np.random.default_rng(1).uniform(*factors, filters), shift, windows, 1)
        for computed, expected in [
            (cpu.forward_normalise(*arguments, relu), reference.forward_normalise(*arguments, relu)),
            (cpu.forward_normalise_relu_max_pool(*arguments), reference.forward_normalise_relu_max_pool(*arguments)),
        ]:
            np.testing.assert_allclose(computed, expected, atol=1e-12 * np.abs(expected).max(), rtol=0)


VGG_LAYERS = [  # image side, channels, filters: every convolution of VGG19 for images of 32 x 32 pixels
    (32, 3, 64), (32, 64, 64), (16, 64, 128), (16, 128, 128), (8, 128, 256), (8, 256, 256), (4, 256, 512),
    (4, 512, 512), (2, 512, 512),
]  # fmt: skip


@pytest.mark.parametrize(("side", "channels", "filters"), VGG_LAYERS)
def test_float32_is_as_exact_as_it_should_be_in_every_layer_of_vgg(side, channels, filters):
    """Root mean square error of each pass against float64, relative to the root mean square of the numbers."""
    x, weight, bias, dy, windows = problem(2, side, side, channels, filters, 1, "float64")
    weight /= np.sqrt(9 * channels)
    single = [array.astype("float32") for array in (x, weight, bias, dy)]
    exact = expected_passes(*(array.astype("float64") for array in single), windows)
    computed = (
        cpu.forward(*single[:3], windows, 1),
        cpu.input_gradient(single[3], single[1], x.shape, windows, 1),
        cpu.weight_gradient(single[3], single[0], weight.shape, windows, 1),
    )
    for ours, truth in zip(computed, exact, strict=True):
        assert np.sqrt(((ours - truth) ** 2).mean() / (truth**2).mean()) < 1e-5
