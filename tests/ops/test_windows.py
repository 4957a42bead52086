"""The shape rule against counting, and what the functions that use it say about arguments that cannot be."""

import itertools

import numpy as np
import pytest

from minidl import functions as F
from minidl.ops.windows import image_shape, make_windows, output_shape
from minidl.tensor import Tensor


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
        ({"size": 2.0}, None),
        ({"size": 2, "stride": 0}, "expected stride to be a whole number from 1"),
        ({"size": 2, "stride": (1, -1)}, "expected stride to be"),
        ({"size": 2, "dilation": (0, 1)}, "expected dilation to be"),
        ({"size": 2, "pad": -1}, "expected pad to be a whole number from 0"),
        ({"size": 2, "pad": (1, 1, 1)}, r"a whole number from 0, \(height, width\) or \(top, bottom"),
        ({"size": 2, "pad": (0, 0, 0, -1)}, "expected pad to be"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError if message else (TypeError, ValueError), match=message):
        make_windows("test", **arguments)


IMAGES = Tensor(np.ones((2, 4, 4, 3)))


def weight(*shape):
    return Tensor(np.ones(shape))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv2d(IMAGES, weight(3, 3, 2, 5)), r"conv2d: expected images \(n, h, w, 2\), got \(2, 4, 4, 3\)"),
        (lambda: F.conv2d(IMAGES[0], weight(3, 3, 3, 5)), r"conv2d: expected images \(n, h, w, 3\), got \(4, 4, 3\)"),
        (lambda: F.conv2d(IMAGES, weight(3, 3, 3)), r"conv2d: expected weight \(kh, kw, channels, filters\), got"),
        (lambda: F.conv2d(IMAGES, weight(5, 3, 3, 1)), r"conv2d: a window of \(5, 3\) pixels does not fit .*\(4, 4\)"),
        (lambda: F.conv2d(IMAGES, weight(3, 3, 3, 1), dilation=2), r"conv2d: a window of \(5, 5\) pixels does not fit"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 3, 2), weight(3)), r"conv2d: expected bias \(2,\), got \(3,\)"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 1, 4), groups=3), "conv2d: expected groups to divide the 4 filters"),
        (lambda: F.conv2d(IMAGES, weight(1, 1, 3, 4), groups=0), "conv2d: expected groups to divide the 4 filters"),
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
