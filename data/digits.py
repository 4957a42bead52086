"""Digits: 1,797 real handwritten digits that come with minidl, for learning and testing without a download.

They are the test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI
Machine Learning Repository, https://doi.org/10.24432/C50P49, licensed CC BY 4.0 (see digits.LICENSE.md). Thirteen
people wrote them; each 8 x 8 pixel counts the inked points, 0 to 16, in a 4 x 4 block of the scan.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minidl.data.image_dataset import ImageDataset, check_split

FILE = Path(__file__).with_name("digits.npz")  # images (1797, 8, 8) uint8 from 0 to 16, labels (1797,) uint8
CLASSES = tuple("0123456789")
ENLARGEMENT = 4  # 8 x 8 -> 32 x 32, CIFAR-10's size, so that the same models take both


class Digits(ImageDataset):
    """1,437 training or 360 test images of the digits 0 to 9, in the form of CIFAR-10.

    images (n, 32, 32, 3) uint8: each pixel repeated 4 x 4 times, the grey value (0 is paper, 255 full ink) in all
    three channels; labels (n,) uint8. The split is fixed and equal for every class; both parts have digits of all
    thirteen writers, so a test here says nothing about a new writer's hand.
    """

    def __init__(self, split: str) -> None:
        check_split("Digits", split)
        with np.load(FILE, allow_pickle=False) as file:
            ink, labels = file["images"], file["labels"]
        # Every fifth sample in the order of the classes is for testing. A rule, not a random generator, whose
        # stream a later NumPy may change.
        is_test = np.zeros(len(labels), dtype=bool)
        is_test[np.argsort(labels, kind="stable")[::5]] = True
        chosen = is_test if split == "test" else ~is_test
        grey = np.rint(ink[chosen] * (255 / 16)).astype(np.uint8)
        enlarged = grey.repeat(ENLARGEMENT, axis=1).repeat(ENLARGEMENT, axis=2)
        images = np.repeat(enlarged[..., np.newaxis], 3, axis=3)
        super().__init__(split, images, labels[chosen], CLASSES, "the digits that come with minidl")
