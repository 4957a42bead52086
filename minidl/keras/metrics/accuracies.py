"""How often predictions are right: functions (y_true, y_pred) -> booleans, and metrics that are their mean."""

from typing import Any

import numpy
from numpy.typing import NDArray

from minidl.backend import Array
from minidl.keras.losses.pairs import same_rank
from minidl.keras.metrics.metric import BuiltIn, arrays, host_arrays


def accuracy(y_true: Any, y_pred: Any) -> Array:
    """Where predictions equal targets."""
    target, predicted = same_rank(*arrays(y_true, y_pred))
    return target == predicted


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """Where a prediction above the threshold meets target 1, and another target 0."""
    target, predicted = same_rank(*arrays(y_true, y_pred))
    return target == (predicted > threshold)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Where the largest number of a row is that of the one-hot target: (..., classes) twice -> (...)."""
    target, predicted = arrays(y_true, y_pred)
    if target.shape != predicted.shape:
        raise ValueError(f"categorical_accuracy: expected targets and predictions of one shape, got {target.shape} and "
                         f"{predicted.shape}; labels go with sparse_categorical_accuracy")  # fmt: skip
    return target.argmax(-1) == predicted.argmax(-1)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Where the largest number of a row (..., classes) is at the place that the label (...) or (..., 1) says."""
    target, predicted = _labels("sparse_categorical_accuracy", y_true, y_pred)
    return target == predicted.argmax(-1)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Where fewer than k numbers of a row are above that of the one-hot target's class."""
    target, predicted = host_arrays(y_true, y_pred)
    return _in_top_k(target.argmax(-1), predicted, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Where fewer than k numbers of a row are above that of the label's class."""
    target, predicted = _labels("sparse_top_k_categorical_accuracy", *host_arrays(y_true, y_pred))
    return _in_top_k(target, predicted, k)


def _labels(metric: str, y_true: Any, y_pred: Any) -> list[Array]:
    target, predicted = arrays(y_true, y_pred)
    if target.ndim == predicted.ndim and target.shape[-1] == 1:
        target = target[..., 0]
    if target.shape != predicted.shape[:-1]:
        raise ValueError(f"{metric}: expected labels {predicted.shape[:-1]} of predictions {predicted.shape}, got "
                         f"{target.shape}; one-hot rows go with {metric.removeprefix('sparse_')}")  # fmt: skip
    return [target, predicted]


def _in_top_k(labels: NDArray[Any], predicted: NDArray[Any], k: int) -> NDArray[Any]:
    own = numpy.take_along_axis(predicted, labels[..., None].astype(numpy.int64), -1)
    matches: NDArray[Any] = ((predicted > own).sum(-1) < k) & numpy.isfinite(own[..., 0])
    return matches


class Accuracy(BuiltIn):
    """How often predictions equal targets."""

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(BuiltIn):
    """How often predictions are on the right side of the threshold."""

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(BuiltIn):
    """How often the largest number of a row is that of the one-hot target."""

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(BuiltIn):
    """How often the largest number of a row is that of the label."""

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(BuiltIn):
    """How often the one-hot target's class is among the k largest."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(BuiltIn):
    """How often the label's class is among the k largest."""

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)
