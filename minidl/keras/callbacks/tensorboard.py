"""TensorBoard: the figures of fit() and evaluate() for `tensorboard --logdir LOG_DIR`, in Keras's folders and names."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from minidl.keras.callbacks.callback import Callback, Logs
from minidl.training.tensorboard import EventWriter, event_library

REFUSED = {
    "write_images": False,
    "profile_batch": 0,
    "embeddings_freq": 0,
    "embeddings_metadata": None,
}  # argument -> the only value it can have


class TensorBoard(Callback):
    """Write what TensorBoard shows: log_dir/train for training, log_dir/validation for validation and evaluate().

    histogram_freq          weights as histograms, layer/number, every so many epochs; 0 for never
    write_graph             accepted, as Keras's default is True; no graph is drawn
    write_steps_per_second  a curve of the speed as well
    update_freq             "epoch"; or "batch", or a number of batches, for curves of batches beside those of epochs

    Curves: epoch_loss and so on, with epoch_learning_rate; batch_loss against the number of the batch, from 1;
    evaluation_loss_vs_iterations against the optimiser's steps. The other arguments are Keras's and not supported:
    NotImplementedError, unless they have their defaults. ImportError without the extra `tensorboard`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        for name, value in zip(
            REFUSED, (write_images, profile_batch, embeddings_freq, embeddings_metadata), strict=True
        ):
            if value != REFUSED[name]:
                raise NotImplementedError(f"TensorBoard: {name}={value!r} is not supported; leave it out")
        if update_freq not in ("epoch", "batch") and (isinstance(update_freq, str) or update_freq < 1):
            raise ValueError(
                f"TensorBoard: expected update_freq 'epoch', 'batch' or a number of batches, got {update_freq!r}"
            )
        event_library()  # missing: said now, not after the first epoch
        self.log_dir, self.histogram_freq, self.write_graph = os.fspath(log_dir), histogram_freq, write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, EventWriter] = {}
        self._in_fit = False
        self._batches = 0  # of this fit()

    def on_train_begin(self, logs: Logs = None) -> None:
        self._in_fit, self._batches = True, 0

    def on_train_end(self, logs: Logs = None) -> None:
        self._in_fit = False
        self._close()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_began, self._iterations_before = time.perf_counter(), int(self.model.optimizer.iterations)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if isinstance(self.update_freq, str) or self._batches % self.update_freq:
            return
        figures = {f"batch_{name}": value for name, value in (logs or {}).items()}
        if self.write_steps_per_second:
            figures["batch_steps_per_second"] = 1 / (time.perf_counter() - self._batch_began)
        self._write("train", figures, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        training = {name: value for name, value in logs.items() if not name.startswith("val_")}
        training["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            steps = int(self.model.optimizer.iterations) - self._iterations_before
            training["steps_per_second"] = steps / (time.perf_counter() - self._epoch_began)
        validation = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        for run, figures in (("train", training), ("validation", validation)):
            if figures:
                self._write(run, {f"epoch_{name}": value for name, value in figures.items()}, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: Logs = None) -> None:
        figures = {f"evaluation_{name}_vs_iterations": value for name, value in (logs or {}).items()}
        self._write("validation", figures, int(self.model.optimizer.iterations))
        if not self._in_fit:  # nothing else will close the files of evaluate()
            self._close()

    def _write(self, run: str, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer(run).scalar(name, value, step)

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for number, weight in enumerate(layer.weights):
                self._writer("train").histogram(f"{layer.name}/{number}/histogram", weight.numpy(), epoch)

    def _writer(self, run: str) -> EventWriter:
        if run not in self._writers:
            self._writers[run] = EventWriter(Path(self.log_dir) / run)
        return self._writers[run]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
