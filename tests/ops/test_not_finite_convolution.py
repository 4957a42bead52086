"""What is not finite in a convolution comes out where the definition has it, and nowhere else, by every algorithm."""

import numpy as np
import pytest

import minidl
from minidl import Conv, Tensor, exact_convolution
from minidl.functions import conv2d
from minidl.ops.conv2d import cpu, direct, reference, winograd
from minidl.ops.windows import make_windows

NAN, INF = np.nan, np.inf

# name, line size of Winograd's algorithm (0 for patches, None for what is chosen), x, weight, windows, groups
WAYS = {
    "lines of 6": (6, (2, 9, 10, 17), (3, 3, 17, 40), {"pad": 1}, 1),
    "lines of 6, few tiles": (6, (1, 6, 8, 9), (3, 3, 9, 150), {"pad": 1}, 1),
    "lines of 4": (4, (2, 5, 7, 17), (3, 3, 17, 40), {"pad": 1}, 1),
    "lines of 4, no padding": (4, (2, 6, 7, 9), (3, 3, 9, 12), {}, 1),
    "lines of 6, padding": (6, (2, 6, 7, 9), (3, 3, 9, 12), {"pad": (0, 1, 2, 0)}, 1),
    "lines of 3": (3, (5, 2, 2, 20), (3, 3, 20, 40), {"pad": 1}, 1),
    "patches": (0, (2, 6, 7, 9), (3, 3, 9, 12), {"pad": 1}, 1),
    "patches, single pixels": (0, (3, 1, 1, 520), (3, 3, 520, 9), {"pad": 1}, 1),
    "patches, groups": (None, (2, 6, 8, 12), (3, 3, 6, 8), {"pad": 1}, 2),
    "patches, stride": (None, (2, 9, 8, 9), (3, 2, 9, 8), {"stride": 2, "pad": 1}, 1),
    "patches, dilation": (None, (2, 9, 8, 9), (3, 2, 9, 8), {"dilation": 2, "pad": 2}, 1),
    "few channels": (None, (2, 9, 8, 3), (3, 3, 3, 20), {"pad": 1}, 1),
    "few channels, stride": (None, (2, 9, 8, 2), (5, 3, 2, 20), {"pad": 2, "stride": 2}, 1),
}
AWKWARD = {
    "nan": [NAN], "inf": [INF], "-inf": [-INF], "inf and -inf": [INF, -INF], "nan and inf": [NAN, INF],
    "huge": [1e38, -0.9e38], "none": [],
}  # fmt: skip


def pattern(numbers):
    """0 for finite numbers, 1, 2 and 3 for nan, infinity and its negative."""
    return np.isnan(numbers) + 2 * (numbers == INF) + 3 * (numbers == -INF)


def assert_same(computed, expected, tolerance):
    np.testing.assert_array_equal(pattern(computed), pattern(expected))
    finite = np.isfinite(expected)
    size = np.abs(expected[finite]).max(initial=1)
    np.testing.assert_allclose(computed[finite], expected[finite], rtol=tolerance, atol=tolerance * size)


def inputs(way, what, awkward, dtype):
    """x, weight, bias and dy, with awkward numbers at several places of one of them."""
    _, x_shape, weight_shape, arguments, groups = WAYS[way]
    random, windows = np.random.default_rng(1), make_windows("conv2d", weight_shape[:2], **arguments)
    x, weight = (random.uniform(0.1, 0.9, shape).astype(dtype) for shape in [x_shape, weight_shape])
    weight -= dtype(0.5)  # no sum of a few huge numbers overflows
    bias = random.standard_normal(weight_shape[3]).astype(dtype)
    dy = random.uniform(-0.5, 0.5, reference.forward(x, weight, bias, windows, groups).shape).astype(dtype)
    arrays = {"x": x, "weight": weight, "dy": dy}
    for number in awkward:
        for place in [random.integers(arrays[what].shape), [0] * 4, [size - 1 for size in arrays[what].shape]]:
            if number == awkward[0] or place[1]:  # one of several only where others are, too
                arrays[what][tuple(place)] = number
    return (*arrays.values(), bias, windows, groups)


@pytest.fixture
def only(monkeypatch):
    def choose(way):
        if WAYS[way][0] is not None:
            monkeypatch.setattr(winograd, "line_size", lambda *_: WAYS[way][0])
            monkeypatch.setattr(direct, "applies", lambda *_: False)

    return choose


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("awkward", AWKWARD)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_has_the_pattern_of_the_definition(only, way, awkward, dtype):
    only(way)
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    passes = {"x": ["forward", "weight_gradient"], "weight": ["forward", "input_gradient"],
              "dy": ["input_gradient", "weight_gradient"]}  # fmt: skip
    for what, names in passes.items():
        x, weight, dy, bias, windows, groups = inputs(way, what, AWKWARD[awkward], dtype)
        for name in names:
            arguments = {"forward": (x, weight, bias), "input_gradient": (dy, weight, x.shape),
                         "weight_gradient": (dy, x, weight.shape)}[name]  # fmt: skip
            with np.errstate(all="ignore"):
                expected, computed = (
                    getattr(kernels, name)(*arguments, windows, groups) for kernels in [reference, cpu]
                )
            assert_same(computed, expected, tolerance)


