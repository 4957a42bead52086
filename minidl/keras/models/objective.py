"""What a training step makes small: the loss of a batch, regularizers included.

Where a network ends in softmax or sigmoid and the loss is the cross-entropy that belongs to it, the loss is computed
from the scores in front of it, as Keras does on TensorFlow: that cannot overflow, and is one kernel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy

from minidl.keras import losses
from minidl.ops.elementwise import identity, sigmoid
from minidl.ops.softmax.op import softmax
from minidl.tensor import Tensor
from minidl.training.diagnosis import NotFiniteError, explain_gradient
from minidl.training.gradient_watch import GradientWatch

NOT_OVERRIDDEN = (
    "train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "make_train_function",
    "make_test_function", "make_predict_function",
)  # fmt: skip
FINAL_ACTIVATIONS = {"softmax": softmax, "sigmoid": sigmoid}


class Objective:
    """The loss of a batch. What does not change from batch to batch is looked up once, when the model is built."""

    def __init__(self, model: Any) -> None:
        self.model, self.penalties = model, model.penalties()
        weights = model.placed_weights()
        self.trained = {name: x for name, x in weights.items() if x.requires_grad}
        self.others = [x for x in weights.values() if not x.requires_grad]
        self.forward: Callable[[list[Tensor]], list[Tensor]] = model._outputs
        self.loss = model._loss
        self.activation: Callable[[Tensor], Tensor] = identity
        forward, activation = model._head()
        belonging = FINAL_ACTIVATIONS.get(model._loss.activation or "")
        if belonging is not None and activation is belonging:
            self.forward, self.activation = forward, belonging
            if model._loss.expects is None:
                name = model._loss.activation
                warnings.warn(f"{model.name} ends in {name}, and the loss has from_logits=True: the scores in front of "
                              f"{name} are used, as in Keras", stacklevel=2)  # fmt: skip
            else:
                self.loss = model._loss.with_logits()

    def __call__(self, inputs: list[Tensor], target: Any, weight: Any) -> tuple[Tensor, Tensor]:
        """(loss, scores): one number, penalties included, and what comes out in front of the last activation."""
        outputs = self.forward(inputs)
        if len(outputs) != 1:
            raise NotImplementedError(f"{self.model.name}: a model of {len(outputs)} outputs can predict, but not be "
                                      f"trained; make a model of one output")  # fmt: skip
        loss = self.loss(target, outputs[0], weight)
        for regularizer, x in self.penalties:
            loss = loss + regularizer(x)
        return loss, outputs[0]

    @contextmanager
    def restored_on_error(self) -> Iterator[None]:
        """When a batch is refused, running averages, which have followed it already, are what they were before."""
        before = [x.array for x in self.others]  # a new average is a new array
        try:
            yield
        except Exception:
            for x, array in zip(self.others, before, strict=True):
                x.array = array
            raise


def check_step(trained: dict[str, Tensor], loss: Tensor, inputs: list[Any], target: Any, optimizer: Any) -> None:
    """Before the optimizer moves: ValueError for data that are not finite, NotFiniteError for gradients if the loss is.

    A GPU is waited for once. The gradients are used up when there is an error.
    """
    watch = GradientWatch()
    watch.look(trained)
    value = loss.item()
    try:
        if not math.isfinite(value):
            _check_data(inputs, target)
        elif found := watch.found():
            text = explain_gradient(found[1], value, optimizer.learning_rate)
            raise NotFiniteError(f"step {optimizer.iterations + 1}: {text}")
    except (ValueError, NotFiniteError):
        for x in trained.values():
            x.grad = None
        raise


def _check_data(inputs: list[Any], target: Any) -> None:
    """ValueError when it is the data that are not finite. A loss that has run away is left to TerminateOnNaN."""
    for name, array in [*(("x", x) for x in inputs), ("y", target)]:
        array = numpy.asarray(array.numpy() if isinstance(array, Tensor) else array)
        if array.dtype.kind == "f" and not numpy.isfinite(array).all():
            broken = numpy.flatnonzero(~numpy.isfinite(array.reshape(len(array), -1)).all(1))
            raise ValueError(f"fit: expected finite numbers, got nan or infinity in {name}, in {len(broken)} of the "
                             f"{len(array)} samples of a batch; leave these out")  # fmt: skip


def as_loss(loss: Any) -> losses.Loss:
    """A name, a function of (y_true, y_pred) or a Loss as a Loss."""
    found = losses.get(loss)
    return found if isinstance(found, losses.Loss) else losses.LossFunctionWrapper(found)


def check_not_overridden(kind: type) -> None:
    """NotImplementedError for a model class that defines what Keras's fit() would call, and this one does not."""
    for name in NOT_OVERRIDDEN:
        if hasattr(kind, name):
            raise NotImplementedError(f"{kind.__name__} defines {name}(), which is not called here; use a Loss, a "
                                      f"Callback, or a loop of your own")  # fmt: skip
