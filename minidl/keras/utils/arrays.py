"""Preparing arrays: to_categorical for labels, normalize for samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """Class numbers (...) or (..., 1) -> one-hot rows (..., num_classes) float64, as Keras makes them.

    Without `num_classes` it is the highest number and 1. ValueError for a number below 0 or not below num_classes.
    Losses take float32: in a large data set, minidl.data.onehotbatch makes rows of half the size.
    """
    labels = np.asarray(x).astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = num_classes or int(labels.max(initial=-1)) + 1
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"to_categorical: expected classes from 0 to {classes - 1}, got {labels.min()} "
                         f"to {labels.max()}")  # fmt: skip
    rows = np.zeros((labels.size, classes))
    rows[np.arange(labels.size), labels.ravel()] = 1
    return rows.reshape(*labels.shape, classes)


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> NDArray[Any]:
    """x divided by its norm of that order along `axis`; where the norm is 0, x stays as it is."""
    values = np.asarray(x)
    norm = np.linalg.norm(values.astype(np.float64), order, axis, keepdims=True)
    norm = norm.astype(np.result_type(values, np.float32))
    normalized: NDArray[Any] = values / np.where(norm == 0, np.ones_like(norm), norm)
    return normalized
