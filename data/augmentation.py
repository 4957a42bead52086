"""Steps that a DataLoader applies to each batch of images: `DataLoader(..., augment=[RandomCrop(4), RandomFlip()])`.

A step is any callable `step(images, generator)`: images (n, h, w, c) in, as many images out. All its chance comes
from the NumPy Generator it is given, so the same generator state gives the same images.

Cropping and flipping are the augmentation with which He et al., "Deep Residual Learning for Image Recognition"
(2015), section 4.2, train on CIFAR-10. All steps work on uint8 as on floats; put `to_float` last, because moving
bytes is four times cheaper than moving floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from minidl.whole_numbers import whole_number


def to_float(images: NDArray[np.uint8], generator: np.random.Generator | None = None) -> NDArray[np.float32]:
    """Pixels of any shape, uint8 from 0 to 255, to float32 from 0 to 1. Uses no chance."""
    if images.dtype != np.uint8:
        raise TypeError(f"to_float: expected uint8 pixels from 0 to 255, got {images.dtype}. Leave floats as they are.")
    return np.divide(images, np.float32(255), dtype=np.float32)


class RandomFlip:
    """Mirror each image left to right, or not, with equal probability."""

    def __call__(self, images: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
        """images (n, h, w, c) -> new array (n, h, w, c)."""
        _check_images("RandomFlip", images)
        mirrored = generator.random(len(images)) < 0.5
        flipped = images.copy()
        flipped[mirrored] = images[mirrored, :, ::-1]
        return flipped

    def __repr__(self) -> str:
        return "RandomFlip()"


class RandomCrop:
    """Shift each image by up to `padding` pixels in both directions; what comes in from outside is zero.

    The same as padding with zeros on all four sides and cutting a window of the old size at a random place, all
    (2 padding + 1)^2 places being equally likely.
    """

    def __init__(self, padding: int = 4) -> None:
        self.padding = whole_number("RandomCrop", "padding", padding)
        if padding < 0:
            raise ValueError(f"RandomCrop: padding must be 0 pixels or more, got {padding}.")

    def __call__(self, images: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
        """images (n, h, w, c) -> new array (n, h, w, c)."""
        _check_images("RandomCrop", images)
        n, h, w, c = images.shape
        p = self.padding
        padded = np.zeros((n, h + 2 * p, w + 2 * p, c), images.dtype)
        padded[:, p : p + h, p : p + w] = images
        windows = sliding_window_view(padded, (h, w, c), axis=(1, 2, 3))  # (n, 2p + 1, 2p + 1, 1, h, w, c), no copy
        top, left = generator.integers(0, 2 * p + 1, size=(2, n))
        cropped: NDArray[Any] = windows[np.arange(n), top, left, 0]
        return cropped

    def __repr__(self) -> str:
        return f"RandomCrop(padding={self.padding})"


class Cutout:
    """Cover a square of `size` x `size` pixels of each image with the image's mean colour.

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout" (2017). The square's
    centre is any pixel with equal probability, so that part of the square may lie outside. Their cover is zero, on
    images from which the mean colour of the data set was subtracted.
    """

    def __init__(self, size: int = 8) -> None:
        self.size = whole_number("Cutout", "size", size)
        if size < 1:
            raise ValueError(f"Cutout: size must be 1 pixel or more, got {size}.")

    def __call__(self, images: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
        """images (n, h, w, c) -> new array (n, h, w, c)."""
        _check_images("Cutout", images)
        n, h, w, _ = images.shape
        covered_rows = self._covered(generator.integers(0, h, size=(n,)), h)
        covered_columns = self._covered(generator.integers(0, w, size=(n,)), w)
        covered = covered_rows[:, :, np.newaxis] & covered_columns[:, np.newaxis, :]
        mean_colour = images.mean((1, 2), keepdims=True, dtype=np.float64).astype(images.dtype)
        covered_images: NDArray[Any] = np.where(covered[..., np.newaxis], mean_colour, images)
        return covered_images

    def _covered(self, centres: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        """(n, length): whether a row or column lies at centre - size // 2 or one of the size - 1 that follow it."""
        behind_the_first = np.arange(length) - (centres[:, np.newaxis] - self.size // 2)
        return (behind_the_first >= 0) & (behind_the_first < self.size)

    def __repr__(self) -> str:
        return f"Cutout({self.size})"


def _check_images(step: str, images: NDArray[Any]) -> None:
    if images.ndim != 4:
        raise ValueError(f"{step}: expected images (n, h, w, c), got an array of shape {images.shape}.")
