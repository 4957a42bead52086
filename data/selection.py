"""Which data set a command works on: its option --data."""

from __future__ import annotations

import os
from collections.abc import Callable

from minidl.data import cifar10, digits
from minidl.data.cifar10 import CIFAR10, DataNotFoundError
from minidl.data.digits import Digits
from minidl.data.image_dataset import ImageDataset

NAMES = ("auto", "cifar10", "digits")


def load_data(
    name: str = "auto", data_dir: str | os.PathLike[str] | None = None, say: Callable[[str], object] = print
) -> tuple[ImageDataset, ImageDataset]:
    """(training data, test data) of "cifar10" or "digits"; "auto" is CIFAR-10 if it can be had, else the digits.

    `say` gets one line: what it is and where it comes from. Damaged CIFAR-10 files are an error even with "auto",
    for whoever has them wants them used.
    """
    if name not in NAMES:
        raise ValueError(f"load_data: expected one of {', '.join(NAMES)}, got {name!r}.")
    why = ""
    if name == "digits":
        train, test = _digits()
    else:
        try:
            train, test = CIFAR10("train", data_dir), CIFAR10("test", data_dir)
        except DataNotFoundError as error:
            if name == "cifar10":
                raise
            train, test = _digits()
            why = f", because CIFAR-10 is not here ({error.reason})"
    say(f"Data: {type(train).__name__}, {len(train):,} training and {len(test):,} test images from {train.source}{why}")
    return train, test


def classes_of(name: str) -> tuple[str, ...]:
    """The names of the classes of "cifar10" or "digits", without reading it."""
    classes = {"cifar10": cifar10.CLASSES, "digits": digits.CLASSES}
    if name not in classes:
        raise ValueError(f"classes_of: expected one of {', '.join(classes)}, got {name!r}.")
    return classes[name]


def _digits() -> tuple[ImageDataset, ImageDataset]:
    return Digits("train"), Digits("test")
