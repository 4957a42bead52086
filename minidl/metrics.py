"""What people read off a network, without gradients."""

from typing import Any

import numpy


def correct(predicted: Any, target: Any) -> int:
    """How many rows of predictions (n, classes) have their largest number where the one-hot targets have theirs."""
    predicted, target = _rows("correct", predicted, target)
    return int((predicted.argmax(-1) == target.argmax(-1)).sum())


def accuracy(predicted: Any, target: Any) -> float:
    """The share of rows predicted right, from 0 to 1."""
    predicted, target = _rows("accuracy", predicted, target)
    if not len(target):
        raise ValueError("accuracy: expected at least one row, got none")
    return correct(predicted, target) / len(target)


def _rows(metric: str, *inputs: Any) -> list[numpy.ndarray[Any, Any]]:
    arrays = [numpy.asarray(x) for x in inputs]
    predicted, target = arrays
    if predicted.ndim != 2 or predicted.shape != target.shape:
        raise ValueError(f"{metric}: expected predictions and targets (n, classes), got {predicted.shape} and "
                         f"{target.shape}; turn labels into rows with onehotbatch()")  # fmt: skip
    return arrays
