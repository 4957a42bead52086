"""What saves the model while it trains: ModelCheckpoint for keeping, BackupAndRestore for going on after a crash."""

from __future__ import annotations

import os
from pathlib import Path

from minidl.keras.callbacks.callback import Callback, Logs
from minidl.keras.callbacks.monitor import MonitorCallback


class _SaveEvery:
    """Counts batches, over epochs, and says when `every` of them have gone by; "epoch" is never in the midst of one."""

    def __init__(self, owner: str, every: str | int) -> None:
        if every != "epoch" and (isinstance(every, (bool, str)) or every < 1):
            raise ValueError(f"{owner}: expected save_freq 'epoch' or a number of batches, got {every!r}")
        self.every = every
        self.batches = 0

    def batch_ended(self) -> bool:
        if isinstance(self.every, str):
            return False
        self.batches += 1
        if self.batches < self.every:
            return False
        self.batches = 0
        return True


class ModelCheckpoint(MonitorCallback):
    """Save the model, or only its weights, after each epoch or after every `save_freq` batches.

    filepath                 may have places for the epoch (from 1), the batch and every figure:
                             "{epoch:02d}-{val_loss:.2f}.keras"; ends in ".keras", or, for weights only, in
                             ".weights.h5"; in ".safetensors" for minidl alone
    monitor, mode            which figure tells the best model, and "min", "max" or "auto"
    verbose                  1 says what it does
    save_best_only           save only when the figure is better than at the last saving
    save_weights_only        model.save_weights(filepath) instead of model.save(filepath)
    save_freq                "epoch" or a number of batches
    initial_value_threshold  the figure has to be better than this from the start

    ValueError for another ending or frequency; KeyError for a place that no figure fills.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        endings = (".weights.h5", ".safetensors") if save_weights_only else (".keras", ".safetensors")
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: expected a filepath that ends in {' or '.join(endings)} "
                f"with save_weights_only={save_weights_only}, got {self.filepath!r}"
            )
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq, self.best = save_freq, initial_value_threshold
        self._save_every = _SaveEvery("ModelCheckpoint", save_freq)
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._save_every.batch_ended():
            self._save(self._path({"batch": batch + 1, **(logs or {})}), logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        if self.save_freq == "epoch":
            self._save(self._path(logs or {}), logs)

    def _path(self, figures: dict[str, float]) -> str:
        try:
            return self.filepath.format(epoch=self._epoch + 1, **figures)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath {self.filepath!r} needs a figure {error}; "
                f"there are epoch, {', '.join(figures)}"
            ) from None

    def _save(self, path: str, logs: Logs) -> None:
        if self.save_best_only and not self._is_best(path, logs):
            return
        if not self.save_best_only:
            self._say(f"saving model to {path}")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        self._say(f"finished saving model to {path}")

    def _is_best(self, path: str, logs: Logs) -> bool:
        current = self.monitored(logs, "the model is saved all the same")
        if current is None:
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_improvement(current, self.best):
            self._say(f"{self.monitor} did not improve from {best}")
            return False
        self._say(f"{self.monitor} improved from {best} to {current:.5f}, saving model to {path}")
        self.best = current
        return True

    def _say(self, what: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {self._epoch + 1}: {what}")


class BackupAndRestore(Callback):
    """Keep a backup of the whole training, and go on from it when fit() is started again after a crash.

    The backup, weights, optimiser and epoch, is one file in `backup_dir`, written after each epoch or after every
    `save_freq` batches. fit() begins with the epoch that was under way. When fit() ends, the backup is deleted, unless
    `delete_checkpoint` is False.
    """

    FILE = "training.safetensors"

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not backup_dir:
            raise ValueError("BackupAndRestore: expected a folder as backup_dir, got an empty name")
        if double_checkpoint:
            raise ValueError(
                "BackupAndRestore: double_checkpoint is not supported, and not needed: a backup takes the place of the "
                "one before it when it is safely on the disk"
            )
        self.backup_dir, self.save_freq, self.delete_checkpoint = Path(backup_dir), save_freq, delete_checkpoint
        self._path = self.backup_dir / self.FILE
        self._save_every = _SaveEvery("BackupAndRestore", save_freq)
        self._epoch = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        if self._path.exists():
            self._epoch = self.model.load_state(self._path)["epoch"]
            self.model._initial_epoch = self._epoch

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._save_every.batch_ended():
            self._save()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save()

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint and self._path.exists():
            self._path.unlink()
            if not any(self.backup_dir.iterdir()):
                self.backup_dir.rmdir()
        self.model._initial_epoch = None  # another fit() begins where it is told to

    def _save(self) -> None:
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        self.model.save_state(self._path, epoch=self._epoch)
