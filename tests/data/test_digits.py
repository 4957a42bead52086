"""The digits that come with minidl: real, complete, fairly split, and in the form of CIFAR-10."""

import numpy as np
import pytest

from minidl.data import Digits

SIZES = {"train": 1437, "test": 360}


@pytest.mark.parametrize("split", SIZES)
def test_has_the_form_of_cifar10(split):
    digits = Digits(split)
    images, labels = digits.arrays()
    n = SIZES[split]
    assert len(digits) == n
    assert (digits.images.shape, digits.images.dtype) == ((n, 32, 32, 3), np.uint8)
    assert (images.shape, images.dtype) == ((n, 32, 32, 3), np.float32)
    assert (labels.shape, labels.dtype) == ((n,), np.uint8)
    assert (images.min(), images.max()) == (0, 1)
    assert digits.classes == tuple("0123456789")
    image, label = digits[3]
    np.testing.assert_array_equal(image, digits.images[3])
    assert label == labels[3]
    assert [len(part) for part in digits[:10]] == [10, 10]


def test_each_pixel_is_repeated_four_by_four_in_three_channels():
    images = Digits("test").images
    small = images[:, ::4, ::4, :1]
    np.testing.assert_array_equal(images, small.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3))


def test_both_parts_together_are_the_original_digits():
    train, test = Digits("train"), Digits("test")
    counts = np.bincount(train.labels) + np.bincount(test.labels)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # as scikit-learn documents them
    # The sum of all the original values from 0 to 16; a grey value is 255 / 16 times that, rounded.
    ink = np.rint(np.concatenate([train.images, test.images])[:, ::4, ::4, 0] * (16 / 255))
    assert ink.sum() == 561_718
    assert ink.max() == 16


def test_the_first_digit_is_the_originals():
    """Upright and unmirrored: the top and bottom rows of the zero that comes first in the original file."""
    ink = np.rint(Digits("test").images[0, ::4, ::4, 0] * (16 / 255))
    assert ink[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert ink[7].tolist() == [0, 0, 6, 13, 10, 0, 0, 0]


def test_the_split_is_equal_for_every_class():
    assert set(np.bincount(Digits("test").labels)) <= {35, 36, 37}


def test_a_nearest_neighbour_recognises_them():
    """Labels belong to their images: one nearest neighbour is known to be right for about 98 %."""
    (train, train_labels), (test, test_labels) = Digits("train").arrays(), Digits("test").arrays()
    train, test = (images[:, ::4, ::4, 0].reshape(len(images), -1) for images in (train, test))
    distances = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    assert (train_labels[distances.argmin(axis=1)] == test_labels).mean() > 0.97


def test_refuses_an_unknown_split():
    with pytest.raises(ValueError, match="'train' or 'test', got 'val'"):
        Digits("val")
