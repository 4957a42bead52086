"""What people read off a network, without gradients."""

from typing import Any

from minidl.backend import Array, get_backend
from minidl.tensor import Tensor


def correct(predicted: Any, target: Any) -> int:
    """How many rows of predictions (n, classes) have their largest number where the one-hot targets have theirs."""
    return int(count_correct(predicted, target))


def count_correct(predicted: Any, target: Any) -> Array:
    """What correct() counts, as an array of one number: on a GPU, nobody waits for it until it is read."""
    predicted, target = _rows("correct", predicted, target)
    return (predicted.argmax(-1) == target.argmax(-1)).sum()


def accuracy(predicted: Any, target: Any) -> float:
    """The share of rows predicted right, from 0 to 1."""
    predicted, target = _rows("accuracy", predicted, target)
    if not len(target):
        raise ValueError("accuracy: expected at least one row, got none")
    return correct(predicted, target) / len(target)


def _rows(metric: str, *inputs: Any) -> list[Array]:
    """The inputs as arrays on the backend of the tensors among them."""
    backend = next((x.backend for x in inputs if isinstance(x, Tensor)), get_backend("cpu"))
    arrays = [backend.asarray(x.array if isinstance(x, Tensor) else x) for x in inputs]
    predicted, target = arrays
    if predicted.ndim != 2 or predicted.shape != target.shape:
        raise ValueError(f"{metric}: expected predictions and targets (n, classes), got {predicted.shape} and "
                         f"{target.shape}; turn labels into rows with onehotbatch()")  # fmt: skip
    return arrays
