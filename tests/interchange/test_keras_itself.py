"""Keras loads what minidl wrote, minidl what Keras wrote, and both compute the same."""

import contextlib
import importlib
import io
import os
import warnings

import numpy as np
import pytest
from random_weights import random_weights
from small_run import assert_equal, copies

from minidl import (
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    LayerNorm,
    MaxPool,
    SkipConnection,
    flatten,
    relu,
)
from minidl.functions import add
from minidl.interchange import (
    load_keras_weights,
    numbered_names,
    read_keras_archive,
    save_keras_weights,
    write_keras_archive,
    write_weights_h5,
)

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore")]  # TensorFlow's own are none of ours
IMAGES = np.random.default_rng(0).standard_normal((3, 10, 10, 3), np.float32)


@pytest.fixture(scope="module")
def keras():
    """Keras on whatever it computes with here. PyTorch's optimisers import Triton, which crashes behind TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings(), contextlib.suppress(ImportError):
        warnings.simplefilter("ignore")
        importlib.import_module("triton")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras")


def minidl_network():
    inner = Chain(Conv((3, 3), (4, 6), stride=2, pad=(0, 1, 0, 1)), BatchNorm(6, relu, eps=1e-3), Dropout(0.3))
    return Chain(
        Conv((3, 3), (3, 4), relu, pad=1), BatchNorm(4, eps=1e-3), MaxPool((2, 2), stride=1), Conv((2, 2), (4, 4)),
        BatchNorm(4, eps=1e-3), inner, ConvTranspose((3, 3), (6, 4), stride=2), flatten, Dense(324, 7, relu),
        LayerNorm(7, eps=1e-3), Dense(7, 5),
    )  # fmt: skip


def keras_network(keras):
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Conv2D(6, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3),
        ]
    )
    return keras.Sequential([
        layers.Input((10, 10, 3)), layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(name="the_first"), layers.MaxPooling2D(2, strides=1), layers.Conv2D(4, 2),
        layers.BatchNormalization(), inner, layers.Conv2DTranspose(4, 3, strides=2), layers.Flatten(),
        layers.Dense(7, activation="relu"), layers.LayerNormalization(), layers.Dense(5, name="head"),
    ])  # fmt: skip


def assert_same_predictions(model, keras_model):
    expected = keras_model.predict(IMAGES, verbose=0)
    largest = abs(expected).max()
    assert expected.std(0).max() > 0.01 * largest
    np.testing.assert_allclose(model(IMAGES).numpy(), expected, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.parametrize("compiled", [False, True])
def test_keras_loads_our_weights(tmp_path, keras, compiled):
    model, theirs = random_weights(minidl_network()), keras_network(keras)
    if compiled:
        theirs.compile("adam", "mse")
    path = tmp_path / "model.weights.h5"
    save_keras_weights(path, model)
    theirs.load_weights(path)
    assert_same_predictions(model, theirs)


@pytest.mark.parametrize(("file", "compiled"), [("a.weights.h5", False), ("a.keras", False), ("a.keras", True)])
def test_we_load_the_weights_of_keras(tmp_path, keras, file, compiled):
    model, theirs = minidl_network(), keras_network(keras)
    rng = np.random.default_rng(1)
    theirs.set_weights([rng.uniform(-0.4 if len(w.shape) > 1 else 0.3, 0.5, w.shape) for w in theirs.weights])
    if compiled:
        theirs.compile("adam", "mse")
        theirs.fit(IMAGES, np.eye(5)[:3], verbose=0)  # makes the optimiser's state
    (theirs.save if file.endswith("keras") else theirs.save_weights)(tmp_path / file)
    load_keras_weights(tmp_path / file, model)
    assert_same_predictions(model, theirs)


def test_keras_loads_our_archive(tmp_path, keras):
    model, theirs = random_weights(minidl_network()), keras_network(keras)
    theirs.save(tmp_path / "theirs.keras")
    config, weights = read_keras_archive(tmp_path / "theirs.keras")
    tensors = iter(model.tensors().values())
    ours = [(name, [next(tensors).numpy() for _ in arrays]) for name, arrays in weights.items()]
    write_keras_archive(tmp_path / "ours.keras", config, ours)
    assert_same_predictions(model, keras.models.load_model(tmp_path / "ours.keras"))


def test_names_of_a_functional_model(tmp_path, keras):
    layers = keras.layers
    images = layers.Input((10, 10, 3))
    x = layers.Conv2D(4, 1)(images)
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    theirs = keras.Model(images, layers.Dense(5)(layers.Flatten()(layers.Add()([layers.BatchNormalization()(y), x]))))
    names = ["conv2d", "conv2d_1", "batch_normalization", "dense"]

    def ours():
        block = SkipConnection(Chain(Conv((3, 3), (4, 4), relu, pad=1), BatchNorm(4, eps=1e-3)), add)
        return Chain(Conv((1, 1), (3, 4)), block, flatten, Dense(400, 5))

    model, other = random_weights(ours()), random_weights(ours(), seed=1)
    save_keras_weights(tmp_path / "a.weights.h5", model, names)
    theirs.load_weights(tmp_path / "a.weights.h5")
    assert_same_predictions(model, theirs)
    theirs.save(tmp_path / "a.keras")
    load_keras_weights(tmp_path / "a.keras", other, names)
    assert_equal(copies(other), copies(model))


def test_a_file_in_memory_has_the_layout_of_keras(tmp_path, keras):
    """The same groups and attributes, but for those of layers and optimisers without arrays."""
    import h5py

    theirs = keras_network(keras)
    theirs.save(tmp_path / "a.keras")
    theirs.save_weights(tmp_path / "a.weights.h5")
    _, weights = read_keras_archive(tmp_path / "a.keras")
    ours = io.BytesIO()
    write_weights_h5(ours, weights.items())
    with h5py.File(ours) as our_file, h5py.File(tmp_path / "a.weights.h5") as their_file:
        found = [[], []]
        for file, names in zip([our_file, their_file], found, strict=True):
            file.visititems(lambda name, thing, names=names: names.append((name, getattr(thing, "shape", None))))
        assert [item for item in found[0] if item[1] is not None] == [item for item in found[1] if item[1] is not None]
        assert set(found[0]) <= set(found[1])


def test_names_are_those_of_keras(keras):
    from keras.src.utils.naming import to_snake_case

    classes = [name for name, thing in vars(keras.layers).items() if isinstance(thing, type)]
    assert len(classes) > 100
    for name in classes:
        assert numbered_names([name]) == [to_snake_case(name)]
