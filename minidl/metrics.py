"""What people read off a network, without gradients."""

from typing import Any

import numpy

from minidl.tensor import Tensor


def correct(predicted: Any, target: Any) -> int:
    """How many rows of predictions (n, classes) have their largest number where the one-hot targets have theirs."""
    return int((_rows(predicted).argmax(-1) == _rows(target).argmax(-1)).sum())


def accuracy(predicted: Any, target: Any) -> float:
    """The share of rows predicted right, from 0 to 1."""
    return correct(predicted, target) / len(_rows(target))


def _rows(x: Any) -> Any:
    return x.numpy() if isinstance(x, Tensor) else numpy.asarray(x)
