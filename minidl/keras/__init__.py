"""Keras's front door: its names, arguments and defaults over minidl's engine.

    from minidl import keras
    from minidl.keras import layers

    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=5)

A script for Keras 3 that stays inside the supported part (docs/keras.md) runs with its imports changed.
"""

from minidl.keras import (
    activations,
    backend,
    callbacks,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    saving,
    utils,
)
from minidl.keras.initializers import Initializer
from minidl.keras.layers import Input, Layer
from minidl.keras.losses import Loss
from minidl.keras.metrics import Metric
from minidl.keras.models import Model, Sequential
from minidl.keras.optimizers import Optimizer
from minidl.keras.regularizers import Regularizer
from minidl.keras.symbolic import KerasTensor
from minidl.keras.unsupported import KERAS, refusing

__all__ = [
    "Initializer", "Input", "KerasTensor", "Layer", "Loss", "Metric", "Model", "Optimizer", "Regularizer", "Sequential",
    "activations", "backend", "callbacks", "datasets", "initializers", "layers", "losses", "metrics", "models",
    "optimizers", "regularizers", "saving", "utils",
]  # fmt: skip

__getattr__ = refusing(__name__, KERAS)
