"""Targets and predictions as tensors that fit together; what every loss does first."""

from typing import Any

import numpy

from minidl.backend import Array
from minidl.operands import operands
from minidl.tensor import FLOATS, Tensor


def prediction(y_pred: Any) -> Tensor:
    """The predictions as a tensor of floats; arrays and lists of other numbers become float32."""
    if isinstance(y_pred, Tensor):
        return operands("loss", y_pred)[0]
    array = numpy.asarray(y_pred)
    return Tensor(array, dtype=array.dtype if array.dtype in FLOATS else numpy.float32)


def like(x: Any, predicted: Tensor) -> Tensor:
    """Targets or weights of any number type as a tensor of the predictions' float type; arrays join their backend."""
    if not isinstance(x, Tensor):
        return Tensor(x, predicted.backend, dtype=predicted.dtype)
    return x if x.dtype == predicted.dtype else x.to(dtype=predicted.dtype)


def same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    """Keras's rule where one has an axis of length 1 more, the last: (n,) becomes (n, 1), otherwise the axis goes."""
    if a.ndim > b.ndim:
        b, a = same_rank(b, a)
    elif a.ndim == b.ndim - 1 and b.shape[-1] == 1:
        if a.ndim == 1:
            a = a.reshape(-1, 1)
        else:
            b = b.reshape(b.shape[:-1])
    return a, b


def pair(loss: str, y_true: Any, y_pred: Any, remedy: str = "") -> tuple[Tensor, Tensor]:
    """Targets and predictions as tensors of one shape; ValueError, with the remedy, when they are not."""
    predicted = prediction(y_pred)
    target, predicted = same_rank(like(y_true, predicted), predicted)
    if target.shape != predicted.shape:
        raise ValueError(f"{loss}: expected targets and predictions of one shape, got {target.shape} and "
                         f"{predicted.shape}{remedy}")  # fmt: skip
    target, predicted = operands(loss, target, predicted)
    check_some(loss, predicted)
    return target, predicted


def check_some(loss: str, predicted: Tensor) -> None:
    """ValueError unless there are predictions, each with an axis that its loss can be taken along."""
    if predicted.ndim == 0 or predicted.size == 0:
        raise ValueError(f"{loss}: expected predictions (n, ...) of at least one sample, got shape {predicted.shape}")


def labels_of(loss: str, y_true: Any, predicted: Tensor, ignored: int | None = None) -> Array:
    """Labels (...) or (..., 1) of predictions (..., classes), as whole numbers (...) on the host.

    ValueError for another shape and for a label that is no class; `ignored` may be one that is none.
    """
    labels = y_true.numpy() if isinstance(y_true, Tensor) else numpy.asarray(y_true)
    if labels.dtype.kind not in "biuf":
        raise TypeError(f"{loss}: expected numbers as labels, got {labels.dtype}")
    classes = predicted.shape[-1] if predicted.ndim else 0
    if labels.ndim == predicted.ndim > 0 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != predicted.shape[:-1]:
        rows = labels.shape == predicted.shape
        remedy = "one-hot rows go with categorical_crossentropy" if rows else "there must be one label for each row"
        raise ValueError(f"{loss}: expected labels {predicted.shape[:-1]} of predictions {predicted.shape}, got "
                         f"{labels.shape}; {remedy}")  # fmt: skip
    wrong = ~((labels >= 0) & (labels < classes) & (labels == numpy.floor(labels)))  # true of nan
    if ignored is not None:
        wrong &= labels != ignored
    if wrong.any():
        place = tuple(int(i) for i in numpy.argwhere(wrong)[0])
        remedy = "; binary_crossentropy takes one output" if classes == 1 else ""
        raise ValueError(f"{loss}: expected whole numbers from 0 to {classes - 1} as labels, because the number of "
                         f"classes is {classes}, got {labels[place]} at index {place}{remedy}")  # fmt: skip
    return numpy.where(labels == ignored, 0, labels).astype(numpy.int64) if ignored is not None else labels
