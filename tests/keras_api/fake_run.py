"""A model without layers, and a fit() without training: callbacks see them as they see Keras's, and minidl's, own."""

import json
from pathlib import Path

import numpy as np

from minidl import Tensor


class FakeOptimizer:
    def __init__(self):
        self.learning_rate, self.iterations = 0.1, 0


class FakeLayer:
    def __init__(self, name, weights):
        self.name, self.weights = name, weights


class FakeModel:
    """Its only weight is the number of steps it has made, which tells from which epoch it is."""

    def __init__(self):
        self.optimizer, self.stop_training, self.name = FakeOptimizer(), False, "fake"
        self.weights = [np.zeros((1, 1), np.float32)]
        self._initial_epoch = None

    @property
    def layers(self):
        return [FakeLayer("dense", [Tensor(weight) for weight in self.weights])]

    def get_weights(self):
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights):
        self.weights = [np.array(weight, np.float32) for weight in weights]

    def save(self, path):
        Path(path).write_text(f"model {float(self.weights[0].item())}")

    def save_weights(self, path):
        Path(path).write_text(f"weights {float(self.weights[0].item())}")

    def save_state(self, path, **memory):
        Path(path).write_text(json.dumps({"weight": float(self.weights[0].item()), "memory": memory}))

    def load_state(self, path):
        state = json.loads(Path(path).read_text())
        self.set_weights([[[state["weight"]]]])
        return state["memory"]


def make_step(model):
    model.set_weights([weight + 1 for weight in model.get_weights()])
    model.optimizer.iterations += 1


def run(callbacks, model, epochs, batches=2, crash_in_batch=None, step=make_step):
    """fit() as callbacks see it. `epochs` has the logs of each; a batch's logs are those of its epoch without val_.

    crash_in_batch   (epoch, batch) at whose end an error is raised, after the callbacks
    """
    model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(model._initial_epoch or 0, len(epochs)):
        callbacks.on_epoch_begin(epoch)
        for batch in range(batches):
            callbacks.on_train_batch_begin(batch)
            step(model)
            callbacks.on_train_batch_end(batch, {k: v for k, v in epochs[epoch].items() if not k.startswith("val_")})
            if (epoch, batch) == crash_in_batch:
                raise KeyboardInterrupt
            if model.stop_training:
                break
        callbacks.on_epoch_end(epoch, dict(epochs[epoch]))
        if model.stop_training:
            break
    callbacks.on_train_end(dict(epochs[-1]))


def losses(*values, name="val_loss"):
    """The logs of epochs with these values."""
    return [{"loss": 1.0, name: value} for value in values]
