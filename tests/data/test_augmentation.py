"""Augmentation: only the promised images come out, all of them do, and the generator alone decides which."""

import numpy as np
import pytest

from minidl.data import Cutout, RandomCrop, RandomFlip, to_float


def numbered_images(n, h=5, w=6, c=3, dtype=np.uint8):
    """Images in which every pixel differs from every other, and none is zero."""
    return (1 + np.arange(n * h * w * c) % 250).reshape(n, h, w, c).astype(dtype)


def crop_by_definition(image, padding, top, left):
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_flip_gives_each_image_or_its_mirror_image(dtype):
    images = numbered_images(200, dtype=dtype)
    flipped = RandomFlip()(images, np.random.default_rng(0))
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 70 < mirrored.sum() < 130
    assert flipped.dtype == dtype


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crop_gives_every_window_of_the_padded_image(padding, dtype):
    n = 40 * (2 * padding + 1) ** 2
    image = numbered_images(1, dtype=dtype)
    cropped = RandomCrop(padding)(image.repeat(n, axis=0), np.random.default_rng(0))
    places = range(2 * padding + 1)
    windows = {crop_by_definition(image[0], padding, top, left).tobytes() for top in places for left in places}
    assert {crop.tobytes() for crop in cropped} == windows
    assert (cropped.shape, cropped.dtype) == ((n, *image.shape[1:]), dtype)


def test_crop_draws_a_place_for_each_image():
    images = numbered_images(50)
    cropped = RandomCrop(2)(images, np.random.default_rng(0))
    for image, crop in zip(images, cropped, strict=True):
        assert any((crop == crop_by_definition(image, 2, top, left)).all() for top in range(5) for left in range(5))


@pytest.mark.parametrize("size", [1, 2, 3, 9, 20])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_cutout_covers_a_square_around_every_pixel(size, dtype):
    h, w, before = 5, 6, size // 2
    image = numbered_images(1, h, w, dtype=dtype)[0]
    mean_colour = image.mean((0, 1)).astype(dtype)

    def covered(row, column):
        expected = image.copy()
        expected[max(0, row - before) : row - before + size, max(0, column - before) : column - before + size] = (
            mean_colour
        )
        return expected.tobytes()

    results = Cutout(size)(np.repeat(image[np.newaxis], 40 * h * w, axis=0), np.random.default_rng(0))
    assert {result.tobytes() for result in results} == {covered(row, column) for row in range(h) for column in range(w)}
    assert (results.shape, results.dtype) == ((40 * h * w, h, w, 3), dtype)


@pytest.mark.parametrize("step", [RandomFlip(), RandomCrop(4), Cutout(3)], ids=repr)
def test_steps_depend_on_the_generator_only_and_leave_their_input_alone(step):
    images = numbered_images(64)
    before = images.copy()
    first, again, other = (step(images, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(first, images)


def test_to_float_scales_bytes_to_one():
    np.testing.assert_array_equal(
        to_float(np.array([0, 51, 255], np.uint8)), np.array([0, 0.2, 1], np.float32), strict=True
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: to_float(np.zeros(3, np.float32)), TypeError, "uint8 pixels from 0 to 255, got float32"),
        (lambda: RandomCrop(-1), ValueError, "0 pixels or more, got -1"),
        (lambda: Cutout(0), ValueError, "1 pixel or more, got 0"),
        (lambda: Cutout()(np.zeros((5, 32, 32)), None), ValueError, r"\(n, h, w, c\), got .*\(5, 32, 32\)"),
        (lambda: RandomFlip()(np.zeros((5, 32, 32)), None), ValueError, r"\(n, h, w, c\), got .*\(5, 32, 32\)"),
        (lambda: RandomCrop()(np.zeros((5, 32, 32)), None), ValueError, r"\(n, h, w, c\), got .*\(5, 32, 32\)"),
    ],
)
def test_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()
