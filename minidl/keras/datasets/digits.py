"""The handwritten digits that come with minidl, in the form of cifar10: nothing has to be downloaded."""

import numpy as np

from minidl.data import Digits
from minidl.keras.datasets.cifar10 import Part


def load_data() -> tuple[Part, Part]:
    """(x_train, y_train), (x_test, y_test): images (1437, 32, 32, 3) and (360, ...) uint8, labels (n, 1) uint8."""
    train, test = Digits("train"), Digits("test")
    return (train.images, train.labels[:, np.newaxis]), (test.images, test.labels[:, np.newaxis])
