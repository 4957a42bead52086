"""ProgbarLogger: what fit(verbose=1) and fit(verbose=2) print, and evaluate() and predict()."""

from __future__ import annotations

from typing import Any

from minidl.keras.callbacks.callback import Callback, Logs
from minidl.keras.utils.progbar import Progbar, show


class ProgbarLogger(Callback):
    """Prints "Epoch 1/5" and a Progbar for each epoch; fit() adds it unless verbose is 0.

    Validation inside fit() has no bar of its own. The logs of a batch are read only when a bar is to be drawn, about
    twenty times a second: on a GPU, to read them is to wait for it.
    """

    def __init__(self) -> None:
        self.verbose, self.epochs = 1, 1
        self.target: int | None = None
        self.seen = 0
        self.progbar = self._new_bar()
        self._in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        """`verbose` ("auto" is 1), `epochs` and `steps`, None where nobody knows how many there will be."""
        super().set_params(params)
        self.verbose = 1 if params["verbose"] == "auto" else int(params["verbose"])
        self.epochs, self.target = params["epochs"], params["steps"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._start()
        if self.verbose and self.epochs > 1:
            show(f"Epoch {epoch + 1}/{self.epochs}\n")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._update(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._in_fit:
            self._update(batch, logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._update(batch, None)  # the predictions are no figures to show

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(None)

    def _new_bar(self) -> Progbar:
        return Progbar(self.target, verbose=self.verbose, stateless_metrics=())  # logs are means already

    def _start(self) -> None:
        self.seen, self.progbar = 0, self._new_bar()

    def _update(self, batch: int, logs: Logs) -> None:
        self.seen = batch + 1
        if self.verbose == 1:
            due = logs and self.progbar.is_due()
            self.progbar.update(self.seen, sorted(logs.items()) if logs and due else None, finalize=False)

    def _finish(self, logs: Logs) -> None:
        if self.target is None:  # known now, for the epochs that follow
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, list((logs or {}).items()), finalize=True)
