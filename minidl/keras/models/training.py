"""compile(), fit(), evaluate() and predict(). A step is that of minidl's loop: forward, backward, optimizer."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy

from minidl.keras import optimizers
from minidl.keras.callbacks import CallbackList, History
from minidl.keras.layers.floats import as_tensor
from minidl.keras.layers.layer import Layer
from minidl.keras.models.data import (
    Batch,
    Batches,
    as_samples,
    check_sequence,
    is_iterable_of_batches,
    make_batches,
    split,
    weighted_by_class,
)
from minidl.keras.models.objective import Objective, as_loss, check_not_overridden, check_step
from minidl.keras.models.scoring import Scoring
from minidl.modes import evaluation_mode, no_grad, training_mode
from minidl.tensor import Tensor
from minidl.training.device_input import on_backend
from minidl.whole_numbers import whole_number


class Trainer(Layer):
    """What a model has beside its layers."""

    stop_training = False
    optimizer: Any = None
    loss: Any = None
    history: History
    _loss: Any = None  # a losses.Loss
    _scoring: Scoring
    _epochs_seen = 0  # so that a second fit() does not see the orders of the first again
    _initial_epoch: int | None = None  # set by BackupAndRestore

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """What to train with: names or objects. The last four arguments change no result, and nothing here."""
        if loss_weights is not None or isinstance(loss, list | tuple | dict):
            raise NotImplementedError("compile: several losses are not supported; train a model of one output")
        check_not_overridden(type(self))
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._loss = None if loss is None else as_loss(loss)
        self._scoring = Scoring(metrics, weighted_metrics)

    @property
    def compiled(self) -> bool:
        return self.optimizer is not None

    @property
    def metrics(self) -> list[Any]:
        """The trackers of the loss and of the metrics."""
        return list(self._scoring.trackers.values()) if self.compiled else []

    @property
    def metrics_names(self) -> list[str]:
        return list(self._scoring.trackers) if self.compiled else []

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train; returns the History, whose `.history` has a list of figures for each name.

        x: an array, a list of arrays for several inputs, or anything that gives batches (x, y) or (x, y, weight).
        """
        self._check_compiled("fit")
        epochs = whole_number("fit", "epochs", epochs)
        initial_epoch = whole_number("fit", "initial_epoch", initial_epoch)
        if not isinstance(validation_freq, Sequence) or isinstance(validation_freq, str):
            validation_freq = whole_number("fit", "validation_freq", validation_freq, least=1)
        data, validation = self._training_data(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight, validation_split, validation_data,
            validation_batch_size, validation_steps,
        )  # fmt: skip
        watching = CallbackList(
            callbacks, add_history=True, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=epochs,
            steps=data.steps,
        )  # fmt: skip
        self.stop_training, self._initial_epoch = False, None
        watching.on_train_begin()
        results: dict[str, float] = {}
        for epoch in range(self._initial_epoch or initial_epoch, epochs):
            results = self._train_epoch(epoch, data, watching)
            if validation is not None and _is_due(epoch, validation_freq):
                scores = self._evaluate(validation, watching)
                results |= {f"val_{name}": score for name, score in scores.items()}
            watching.on_epoch_end(epoch, results)
            if self.stop_training:
                break
        watching.on_train_end(results)
        return self.history

    def _training_data(
        self, x: Any, y: Any, weight: Any, batch_size: int | None, steps: int | None, shuffle: bool,
        class_weight: Mapping[int, float] | None, share: float, validation: Any, validation_batch_size: int | None,
        validation_steps: int | None,
    ) -> tuple[Batches, Batches | None]:  # fmt: skip
        """The batches to train with, and those to validate with."""
        held_back: Sequence[Any] | None = None
        if is_iterable_of_batches(x):
            if share or class_weight:
                raise ValueError("fit: validation_split and class_weight need arrays; x gives batches by itself")
        else:
            samples = as_samples("fit", x, y, weight)
            if samples.target is None and self._loss is not None:
                raise ValueError("fit: expected targets y, got None")
            if share and validation is None:
                samples, held_back = split(samples, share)
            if class_weight:
                samples = weighted_by_class(samples, class_weight)
            x, y, weight = samples
        data = make_batches("fit", x, y, weight, batch_size, steps, shuffle, goes_on=True)
        if validation is not None:
            held_back = [validation] if is_iterable_of_batches(validation) else \
                check_sequence("fit", "validation_data", validation)  # fmt: skip
        if held_back is None:
            return data, None
        x, y, weight = (*held_back, None, None)[:3]
        return data, make_batches("fit", x, y, weight, validation_batch_size or batch_size, validation_steps)

    def _train_epoch(self, epoch: int, data: Batches, watching: CallbackList) -> dict[str, float]:
        self.reset_metrics()
        watching.on_epoch_begin(epoch)
        objective, done = None, 0
        for inputs, target, weight in self._moved(data.epoch(self._epochs_seen)):
            watching.on_train_batch_begin(done)
            objective = self._train_step(objective, inputs, target, weight)
            watching.on_train_batch_end(done, self._scoring.results())
            done += 1
            if self.stop_training:
                break
        if done == 0:
            raise ValueError(f"fit: expected at least one batch in epoch {epoch + 1}, got none; a generator must give "
                             f"epochs * steps_per_epoch batches")  # fmt: skip
        self._epochs_seen += 1
        return dict(self._scoring.results())

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
        sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """The loss and the metrics: a number, a list in the order of metrics_names, or a dict."""
        self._check_compiled("evaluate")
        data = make_batches("evaluate", x, y, sample_weight, batch_size, steps)
        watching = CallbackList(
            callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=data.steps
        )
        return _in_form(self._evaluate(data, watching), return_dict)

    def _evaluate(self, data: Batches, watching: CallbackList) -> dict[str, float]:
        self.reset_metrics()
        watching.on_test_begin()
        objective, done = None, 0
        with no_grad(), evaluation_mode():
            for inputs, target, weight in self._moved(data.epoch(0)):
                watching.on_test_batch_begin(done)
                objective = self._test_step(objective, inputs, target, weight)
                watching.on_test_batch_end(done, self._scoring.results())
                done += 1
        if done == 0:
            raise ValueError("evaluate: expected at least one batch, got none")
        results = dict(self._scoring.results())
        watching.on_test_end(results)
        return results

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:  # fmt: skip
        """What the model gives for x, as one NumPy array for each output."""
        data = make_batches("predict", x, None, None, batch_size, steps)
        watching = CallbackList(
            callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=data.steps
        )
        watching.on_predict_begin()
        collected: list[list[Any]] = []
        with no_grad(), evaluation_mode():
            for done, (inputs, _, _) in enumerate(self._moved(data.epoch(0))):
                watching.on_predict_batch_begin(done)
                outputs = [y.numpy() for y in self._outputs(self._tensors(inputs))]
                collected.append(outputs)
                watching.on_predict_batch_end(done, {"outputs": outputs[0] if len(outputs) == 1 else outputs})
        if not collected:
            raise ValueError("predict: expected at least one batch, got none")
        watching.on_predict_end()
        outputs = [numpy.concatenate(parts) for parts in zip(*collected, strict=True)]
        return outputs[0] if len(outputs) == 1 else outputs

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One step; returns the loss and metrics of this batch."""
        self._check_compiled("train_on_batch")
        samples = as_samples("train_on_batch", x, y, sample_weight)
        if class_weight:
            samples = weighted_by_class(samples, class_weight)
        self.reset_metrics()
        self._train_step(None, *samples)
        return _in_form(dict(self._scoring.results()), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch; the model is not changed."""
        self._check_compiled("test_on_batch")
        self.reset_metrics()
        with no_grad(), evaluation_mode():
            self._test_step(None, *as_samples("test_on_batch", x, y, sample_weight))
        return _in_form(dict(self._scoring.results()), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """What the model gives for one batch."""
        with no_grad(), evaluation_mode():
            outputs = [y.numpy() for y in self._outputs(self._tensors(as_samples("predict_on_batch", x).inputs))]
        return outputs[0] if len(outputs) == 1 else outputs

    # One batch --------------------------------------------------------------------------------------------------------

    def _outputs(self, inputs: list[Tensor]) -> list[Tensor]:
        """Every output of the model."""
        raise NotImplementedError

    def _head(self) -> tuple[Callable[[list[Tensor]], list[Tensor]], Any]:
        """The model without its last activation, and that; or (the whole, None) where it ends otherwise."""
        raise NotImplementedError

    def _train_step(self, objective: Objective | None, inputs: list[Any], target: Any, weight: Any) -> Objective:
        """A batch forward, back, and into the weights; returns the objective for the next one."""
        with training_mode(self.optimizer.iterations):
            tensors = self._tensors(inputs)
            objective = objective or Objective(self)
            with objective.restored_on_error():
                loss, scores = objective(tensors, target, weight)
                if objective.trained:
                    loss.backward()
                check_step(objective.trained, loss, inputs, target, self.optimizer)
        if objective.trained:
            self.optimizer.step(objective.trained)
        else:
            warnings.warn(f"{self.name} has no weights to be trained", stacklevel=2)
        with no_grad():
            self._scoring.track(loss, target, objective.activation(scores), weight)
        return objective

    def _test_step(self, objective: Objective | None, inputs: list[Any], target: Any, weight: Any) -> Objective:
        """A batch forward; returns the objective for the next one."""
        tensors = self._tensors(inputs)
        objective = objective or Objective(self)
        loss, scores = objective(tensors, target, weight)
        self._scoring.track(loss, target, objective.activation(scores), weight)
        return objective

    def _tensors(self, inputs: list[Any]) -> list[Tensor]:
        tensors = [as_tensor(x, self._backend()) for x in inputs]
        self._build_once([x.shape for x in tensors] if len(tensors) > 1 else tensors[0].shape)
        return tensors

    def _moved(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """On a GPU, inputs are copied there while the batch before is computed with; losses move targets themselves."""
        backend = self._backend()
        if backend.is_host:
            yield from batches
            return
        aside: deque[tuple[Any, Any]] = deque()

        def inputs() -> Iterator[tuple[Any, ...]]:
            for arrays, target, weight in batches:
                aside.append((target, weight))
                yield tuple(arrays)

        for moved in on_backend(inputs(), backend):
            yield list(moved), *aside.popleft()

    def _check_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{method}: the model is not compiled: call compile(optimizer, loss, metrics) first")
        if self._loss is None:
            raise ValueError(f"{method}: the model was compiled without a loss: call compile(optimizer, loss)")


def _is_due(epoch: int, frequency: int | Sequence[int]) -> bool:
    """Whether this epoch, counted from 0, is validated: every so many, or those in the list, counted from 1."""
    return epoch + 1 in frequency if isinstance(frequency, Sequence) else (epoch + 1) % frequency == 0


def _in_form(results: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return dict(sorted(results.items()))  # Keras's order
    values = list(results.values())
    return values[0] if len(values) == 1 else values
