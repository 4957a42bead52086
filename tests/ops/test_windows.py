"""The shape rule against counting, and what the functions that use it say about arguments that cannot be."""

import itertools

import numpy as np
import pytest

from minidl import functions as F
from minidl.ops.windows import image_shape, make_windows, output_shape
from minidl.tensor import Tensor, grad

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])


def positions(size, taps, stride, before, after, dilation):
    """How often the window fits, found by sliding it."""
    reach = dilation * (taps - 1)
    return sum(1 for start in range(-before, size + after, stride) if start + reach < size + after)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("taps", [1, 2, 3, 5])
def test_output_shape_is_the_number_of_places_where_the_window_fits(size, taps):
    for stride, before, after, dilation in itertools.product([1, 2, 3], [0, 1, 2], [0, 1], [1, 2, 3]):
        pad = (before, after, before, after)
        windows = make_windows("test", (taps, taps), stride, pad, dilation)
        expected = positions(size, taps, stride, before, after, dilation)
        assert max(0, output_shape(windows, size, size)[0]) == expected
        if expected:
            h, w = image_shape(windows, expected, expected)
            assert output_shape(windows, h, w) == (expected, expected)


@pytest.mark.parametrize(
    ("pad", "sides"), [(1, (1, 1, 1, 1)), ((1, 2), (1, 1, 2, 2)), ((1, 2, 3, 4), (1, 2, 3, 4)), ([0, 1], (0, 0, 1, 1))]
)
def test_padding_may_be_given_in_three_ways(pad, sides):
    windows = make_windows("test", 5, pad=pad)
    assert (windows.top, windows.bottom, windows.left, windows.right) == sides


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "expected window to be a whole number from 1 or a pair of them, got 0"),
        ({"size": (2, 2, 2)}, "expected window to be"),
        ({"size": 2.0}, "expected window to be a whole number from 1 or a pair of them, got 2.0"),
        ({"size": True}, "expected window to be .*, got True"),
        ({"size": (2, 2.5)}, "expected window to be"),
        ({"size": "23"}, "expected window to be"),
        ({"size": 2, "stride": np.float64(1)}, "expected stride to be"),
        ({"size": 2, "pad": 0.5}, "expected pad to be a whole number from 0"),
        ({"size": 2, "pad": (0, 0, 0, True)}, "expected pad to be"),
        ({"size": 2, "stride": 0}, "expected stride to be a whole number from 1"),
        ({"size": 2, "stride": (1, -1)}, "expected stride to be"),
        ({"size": 2, "dilation": (0, 1)}, "expected dilation to be"),
        ({"size": 2, "pad": -1}, "expected pad to be a whole number from 0"),
        (
            {"size": 2, "pad": (1, 1, 1)},
            r"expected pad to be a whole number from 0, \(height, width\) or \(top, bottom",
        ),
        ({"size": 2, "pad": (0, 0, 0, -1)}, "expected pad to be"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^test: {message}"):
        make_windows("test", **arguments)


def test_numpy_integers_are_whole_numbers():
    windows = make_windows("test", np.int64(5), np.array([1, 2]), (np.uint8(1), 2, 3, 4), np.int32(2))
    assert windows == make_windows("test", 5, (1, 2), (1, 2, 3, 4), 2)
    assert {type(number) for number in windows} == {int}
    assert F.conv2d(IMAGES, weight(1, 1, 1, 3), groups=np.int64(3)).shape == (2, 4, 4, 3)


IMAGES = Tensor(np.ones((2, 4, 4, 3)))


def weight(*shape):
    return Tensor(np.ones(shape))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv2d(IMAGES, weight(3, 3, 2, 5)), r"conv2d: expected images \(n, h, w, 2\), got \(2, 4, 4, 3\)"),
        (lambda: F.conv2d(IMAGES[0], weight(3, 3, 3, 5)), r"conv2d: expected images \(n, h, w, 3\), got \(4, 4, 3\)"),
        (lambda: F.conv2d(IMAGES, weight(3, 3, 3)), r"conv2d: expected weight \(kh, kw, channels, filters\), each"),
        (
            lambda: F.conv2d(IMAGES[..., :0], weight(3, 3, 0, 5)),
            r"conv2d: expected weight .* at least 1, got .*3, 3, 0",
        ),
        (lambda: F.conv2d(IMAGES, weight(5, 3, 3, 1)), r"conv2d: a window of \(5, 3\) pixels does not fit .*\(4, 4\)"),
        (lambda: F.conv2d(IMAGES, weight(3, 3, 3, 1), dilation=2), r"conv2d: a window of \(5, 5\) pixels does not fit"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 3, 2), weight(3)), r"conv2d: expected bias \(2,\), got \(3,\)"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 1, 4), groups=3), "conv2d: expected groups to divide the 4 filters"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 3, 4), groups=0), "conv2d: expected groups to divide the 4 filters"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 3, 4), groups=True), "conv2d: expected groups to divide .* groups=True"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 3, 4), groups=1.0), "conv2d: expected groups to divide .* groups=1.0"),
        (lambda: F.conv_transpose2d(IMAGES, weight(2, 2, 1, 3), groups=0), "conv_transpose2d: expected groups to div"),
        (lambda: F.conv_transpose2d(IMAGES, weight(2, 2, 1, 3), groups=-1), "conv_transpose2d: expected groups to div"),
        (lambda: F.conv_transpose2d(IMAGES, weight(2, 2, 5, 0)), r"conv_transpose2d: expected weight .* at least 1"),
        (lambda: F.conv_transpose2d(IMAGES, weight(2, 2, 3, 5)), r"conv_transpose2d: expected images \(n, h, w, 5\)"),
        (lambda: F.conv_transpose2d(IMAGES[:, :1, :1], weight(2, 2, 1, 3), pad=1), "leaves no pixel of the output"),
        (lambda: F.max_pool2d(IMAGES[0], 2), r"max_pool2d: expected images \(n, h, w, c\), got \(4, 4, 3\)"),
        (lambda: F.max_pool2d(IMAGES, 5), r"max_pool2d: a window of \(5, 5\) pixels does not fit"),
        (lambda: F.max_pool2d(IMAGES, 2, pad=2), "max_pool2d: expected padding smaller than the window"),
        (lambda: F.mean_pool2d(IMAGES, (1, 3), pad=1), "mean_pool2d: expected padding smaller than the window"),
        (lambda: F.dense(IMAGES, weight(3, 2)), r"dense: expected x \(n, 3\), got .*; flatten images first"),
        (lambda: F.dense(weight(2, 3), weight(3)), r"dense: expected weight \(in, out\), got \(3,\)"),
        (lambda: F.dense(weight(2, 3), weight(3, 2), weight(3)), r"dense: expected bias \(2,\), got \(3,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


CORNERS = make_windows("test", 2, 2)  # on images of 4 x 4 pixels: 2 x 2 positions
EVERY_PIXEL = make_windows("test", 3, 1, 1)
FIRST_TAPS = np.zeros((2, 2, 2, 3), np.uint8)


def chosen(tap, dtype=np.uint8):
    """A choice of the first tap everywhere, but of `tap` in one place."""
    choice = FIRST_TAPS.astype(dtype)
    choice[1, 0, 1, 2] = tap
    return choice


@BACKENDS
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: F.conv2d_input_gradient(t(2, 3, 4, 5), t(3, 3, 3, 5), (2, 4, 4, 3), EVERY_PIXEL, 1),
         r"conv2d_input_gradient: expected dy \(2, 4, 4, 5\) .* got \(2, 3, 4, 5\)"),
        (lambda t: F.conv2d_input_gradient(t(9, 4, 4, 5), t(3, 3, 3, 5), (2, 4, 4, 3), EVERY_PIXEL, 1),
         r"conv2d_input_gradient: expected dy \(2, 4, 4, 5\)"),
        (lambda t: F.conv2d_input_gradient(t(2, 4, 4, 5), t(2, 2, 3, 5), (2, 4, 4, 3), EVERY_PIXEL, 1),
         r"conv2d_input_gradient: expected .* weight \(3, 3, ...\) .* got .*\(2, 2, 3, 5\)"),
        (lambda t: F.conv2d_input_gradient(t(2, 4, 4, 5), t(3, 3, 9, 5), (2, 4, 4, 3), EVERY_PIXEL, 1),
         r"conv2d_input_gradient: expected images \(n, h, w, 9\), got \(2, 4, 4, 3\)"),
        (lambda t: F.conv2d_input_gradient(t(2, 4, 4, 4), t(3, 3, 3, 4), (2, 4, 4, 3), EVERY_PIXEL, 2),
         r"conv2d_input_gradient: expected images \(n, h, w, 6\), got \(2, 4, 4, 3\)"),
        (lambda t: F.conv2d_input_gradient(t(2, 4, 4, 5), t(3, 3, 3, 5), (2, 4, 4, 3), EVERY_PIXEL, 0),
         "conv2d_input_gradient: expected groups to divide the 5 filters, got groups=0"),
        (lambda t: F.conv2d_weight_gradient(t(2, 4, 4, 5), t(1, 4, 4, 3), (3, 3, 3, 5), EVERY_PIXEL, 1),
         r"conv2d_weight_gradient: expected dy \(1, 4, 4, 5\) .* got \(2, 4, 4, 5\)"),
        (lambda t: F.conv2d_weight_gradient(t(2, 4, 4, 5), t(2, 4, 4, 3), (3, 3, 3, 8), EVERY_PIXEL, 1),
         r"conv2d_weight_gradient: expected dy \(2, 4, 4, 8\)"),
        (lambda t: F.conv2d_weight_gradient(t(2, 4, 4, 5), t(2, 4, 4, 3), (5, 5, 3, 5), EVERY_PIXEL, 1),
         r"conv2d_weight_gradient: expected .* weight \(3, 3, ...\)"),
        (lambda t: F.mean_pool2d_gradient(t(2, 3, 2, 3), (2, 4, 4, 3), CORNERS),
         r"mean_pool2d_gradient: expected dy \(2, 2, 2, 3\) for images \(2, 4, 4, 3\), got \(2, 3, 2, 3\)"),
        (lambda t: F.mean_pool2d_gradient(t(2, 2, 2, 3), (1, 4, 4, 3), CORNERS), "mean_pool2d_gradient: expected dy"),
        (lambda t: F.mean_pool2d_gradient(t(2, 2, 2, 3), (2, 4, 4), CORNERS), "mean_pool2d_gradient: expected images"),
        (lambda t: F.max_pool2d_scatter(t(3, 2, 2, 3), FIRST_TAPS, (2, 4, 4, 3), CORNERS),
         r"max_pool2d_scatter: expected dy \(2, 2, 2, 3\) like choice, got \(3, 2, 2, 3\)"),
        (lambda t: F.max_pool2d_scatter(t(2, 2, 2, 3), FIRST_TAPS, (2, 2, 2, 3), CORNERS),
         r"max_pool2d_scatter: expected a choice \(2, 1, 1, 3\) of whole numbers .*, got \(2, 2, 2, 3\), uint8"),
        (lambda t: F.max_pool2d_scatter(t(2, 2, 2, 3), chosen(4), (2, 4, 4, 3), CORNERS),
         "max_pool2d_scatter: expected each choice to be a tap from 0 to 3 that lies on a pixel"),
        (lambda t: F.max_pool2d_gather(t(2, 4, 2, 3), FIRST_TAPS, CORNERS),
         r"max_pool2d_gather: expected a choice \(2, 2, 1, 3\)"),
        (lambda t: F.max_pool2d_gather(t(2, 4, 4, 3), chosen(4), CORNERS), "max_pool2d_gather: expected each choice"),
        (lambda t: F.max_pool2d_gather(t(2, 4, 4, 3), chosen(-1, int), CORNERS), "max_pool2d_gather: expected each"),
        (lambda t: F.max_pool2d_gather(t(2, 4, 4, 3), chosen(1.0, float), CORNERS), "whole numbers .* float64"),
        (lambda t: F.max_pool2d_gather(t(2, 2, 2, 3), FIRST_TAPS, EVERY_PIXEL),  # the first tap is on the padding
         "max_pool2d_gather: expected each choice to be a tap from 0 to 8 that lies on a pixel"),
        (lambda t: F.dense_input_gradient(t(2, 3), t(4, 5)),
         r"dense_input_gradient: expected dy \(n, out\) and weight \(in, out\), got \(2, 3\) and \(4, 5\)"),
        (lambda t: F.dense_weight_gradient(t(2, 3), t(4, 5)),
         r"dense_weight_gradient: expected dy \(n, out\) and x \(n, in\), got \(2, 3\) and \(4, 5\)"),
    ],
)  # fmt: skip
def test_gradients_of_other_shapes_never_reach_a_kernel(call, message, backend):
    """Compiled kernels would read and write beyond the ends of their arrays."""
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: Tensor(np.ones(shape), backend))


@BACKENDS
def test_a_choice_may_change_after_it_was_used(backend):
    choice, x = chosen(1), Tensor(np.ones((2, 4, 4, 3)), backend, requires_grad=True)
    y = F.max_pool2d_gather(x, choice, CORNERS)
    choice[...] = 200
    (dx,) = grad(y.sum(), x)
    assert dx.numpy()[1, 0, 2:, 2].tolist() == [0, 1]
