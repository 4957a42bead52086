"""Layers, models, optimizers, losses and metrics of minidl.keras can be copied and pickled."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from keras_layers import LAYERS

from minidl import keras
from minidl.modes import training_mode

copied = pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))], ids=["deepcopy", "pickle"]
)
PARTS = [keras.optimizers, keras.losses, keras.metrics, keras.initializers, keras.regularizers, keras.callbacks]
ARGUMENTS = {"BackupAndRestore": "folder", "CSVLogger": "file.csv", "ModelCheckpoint": "file.keras"}


def classes():
    for part in PARTS:
        for name, kind in vars(part).items():
            if inspect.isclass(kind) and kind.__module__.startswith(part.__name__) and not name.startswith("_"):
                yield pytest.param(kind, id=f"{part.__name__.split('.')[-1]}.{name}")


def inputs_of(shapes):
    generator = np.random.default_rng(0)
    arrays = [generator.random(shape, np.float32) for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]


@copied
@pytest.mark.parametrize("name", LAYERS)
def test_a_copied_layer_computes_the_same(copied, name):
    make, shapes = LAYERS[name]
    layer, x = make(keras.layers), inputs_of(shapes)
    unbuilt = copied(layer)
    layer(x)
    other = copied(layer)
    with training_mode(2):
        y = layer(x, training=True).numpy()
    for w in layer.weights:
        w.array = w.array * 0  # which must not reach the copy
    with training_mode(2):
        assert other(x, training=True).numpy().tobytes() == y.tobytes()
    assert len(other.weights) == len(layer.weights)
    assert unbuilt(x).shape == y.shape


@copied
@pytest.mark.parametrize("kind", list(classes()))
def test_everything_else_has_the_same_settings_after(copied, kind):
    try:
        thing = kind(*[ARGUMENTS[kind.__name__]] if kind.__name__ in ARGUMENTS else [])
    except (TypeError, NotImplementedError):
        thing = kind(0.1, 2) if "decay_steps" in inspect.signature(kind).parameters else kind(0.1)
    other = copied(thing)
    assert type(other) is kind
    if hasattr(thing, "get_config"):
        assert other.get_config() == thing.get_config()


@copied
def test_a_copied_model_goes_on_training_by_itself(copied):
    inputs = keras.Input((8,))
    x = keras.layers.Dense(6, activation="relu")(inputs)
    x = keras.layers.Add()([keras.layers.Dropout(0.3)(x), keras.layers.BatchNormalization()(x)])
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.random.default_rng(0).random((16, 8), np.float32), np.arange(16) % 3
    model.fit(x, y, verbose=0)
    before = model.predict(x, verbose=0)
    other = copied(model)
    assert other.predict(x, verbose=0).tobytes() == before.tobytes()
    keras.utils.set_random_seed(1)
    other.fit(x, y, verbose=0)
    assert model.predict(x, verbose=0).tobytes() == before.tobytes()
    keras.utils.set_random_seed(1)
    model.fit(x, y, verbose=0)
    assert other.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes() != before.tobytes()


@copied
def test_a_deep_model_needs_no_deep_recursion(copied):
    inputs = x = keras.Input((4,))
    for _ in range(150):
        x = keras.layers.Add()([x, keras.layers.Dense(4)(x)])
    model = keras.Model(inputs, x)
    assert len(copied(model).layers) == len(model.layers)
