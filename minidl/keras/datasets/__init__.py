"""Data sets in Keras's form: load_data() gives (x_train, y_train), (x_test, y_test) as NumPy arrays."""

from minidl.keras.datasets import cifar10, digits, mnist
from minidl.keras.unsupported import DATASETS, refusing

__all__ = ["cifar10", "digits", "mnist"]

__getattr__ = refusing(__name__, DATASETS)
