"""Callback: what watches fit(), evaluate() and predict(), with the hooks of Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Logs = dict[str, Any] | None  # figures by name: {"loss": 0.5, "val_loss": 0.6}


class Callback:
    """Something that watches training, evaluation or prediction: subclass it and write the hooks you need.

    self.model   the model, once it runs
    self.params  {"verbose", "epochs", "steps"} of the run

    Epochs and batches count from 0. A hook of batches costs nothing where nobody writes it. To stop training, set
    `self.model.stop_training = True`.
    """

    params: dict[str, Any] | None = None  # on the class, so that a subclass need not call super().__init__()
    _model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    @property
    def model(self) -> Any:
        return self._model

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch of fit()."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch of fit(), with its logs."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before evaluate(), or validation inside fit()."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After evaluate(), or validation inside fit(), with its results."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before predict()."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After predict()."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before each epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After each epoch and its validation, with the means of both: "loss", "val_loss" and so on."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The older name of on_train_batch_begin."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The older name of on_train_batch_end."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before each training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After each training step, with the means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before each batch of evaluate() or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After each batch of evaluate() or validation, with the means so far."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before each batch of predict()."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After each batch of predict()."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
BATCH_HOOKS = tuple(name for name in HOOKS if "_batch_" in name)


class LambdaCallback(Callback):
    """A callback made of functions: LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs)).

    Takes any hook of Callback by its name; TypeError for a name that is none.
    """

    def __init__(self, **hooks: Callable[..., object] | None) -> None:
        for name, function in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: expected hooks of Callback ({', '.join(HOOKS)}), got {name!r}")
            if function is not None:
                setattr(self, name, function)
