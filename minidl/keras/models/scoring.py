"""The figures of an epoch: means of the loss, and the metrics that compile() was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy

from minidl.keras import metrics
from minidl.tensor import Tensor


class Scores(Mapping[str, Any]):
    """The figures of an epoch so far, computed when somebody looks."""

    def __init__(self, trackers: Mapping[str, Any]) -> None:
        self.trackers = trackers

    def __getitem__(self, name: str) -> Any:
        """A number; an array of a metric that gives one for each class or threshold."""
        result = self.trackers[name].result()
        return float(result) if numpy.ndim(result) == 0 else numpy.asarray(result)

    def __iter__(self) -> Iterator[str]:
        return iter(self.trackers)

    def __len__(self) -> int:
        return len(self.trackers)


class Scoring:
    """The loss and the metrics by name. What "accuracy" means is decided when the first targets come."""

    def __init__(self, plain: Any, weighted: Any) -> None:
        self.plain, self.weighted = _as_list(plain), _as_list(weighted)
        self.metrics: list[tuple[Any, bool]] | None = None  # with whether the weights of samples count
        self.trackers: dict[str, Any] = {"loss": metrics.Mean(name="loss")}

    def track(self, loss: Tensor, target: Any, predicted: Tensor, weight: Any) -> None:
        """One batch."""
        self.trackers["loss"].update_state(loss.item(), sample_weight=len(predicted))
        if self.metrics is None:
            self._make_metrics(numpy.shape(target), predicted.shape)
        for metric, weighted in self.metrics or []:
            metric.update_state(target, predicted, sample_weight=weight if weighted else None)

    def results(self) -> Scores:
        """The figures so far by name."""
        return Scores(self.trackers)

    def _make_metrics(self, *shapes: tuple[int, ...]) -> None:
        """Of two metrics with one name, the second is called weighted_NAME or NAME_1, as in Keras."""
        asked = [(one, False) for one in self.plain] + [(one, True) for one in self.weighted]
        self.metrics = [(metrics.get(one, *shapes), weighted) for one, weighted in asked]
        for metric, weighted in self.metrics:
            taken = metric.name in self.trackers
            name = f"weighted_{metric.name}" if taken and weighted else metric.name
            again = sum(other == name or other.startswith(f"{name}_") for other in self.trackers)
            self.trackers[f"{name}_{again}" if name in self.trackers else name] = metric


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    values = list(value) if isinstance(value, list | tuple) else [value]
    if any(isinstance(one, dict | list | tuple) for one in values):
        raise NotImplementedError("compile: metrics by output are not supported; give one list of metrics")
    return values
