"""What EarlyStopping, ReduceLROnPlateau and ModelCheckpoint have in common: watching whether a figure gets better."""

from __future__ import annotations

import warnings
from typing import Any

from minidl.keras.callbacks.callback import Callback, Logs

FALLING = {
    "loss", "error", "crossentropy", "hinge", "divergence", "poisson", "logcosh",
    "mse", "mae", "mape", "msle", "rmse", "bce", "kld",
}  # fmt: skip
RISING = {
    "accuracy", "acc", "auc", "precision", "recall", "sensitivity", "specificity", "score", "similarity",
    "correlation", "iou", "io",
}  # fmt: skip
# "io" is what Keras makes of IoU: "mean_io_u"


class MonitorCallback(Callback):
    """Watches logs[monitor] and knows whether it has improved by more than `min_delta`.

    `mode` is "min", "max" or "auto", which tells the direction from the words in the name: "val_loss" should fall,
    "val_accuracy" rise. ValueError for another mode, and in mode "auto" for a name that says neither.
    """

    best: float | None

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: expected mode 'auto', 'min' or 'max', got {mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self._falls = mode == "min" if mode != "auto" else None

    def is_improvement(self, value: float, than: float | None) -> bool:
        """Whether `value` is better than another; than None it always is."""
        if self._falls is None:
            self._falls = self._direction_by_name()
        if than is None:
            return True
        return value + self.min_delta < than if self._falls else value - self.min_delta > than

    def _direction_by_name(self) -> bool:
        for word in reversed(self.monitor.split("_")):
            if word in FALLING or word in RISING:
                return word in FALLING
        raise ValueError(
            f"{type(self).__name__}: cannot tell from the name {self.monitor!r} whether it should rise or fall; "
            f"give mode='max' or mode='min'"
        )

    def monitored(self, logs: Logs, consequence: str) -> Any:
        """The figure of this epoch, or None with a warning where there is none."""
        logs = logs or {}
        if self.monitor not in logs:
            warnings.warn(
                f"{type(self).__name__}: expected {self.monitor!r} in the logs, got {', '.join(logs)}; {consequence}",
                stacklevel=3,
            )
        return logs.get(self.monitor)
