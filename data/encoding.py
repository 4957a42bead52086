"""From labels to one-hot rows and back, after Flux's onehotbatch, label_smoothing and onecold.

Flux has one column per sample; here features are the last axis, so it is one row per sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def onehotbatch(labels: Any, classes: Sequence[Any], default: Any = None) -> NDArray[np.float32]:
    """labels (n,) -> (n, len(classes)) float32: row i has its only 1 where `classes` has labels[i].

    A label that is not in `classes` is a ValueError, unless `default`, one of the classes, is named to stand for it.
    """
    names = _classes_array("onehotbatch", classes)
    given = _to_numpy(labels)
    matches: NDArray[np.bool_] = given[..., np.newaxis] == names
    unknown = ~matches.any(axis=-1)
    if unknown.any():
        if default is None:
            raise ValueError(
                f"onehotbatch: label {given[unknown].flat[0]!r} is not one of the {len(names)} classes {classes!r}. "
                "Add it to the classes, or name the class that stands for all unknown labels: default=..."
            )
        if default not in classes:
            raise ValueError(f"onehotbatch: expected default to be one of the classes {classes!r}, got {default!r}.")
        matches[unknown] = names == default
    return matches.astype(np.float32)


def label_smoothing(targets: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """One-hot rows (..., c) -> (1 - amount) * targets + amount / c: nobody is to be quite sure (Szegedy et al. 2015).

    `amount` from 0, which changes nothing, up to 1, which leaves no class more probable than another.
    """
    if not 0 <= amount <= 1:
        raise ValueError(f"label_smoothing: expected an amount from 0 to 1, got {amount}.")
    if targets.ndim == 0 or targets.shape[-1] == 0:
        raise ValueError(f"label_smoothing: expected one-hot rows (..., c), got an array of shape {targets.shape}.")
    smoothed: NDArray[np.float32] = (1 - amount) * targets + np.float32(amount / targets.shape[-1])
    return smoothed


def onecold(scores: Any, classes: Sequence[Any] | None = None) -> NDArray[Any]:
    """scores (..., c) -> (...): the class with the highest score along the last axis; the first one if several tie.

    Without `classes` it is the class's index, 0 to c - 1.
    """
    values = _to_numpy(scores)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(f"onecold: expected scores (..., c) with c of at least 1, got shape {values.shape}.")
    winners = np.asarray(values.argmax(axis=-1))
    if classes is None:
        return winners
    names = _classes_array("onecold", classes)
    if len(names) != values.shape[-1]:
        raise ValueError(
            f"onecold: expected one class per score, got {len(names)} classes for scores of shape {values.shape}."
        )
    return np.asarray(names[winners])


def _classes_array(function: str, classes: Sequence[Any]) -> NDArray[Any]:
    names = np.asarray(classes)
    if names.ndim != 1 or len(names) == 0 or len(np.unique(names)) != len(names):
        raise ValueError(f"{function}: expected a list of classes, each once, such as range(10); got {classes!r}.")
    return names


def _to_numpy(values: Any) -> NDArray[Any]:
    """NumPy arrays and lists as they are; a Tensor, on whatever backend, through its .numpy()."""
    return values.numpy() if hasattr(values, "numpy") else np.asarray(values)
