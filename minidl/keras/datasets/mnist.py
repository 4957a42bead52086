"""MNIST in Keras's form: 70,000 handwritten digits of 28 x 28 grey pixels (LeCun, Cortes and Burges 1998)."""

import numpy as np

from minidl.data.cifar10 import DataNotFoundError
from minidl.data.download import DownloadError
from minidl.keras.datasets.cifar10 import Part
from minidl.keras.utils.files import get_file

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> tuple[Part, Part]:
    """(x_train, y_train), (x_test, y_test): images (60000, 28, 28) and (10000, 28, 28) uint8, labels (n,) uint8.

    The file `path` lies in the folder that the environment variable MINIDL_DATA names, or else in the user's cache;
    if it does not, it is downloaded (11 MB). DataNotFoundError if that fails.
    """
    try:
        file = get_file(path, URL, file_hash=SHA256, cache_subdir="")
    except DownloadError as error:
        raise DataNotFoundError(
            f"MNIST is not here: {error}\n"
            f"One of these helps:\n"
            f"  fetch {URL} on any machine, and name the folder that has it: MINIDL_DATA=FOLDER\n"
            f"  use the digits that come with minidl: minidl.keras.datasets.digits.load_data()",
            str(error),
        ) from error
    with np.load(file, allow_pickle=False) as arrays:
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
