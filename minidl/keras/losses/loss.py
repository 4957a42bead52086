"""From the losses of samples to the one number that is made small: weights, reductions, and losses as objects."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from minidl.backend import Array, ieee
from minidl.keras.losses import crossentropy, functions
from minidl.keras.losses.crossentropy import valid_labels
from minidl.keras.losses.pairs import like, prediction, same_rank
from minidl.keras.objects import auto_name, check_dtype
from minidl.ops.elementwise import weighted
from minidl.tensor import Tensor

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)
EXPECTS = {  # the activation whose result a cross-entropy takes
    crossentropy.categorical_crossentropy: "softmax",
    crossentropy.sparse_categorical_crossentropy: "softmax",
    crossentropy.binary_crossentropy: "sigmoid",
}


class Loss:
    """What losses share. A new one defines call(y_true, y_pred), which gives a tensor of the losses of samples.

    reduction: how they become one number: sum_over_batch_size and mean divide their sum by their number,
    mean_with_sample_weight by the sum of the weights, if there are any; sum does not, and with none they stay.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        check_dtype(type(self).__name__, dtype)
        if reduction not in REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: expected reduction one of {REDUCTIONS}, got {reduction!r}")
        self.name, self.reduction = name or auto_name(type(self).__name__), reduction

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of predictions, which may be a tensor that knows where it comes from.

        sample_weight: a number for each of the losses that call() gives, or for each group along a broadcast axis.
        """
        predicted = prediction(y_pred)
        losses = self.call(self._target(y_true, predicted), predicted)
        if not isinstance(losses, Tensor):
            raise TypeError(f"{self.name}: expected call() to return a Tensor, got {type(losses).__name__}")
        return _reduced(self.name, losses, sample_weight, self._valid(y_true), self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """The losses of samples; both arguments are tensors of one float type."""
        raise NotImplementedError(f"{type(self).__name__} does not define call(y_true, y_pred)")

    @property
    def activation(self) -> str | None:
        """The activation that belongs in front of this loss, be it part of it (from_logits) or not: see `expects`."""
        return None

    @property
    def expects(self) -> str | None:
        """The activation whose result this loss takes, "softmax" or "sigmoid"; None if it is no cross-entropy of those.

        with_logits() is then its equal for the scores before the activation, and exact where probabilities round to 0
        or 1. Keras trains with that one where a network ends in the activation.
        """
        return None

    def with_logits(self) -> "Loss":
        """The same loss of scores instead of probabilities; ValueError unless it `expects` an activation."""
        raise ValueError(f"{self.name}: expected a cross-entropy of probabilities, which this loss is not")

    def _target(self, y_true: Any, predicted: Tensor) -> Any:
        return like(y_true, predicted)

    def _valid(self, y_true: Any) -> Array | None:
        """Which samples count, as booleans; None for all."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal loss."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Loss":
        """The loss that get_config() described."""
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A function of y_true and y_pred, and settings for it by name, as a loss."""

    def __init__(
        self,
        fn: Callable[..., Tensor],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn, self.settings = fn, settings

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return self.fn(y_true, y_pred, **self.settings)

    @property
    def activation(self) -> str | None:
        kind = type(self)
        is_plain = kind.call is LossFunctionWrapper.call and kind.__call__ is Loss.__call__
        return EXPECTS.get(self.fn) if is_plain else None  # a call() of yours is given what the model predicts

    @property
    def expects(self) -> str | None:
        return None if self.settings.get("from_logits") else self.activation

    def with_logits(self) -> Loss:
        if self.expects is None:
            return super().with_logits()
        again = copy.copy(self)
        again.settings = {**self.settings, "from_logits": True}
        return again

    def _target(self, y_true: Any, predicted: Tensor) -> Any:
        if getattr(self.fn, "__module__", None) in (functions.__name__, crossentropy.__name__):
            return y_true  # these turn it into what they need
        return same_rank(like(y_true, predicted), predicted)[0]

    def _valid(self, y_true: Any) -> Array | None:
        ignored = self.settings.get("ignore_class")
        return None if ignored is None else valid_labels(y_true, ignored)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.settings


@ieee
def _reduced(name: str, losses: Tensor, sample_weight: Any, valid: Array | None, reduction: str | None) -> Tensor:
    """The losses weighted and, depending on `reduction`, added up; a mean leaves out those that are not valid."""
    weights = None if sample_weight is None else like(sample_weight, losses)
    if weights is not None:
        losses, weights = same_rank(losses, weights)
        if weights.ndim and (weights.ndim != losses.ndim or any(
            size not in (1, there) for size, there in zip(weights.shape, losses.shape, strict=True)
        )):  # fmt: skip
            raise ValueError(f"{name}: expected sample_weight of shape {losses.shape}, one for each loss, or with axes "
                             f"of length 1, got {weights.shape}")  # fmt: skip
        losses = weighted(weights, losses)
    if reduction in (None, "none") or losses.ndim == 0:
        return losses
    if reduction == "sum":
        return losses.sum()
    if weights is not None and reduction == "mean_with_sample_weight":
        counting = weights.numpy() * (1 if valid is None else valid.reshape(losses.shape))
        return _divided(losses.sum(), counting.sum(dtype="float64"))
    return losses.mean() if valid is None else _divided(losses.sum(), valid.sum())


def _divided(total: Tensor, weight: Any) -> Tensor:
    """total / weight, and 0 where nothing counts."""
    return total / float(weight) if weight else 0 * total
