"""The cross-entropies, of each sample. From scores (from_logits) they are computed with minidl's fused function."""

import warnings
from typing import Any

import numpy

from minidl.functions import clip, identity, log, softmax_cross_entropy, where
from minidl.keras.losses.functions import EPSILON
from minidl.keras.losses.pairs import check_some, labels_of, pair, prediction
from minidl.losses import logitbinarycrossentropy
from minidl.tensor import Tensor

TO_ROWS = "; turn labels into rows with to_categorical(y, num_classes), or use sparse_categorical_crossentropy"


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """-sum over classes of y_true * log(y_pred), for targets and predictions (..., classes) -> (...).

    Probabilities are divided by their sum and limited to 1e-7...1 - 1e-7, so a class given probability 0 costs 16.1;
    with from_logits, predictions are scores that have not been through softmax. label_smoothing moves that much of
    each target to all classes alike (Szegedy et al. 2016).
    """
    target, predicted = pair("categorical_crossentropy", y_true, y_pred, TO_ROWS)
    _check_axis("categorical_crossentropy", axis, predicted)
    classes = predicted.shape[-1]
    if classes == 1:
        warnings.warn("categorical_crossentropy: there is one class, so that the loss says nothing; use "
                      "binary_crossentropy for one output", stacklevel=2)  # fmt: skip
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if from_logits:
        return _from_scores(target, predicted)
    shares = clip(predicted / predicted.sum(-1, keepdims=True), EPSILON, 1 - EPSILON)
    return -(target * log(shares)).sum(-1)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """categorical_crossentropy for labels (...) or (..., 1), whole numbers of any type, of predictions (..., classes).

    Samples of ignore_class, which may be no class at all, cost 0. Probabilities are limited to 1e-7...1 - 1e-7 first
    and then divided by their sum. ValueError for a label that is no class.
    """
    loss = "sparse_categorical_crossentropy"
    predicted = prediction(y_pred)
    labels = labels_of(loss, y_true, predicted, ignore_class)
    check_some(loss, predicted)
    _check_axis(loss, axis, predicted)
    xp = predicted.backend.xp
    rows = xp.asarray(labels)[..., None] == xp.arange(predicted.shape[-1])
    target = Tensor(rows, predicted.backend, dtype=predicted.dtype)
    scores = predicted if from_logits else log(clip(predicted, EPSILON, 1 - EPSILON))
    if ignore_class is None:
        return _from_scores(target, scores)
    valid = valid_labels(y_true, ignore_class).reshape(labels.shape)
    losses = _from_scores(target, where(valid[..., None], scores, 0.0))
    return where(valid, losses, 0.0)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """The mean over `axis` of -y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred).

    Probabilities are limited to 1e-7...1 - 1e-7; with from_logits, predictions are scores that have not been through
    sigmoid. label_smoothing moves targets that much closer to 1/2.
    """
    target, predicted = pair("binary_crossentropy", y_true, y_pred, "; use categorical_crossentropy for classes")
    if label_smoothing:
        target = target * (1 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        losses = logitbinarycrossentropy(predicted, target, agg=identity)
    else:
        share = clip(predicted, EPSILON, 1 - EPSILON)
        losses = -(target * log(share) + (1 - target) * log(1 - share))
    return losses.mean(axis)


def valid_labels(y_true: Any, ignore_class: int) -> Any:
    """Which labels count, as booleans on the host."""
    return (y_true.numpy() if isinstance(y_true, Tensor) else numpy.asarray(y_true)) != ignore_class


def _from_scores(target: Tensor, scores: Tensor) -> Tensor:
    if scores.ndim == 2:
        return softmax_cross_entropy(scores, target)
    rows = (-1, scores.shape[-1])
    return softmax_cross_entropy(scores.reshape(rows), target.reshape(rows)).reshape(scores.shape[:-1])


def _check_axis(loss: str, axis: int, predicted: Tensor) -> None:
    if axis not in (-1, predicted.ndim - 1):
        raise NotImplementedError(f"{loss}: expected classes along the last axis, got axis={axis}; transpose the "
                                  f"predictions")  # fmt: skip
