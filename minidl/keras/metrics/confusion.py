"""Metrics that count right and wrong yes and no: precision, recall, and the area under a curve."""

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from minidl.backend import ieee
from minidl.keras.losses.functions import EPSILON
from minidl.keras.losses.pairs import same_rank
from minidl.keras.metrics.metric import Metric, host_arrays

Numbers = NDArray[Any]
KINDS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
NEVER = -1e10  # above no threshold


class _Confusion(Metric):
    """How much, in weights of samples, is truly and falsely yes and no, at each of several thresholds.

    A prediction above a threshold says yes. With top_k, it must also be among the k largest of its row; with class_id,
    only that column counts.
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        default = 0.5 if top_k is None else NEVER
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = [default] if thresholds is None else list(numpy.atleast_1d(thresholds).tolist())
        if thresholds is not None and not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError(f"{type(self).__name__}: expected thresholds from 0 to 1, got {thresholds}")
        self.reset_state()

    def reset_state(self) -> None:
        self.counts = {kind: numpy.zeros(len(self.thresholds)) for kind in KINDS}

    @ieee
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        predicted, target = same_rank(*host_arrays(y_pred, y_true))
        predicted = predicted.astype(numpy.result_type(predicted, numpy.float32), copy=False)
        weights = weights_of(sample_weight, predicted.shape)
        if target.shape != predicted.shape:
            raise ValueError(f"{self.name}: expected targets and predictions of one shape, got {target.shape} and "
                             f"{predicted.shape}; turn labels into rows with to_categorical()")  # fmt: skip
        if self.top_k is not None:
            predicted = _only_top_k(predicted, self.top_k)
        if self.class_id is not None:
            target, predicted, weights = (x[..., self.class_id] for x in (target, predicted, weights))
        self._count(target.astype(bool).ravel(), predicted.ravel(), weights.ravel())

    def _count(self, is_yes: Numbers, predicted: Numbers, weights: Numbers) -> None:
        said_yes = predicted > numpy.array(self.thresholds, predicted.dtype)[:, None]  # (thresholds, predictions)
        right, wrong = said_yes @ (weights * is_yes), said_yes @ (weights * ~is_yes)
        total_yes, total = weights[is_yes].sum(dtype=numpy.float64), weights.sum(dtype=numpy.float64)
        new = (right, wrong, total - total_yes - wrong, total_yes - right)
        for kind, amount in zip(KINDS, new, strict=True):
            self.counts[kind] += amount

    def _share(self, part: str, rest: str) -> Any:
        """part / (part + rest) at each threshold, or one number at one; 0 where there is nothing."""
        return self._each(_divided(self.counts[part], self.counts[part] + self.counts[rest]))

    def _each(self, numbers: Numbers) -> Any:
        return float(numbers[0]) if len(self.thresholds) == 1 else numbers

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return super().get_config() | own


class Precision(_Confusion):
    """The share of the predicted yes that is right: true / (true + false positives)."""

    def result(self) -> Any:
        return self._share("true_positives", "false_positives")


class Recall(_Confusion):
    """The share of the yes that is found: true positives / (true positives + false negatives)."""

    def result(self) -> Any:
        return self._share("true_positives", "false_negatives")


class _Count(_Confusion):
    """One of the four numbers."""

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(thresholds, None, None, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return Metric.get_config(self) | {"thresholds": self.init_thresholds}


class TruePositives(_Count):
    """How much is predicted yes and is."""

    def result(self) -> Any:
        return self._each(self.counts["true_positives"])


class FalsePositives(_Count):
    """How much is predicted yes and is not."""

    def result(self) -> Any:
        return self._each(self.counts["false_positives"])


class TrueNegatives(_Count):
    """How much is predicted no and is."""

    def result(self) -> Any:
        return self._each(self.counts["true_negatives"])


class FalseNegatives(_Count):
    """How much is predicted no and is not."""

    def result(self) -> Any:
        return self._each(self.counts["false_negatives"])


class AUC(_Confusion):
    """The area under the curve of recall over false positives (ROC), or of precision over recall (PR).

    The curve is drawn through num_thresholds points and summed up with trapeziums ("interpolation", for PR with the
    formula of Davis and Goadrich 2006), or with rectangles from below ("minoring") or above ("majoring").
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if multi_label or num_labels is not None or label_weights is not None:
            raise NotImplementedError("AUC: minidl does not have multi_label, num_labels and label_weights; use one "
                                      "AUC for each label")  # fmt: skip
        self.curve, self.summation_method = curve.upper(), summation_method.lower()
        if self.curve not in ("ROC", "PR") or self.summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(f"AUC: expected curve ROC or PR and summation_method interpolation, minoring or majoring, "
                             f"got {curve!r} and {summation_method!r}")  # fmt: skip
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"AUC: expected num_thresholds of 2 or more, got {num_thresholds}")
        inner = numpy.linspace(0, 1, num_thresholds)[1:-1] if thresholds is None else numpy.sort(thresholds)
        super().__init__(inner.tolist(), name=name, dtype=dtype)
        self.thresholds = [-EPSILON, *inner.tolist(), 1 + EPSILON]  # at the ends, all is yes and all is no
        self.init_thresholds, self.from_logits = None if thresholds is None else inner.tolist(), from_logits
        self.reset_state()

    def _count(self, is_yes: Numbers, predicted: Numbers, weights: Numbers) -> None:
        if self.from_logits:
            predicted = 0.5 * (1 + numpy.tanh(0.5 * predicted))  # sigmoid
        super()._count(is_yes, predicted.clip(0, 1), weights)

    @ieee
    def result(self) -> float:
        right, wrong, _, missed = (self.counts[kind] for kind in KINDS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._interpolated_pr(right, wrong, missed)
        recall = _divided(right, right + missed)
        if self.curve == "PR":
            x, y = recall, _divided(right, right + wrong)
        else:
            x, y = _divided(wrong, wrong + self.counts["true_negatives"]), recall
        ends = y[:-1], y[1:]
        height = {"interpolation": sum(ends) / 2, "minoring": numpy.minimum(*ends), "majoring": numpy.maximum(*ends)}
        return float(((x[:-1] - x[1:]) * height[self.summation_method]).sum(dtype=numpy.float64))

    def _interpolated_pr(self, right: Numbers, wrong: Numbers, missed: Numbers) -> float:
        """Between two thresholds, right grows in a straight line with the number p of predicted yes.

        So precision is slope + offset / p, whose integral over recall has a logarithm in it.
        """
        p = right + wrong
        gain = right[:-1] - right[1:]
        slope = _divided(gain, p[:-1] - p[1:])
        offset = right[1:] - slope * p[1:]
        both = (p[:-1] > 0) & (p[1:] > 0)
        ratio = numpy.where(both, _divided(p[:-1], p[1:]), 1)
        areas = _divided(slope * (gain + offset * numpy.log(ratio)), right[1:] + missed[1:])
        return float(areas.sum(dtype=numpy.float64))

    def get_config(self) -> dict[str, Any]:
        own = {"curve": self.curve, "summation_method": self.summation_method, "from_logits": self.from_logits}
        given = {} if self.init_thresholds is None else {"thresholds": self.init_thresholds}
        return Metric.get_config(self) | own | given | {"num_thresholds": len(self.thresholds)}


def weights_of(sample_weight: Any, shape: tuple[int, ...]) -> Numbers:
    """A weight for each prediction, from one for each sample or for each prediction; 1 without."""
    (weights,) = host_arrays(1.0 if sample_weight is None else sample_weight)
    weights = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)) if weights.ndim else weights
    return numpy.broadcast_to(weights, shape).astype(float)


def _only_top_k(predicted: Numbers, k: int) -> Numbers:
    """Everything but the k largest of each row so low that no threshold is below it; of equal ones, the first count."""
    best = (-predicted).argsort(-1, kind="stable")[..., :k]
    kept = numpy.full(predicted.shape, NEVER)
    numpy.put_along_axis(kept, best, numpy.take_along_axis(predicted, best, -1), -1)
    return kept


def _divided(a: Numbers, b: Numbers) -> Numbers:
    """a / b, and 0 where b is 0 or less."""
    return numpy.divide(a, b, out=numpy.zeros(len(a)), where=b > 0)