@pytest.mark.parametrize("awkward", AWKWARD)
@pytest.mark.parametrize("what", ["x", "weight"])
@pytest.mark.parametrize("way", ["lines of 6", "lines of 6, few tiles", "lines of 4", "lines of 3", "few channels"])
def test_what_is_computed_together_has_it_too(only, way, what, awkward):
    """Where relu and the largest of four hide some of what is not finite, it is noticed before."""
    only(way)
    x, weight, _, bias, windows, groups = inputs(way, what, AWKWARD[awkward], np.float32)
    factor = np.linspace(0.5, 2, len(bias), dtype=np.float32)
    for name, arguments in {
        "forward_relu": (bias, windows, groups),
        "forward_relu_max_pool": (bias, windows, groups),
        "forward_normalise": (factor, bias, windows, groups, True),
        "forward_normalise_relu_max_pool": (factor, bias, windows, groups),
    }.items():
        with np.errstate(all="ignore"):
            expected, computed = (getattr(kernels, name)(x, weight, *arguments) for kernels in [reference, cpu])
        if not isinstance(expected, tuple):
            expected, computed = (expected,), (computed,)
        assert_same(computed[0], expected[0], 2e-4)
        for choice, other in zip(computed[1:], expected[1:], strict=True):
            assert (choice == other)[np.isnan(expected[0])].all()


@pytest.mark.parametrize("place", [(0, 0), (3, 4), (7, 7)])
def test_a_pixel_is_seen_by_its_neighbours_only(place):
    """At the sizes where Winograd's algorithm is chosen, with one image that is as it was to the bit."""
    x = np.random.default_rng(0).standard_normal((8, 8, 8, 64)).astype(np.float32)
    conv = Conv((3, 3), (64, 64), pad=1)
    before = conv(x).numpy()
    x[1, *place, 5] = NAN
    y = conv(x).numpy()
    seen = np.zeros_like(y, bool)
    i, j = place
    seen[1, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] = True
    np.testing.assert_array_equal(np.isnan(y), seen)
    np.testing.assert_array_equal(y[[0, *range(2, 8)]], before[[0, *range(2, 8)]])
    np.testing.assert_allclose(y[~seen], before[~seen], rtol=1e-4, atol=1e-4)


def test_a_weight_concerns_its_filter_only():
    x = np.random.default_rng(0).standard_normal((8, 8, 8, 64)).astype(np.float32)
    weight = np.random.default_rng(1).standard_normal((3, 3, 64, 128)).astype(np.float32)
    before = conv2d(x, weight, pad=1).numpy()
    weight[1, 1, 3, 70] = NAN
    y = conv2d(x, weight, pad=1).numpy()
    assert np.isnan(y[..., 70]).all()
    np.testing.assert_allclose(np.delete(y, 70, -1), np.delete(before, 70, -1), rtol=1e-4, atol=1e-3)


class TestExactConvolution:
    def test_large_pixels_leave_their_neighbours_alone(self):
        x = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 64)).astype(np.float32)
        x[0, 3, 3, 0] = 1e8
        conv = Conv((3, 3), (64, 64), pad=1)
        with minidl.use_backend("reference"):
            expected = conv.to("reference")(x).numpy()
        conv = conv.to("cpu")
        unseen = np.abs(np.arange(8) - 3) > 1
        with exact_convolution():
            exact = conv(x).numpy()
        np.testing.assert_allclose(exact[:, unseen], expected[:, unseen], atol=1e-5)
        assert np.abs(conv(x).numpy()[:, unseen] - expected[:, unseen]).max() > 1  # what the switch is for

    def test_gradients_remember_it(self):
        """Those of gradients, too, wherever they are asked for."""
        random = np.random.default_rng(0)
        x, weight = (Tensor(random.uniform(-1, 1, shape).astype(np.float32), requires_grad=True)
                     for shape in [(2, 8, 8, 64), (3, 3, 64, 64)])  # fmt: skip
        used = []
        chosen = winograd.line_size

        def noticed(*arguments):
            used.append(arguments)
            return chosen(*arguments)

        winograd.line_size = noticed
        try:
            with exact_convolution():
                y = conv2d(x, weight, pad=1)
            first = minidl.grad((y * y).sum(), [x, weight], create_graph=True)
            minidl.grad(sum((dx * dx).sum() for dx in first), [x, weight])
            assert not used
            conv2d(x, weight, pad=1).sum().backward()
            assert len(used) == 3
        finally:
            winograd.line_size = chosen

    def test_it_ends_with_its_block(self):
        from minidl.modes import is_exact_convolution

        with exact_convolution():
            assert is_exact_convolution()
            with exact_convolution(False):
                assert not is_exact_convolution()
        assert not is_exact_convolution()
