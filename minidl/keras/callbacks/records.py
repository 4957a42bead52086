"""What writes the figures of each epoch down: History in memory, CSVLogger in a file."""

from __future__ import annotations

import csv
import os
from typing import Any, TextIO

from minidl.keras.callbacks.callback import Callback, Logs


class History(Callback):
    """What fit() returns.

    history  the figures of every epoch by name: {"loss": [0.9, 0.5], "val_loss": [1.0, 0.7]}
    epoch    the numbers of the epochs, from 0

    fit() puts it into `model.history` as well.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class CSVLogger(Callback):
    """Write a row for each epoch into the file `filename`: the epoch, from 0, then its figures by alphabet.

    `append` goes on in a file that exists, without a second header. The columns are those of the first epoch; where it
    has no validation, columns "val_..." follow all the same, for a later epoch that has. "NA" stands for what is
    missing.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self.csv_file: TextIO | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._close()  # of a fit() that an error ended
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        assert self.csv_file is not None, "CSVLogger: on_train_begin opens the file"
        writer = csv.writer(self.csv_file, delimiter=self.sep)
        if self.keys is None:
            self.keys = _columns(logs)
            if self.csv_file.tell() == 0:
                writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        self.csv_file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()


def _columns(logs: dict[str, Any]) -> list[str]:
    keys = sorted(logs)
    validated = any(key.startswith("val_") for key in keys)
    return keys if validated else keys + [f"val_{key}" for key in keys]


def _cell(value: Any) -> Any:
    """A figure as it is, several as one cell "[1, 2]"."""
    if isinstance(value, str) or getattr(value, "ndim", None) == 0 or not hasattr(value, "__iter__"):
        return value
    return f'"[{", ".join(map(str, value))}]"'
