"""F scores, which weigh precision and recall against each other."""

from typing import Any

import numpy

from minidl.backend import ieee
from minidl.keras.losses.functions import EPSILON
from minidl.keras.metrics.confusion import weights_of
from minidl.keras.metrics.metric import Metric, host_arrays


class FBetaScore(Metric):
    """(1 + beta ** 2) * precision * recall / (beta ** 2 * precision + recall), for one-hot rows (n, classes).

    Without a threshold, the largest number of a row says yes. average: None gives one score for each class, "macro"
    their mean, "weighted" their mean by the number of samples, "micro" the score of all classes together.
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{type(self).__name__}: expected average None, micro, macro or weighted, got {average!r}")
        if not beta > 0 or (threshold is not None and not 0 < threshold <= 1):
            raise ValueError(f"{type(self).__name__}: expected beta above 0 and a threshold above 0 and up to 1, got "
                             f"{beta} and {threshold}")  # fmt: skip
        self.average, self.beta, self.threshold = average, beta, threshold
        self.reset_state()

    def reset_state(self) -> None:
        self.right, self.said, self.are = (numpy.zeros(1) for _ in range(3))

    @ieee
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        target, predicted = host_arrays(y_true, y_pred)
        if target.ndim != 2 or target.shape != predicted.shape:
            raise ValueError(f"{self.name}: expected targets and predictions (n, classes), got {target.shape} and "
                             f"{predicted.shape}; turn labels into rows with to_categorical()")  # fmt: skip
        weights = weights_of(sample_weight, target.shape)
        if self.threshold is None:
            said = (predicted == predicted.max(-1, keepdims=True)) & (abs(predicted) > 1e-9)
        else:
            said = predicted > self.threshold
        axis = None if self.average == "micro" else 0
        self.right = self.right + (weights * said * target).sum(axis, dtype=numpy.float64)
        self.said = self.said + (weights * said).sum(axis, dtype=numpy.float64)
        self.are = self.are + (weights * target).sum(axis, dtype=numpy.float64)

    @ieee
    def result(self) -> Any:
        precision, recall = self.right / (self.said + EPSILON), self.right / (self.are + EPSILON)
        square = self.beta**2
        scores = (1 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return float((scores * self.are).sum(dtype=numpy.float64) / (self.are.sum(dtype=numpy.float64) + EPSILON))
        return float(scores.mean(dtype=numpy.float64))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """2 * precision * recall / (precision + recall); see FBetaScore."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config
