"""What CIFAR10 and Digits have in common: labelled images in memory, as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data.augmentation import to_float

SPLITS = ("train", "test")


class ImageDataset:
    """Labelled images.

    images   (n, 32, 32, 3) uint8, channels last: red, green, blue
    labels   (n,) uint8, each an index into `classes`
    classes  the names of the classes
    source   where the images come from, in words
    """

    def __init__(
        self, split: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], classes: tuple[str, ...], source: str
    ) -> None:
        self.split = split
        self.images = images
        self.labels = labels
        self.classes = classes
        self.source = source

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """All images as float32 from 0 to 1, and the labels: (n, 32, 32, 3), (n,).

        The floats of CIFAR-10's training part take 614 MB. `DataLoader((images, ...), augment=[to_float])` on the
        uint8 images gives the same numbers batch by batch.
        """
        return to_float(self.images), self.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> tuple[NDArray[np.uint8], Any]:
        """(images, labels) at any NumPy index: dataset[7] is one image and its label, dataset[:1000] a thousand."""
        return self.images[index], self.labels[index]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.split!r}): {len(self):,} images from {self.source}"


def check_split(dataset: str, split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"{dataset}: expected split 'train' or 'test', got {split!r}.")
