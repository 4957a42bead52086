"""What ends fit() before its last epoch: EarlyStopping and TerminateOnNaN."""

from __future__ import annotations

import math
from typing import Any

from minidl.keras.callbacks.callback import Callback, Logs
from minidl.keras.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stop when the figure `monitor` has not improved for `patience` epochs.

    min_delta              a smaller improvement is none
    verbose                1 says when it stops
    mode                   "min", "max", or "auto" by the name of the figure
    baseline               patience runs on as long as the figure is not better than this
    restore_best_weights   at the end of training, go back to the weights of the best epoch
    start_from_epoch       epochs before this one do not count

    Afterwards `stopped_epoch` (0 if it did not stop), `best`, `best_epoch` and `wait` tell what happened.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self.monitored(logs, "it cannot stop")
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.is_improvement(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Stop as soon as the loss is nan or infinite; with `raise_error`, by a RuntimeError."""

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"TerminateOnNaN: the loss of batch {batch} is {loss}; lower the learning rate")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
