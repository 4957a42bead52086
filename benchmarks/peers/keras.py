"""Keras 3, on TensorFlow unless told otherwise, or minidl's own front door; compile() and fit() as they come."""

from __future__ import annotations

import os
from importlib import import_module
from itertools import chain
from typing import Any

from benchmarks import networks as n
from benchmarks.op_cases import OpCase

TENSORS = ("weight", "bias", "scale", "shift", "mean", "variance")  # of any layer, in Keras's order


def set_tensorflow_threads(threads: int) -> None:
    threading = import_module("tensorflow").config.threading
    threading.set_intra_op_parallelism_threads(threads)
    threading.set_inter_op_parallelism_threads(threads)


def set_jax_threads(threads: int) -> None:
    """JAX has no such setting: it takes as many threads as there are processors that it may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def set_torch_threads(threads: int) -> None:
    import_module("torch").set_num_threads(threads)


def set_minidl_threads(threads: int) -> None:
    import_module("minidl").set_threads(threads)


SET_THREADS = {
    "tensorflow": set_tensorflow_threads, "jax": set_jax_threads, "torch": set_torch_threads,
    "minidl": set_minidl_threads,
}  # fmt: skip


class Peer:
    def __init__(self, threads: int, option: str, backend: str) -> None:
        os.environ["KERAS_BACKEND"] = self.backend = option
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by itself on processors without AVX-512, but faster
        SET_THREADS[option](threads)
        # Keras reads the backend when it is imported
        self.keras = import_module("minidl.keras" if option == "minidl" else "keras")

    def wait(self) -> None:
        """Nothing to wait for: calls end with a result on the host."""

    def versions(self) -> dict[str, str]:
        libraries = {self.backend} if self.backend == "minidl" else {"keras", self.backend}
        return {library: import_module(library).__version__ for library in sorted(libraries)}

    def build(self, network: n.Network, weights: n.Weights | None) -> None:
        self.keras.backend.clear_session()
        self.layers = [self._layer(layer) for layer in network]
        self.model = self.keras.Sequential([self.keras.Input((32, 32, 3)), *chain.from_iterable(self.layers)])
        if weights is not None:
            for i, layers in enumerate(self.layers):
                tensors = [weights.get(f"layers.{i}.{name}") for name in TENSORS]
                layers[0].set_weights([tensor for tensor in tensors if tensor is not None])
        self.model.compile(
            self.keras.optimizers.SGD(n.LEARNING_RATE, n.MOMENTUM),
            self.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def take(self, images: n.Array, labels: n.Array) -> None:
        self.x, self.y = images, labels
        if self.backend != "minidl":
            self.x, self.y = map(self.keras.ops.convert_to_tensor, (images, labels))

    def forward(self) -> n.Array:
        scores: n.Array = self.model.predict_on_batch(self.x)
        return scores

    def step(self) -> float:
        return float(self.model.train_on_batch(self.x, self.y))

    def weight(self, layer: int) -> n.Array:
        weight: n.Array = self.layers[layer][0].get_weights()[0]
        return weight

    def fit(self, images: n.Array, labels: n.Array, batch: int) -> None:
        self.model.fit(images, labels, batch_size=batch, epochs=1, shuffle=True, verbose=0)

    def convolution(self, case: n.ConvCase) -> Any:
        raise NotImplementedError("single layers are compared with PyTorch")

    def op(self, case: OpCase, dropout: bool = True) -> Any:
        raise NotImplementedError("single ops are compared with PyTorch")

    def _layer(self, layer: n.Layer) -> list[Any]:
        layers = self.keras.layers
        match layer:
            case n.Conv(_, outputs, relu):
                return [layers.Conv2D(outputs, 3, padding="same", activation="relu" if relu else None)]
            case n.BatchNorm():
                return [layers.BatchNormalization(epsilon=n.EPS, momentum=1 - n.BATCH_MOMENTUM), layers.ReLU()]
            case n.MaxPool(size):
                return [layers.MaxPooling2D(size)]
            case n.Flatten():
                return [layers.Flatten()]
            case n.Dense(_, outputs, relu):
                return [layers.Dense(outputs, activation="relu" if relu else None)]
            case n.Dropout(rate):
                return [layers.Dropout(rate)]
