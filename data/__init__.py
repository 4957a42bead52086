"""Data sets, one-hot encoding and the data loader. All of it is NumPy: a Tensor is made from each batch later."""

from minidl.data.augmentation import Cutout, RandomCrop, RandomFlip, to_float
from minidl.data.cifar10 import CIFAR10
from minidl.data.digits import Digits
from minidl.data.encoding import label_smoothing, onecold, onehotbatch
from minidl.data.selection import classes_of, load_data
from minidl.training.data_loader import DataLoader

__all__ = [
    "CIFAR10",
    "Cutout",
    "DataLoader",
    "Digits",
    "RandomCrop",
    "RandomFlip",
    "classes_of",
    "label_smoothing",
    "load_data",
    "onecold",
    "onehotbatch",
    "to_float",
]
