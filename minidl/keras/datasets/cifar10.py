"""CIFAR-10 in Keras's form."""

import numpy as np
from numpy.typing import NDArray

from minidl.data import CIFAR10

Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def load_data() -> tuple[Part, Part]:
    """(x_train, y_train), (x_test, y_test): images (50000, 32, 32, 3) and (10000, ...) uint8, labels (n, 1) uint8.

    Looks for the files where minidl.data.CIFAR10 does, and downloads them if need be; the same errors.
    """
    train, test = CIFAR10("train"), CIFAR10("test")
    return (train.images, train.labels[:, np.newaxis]), (test.images, test.labels[:, np.newaxis])
