"""Models and weights in files."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_models import Mine, images, residual, small

import minidl
from minidl.keras import Input, Model, Sequential, callbacks, layers, models, optimizers

SUFFIXES = [".safetensors", ".keras"]


def every_layer():
    """A functional model in which most kinds of layers are."""
    x = inputs = Input((8, 8, 3), name="images")
    x = layers.RandomFlip("horizontal", seed=1)(layers.Rescaling(2.0, offset=-1.0)(x))
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(4, (3, 2), strides=2, padding="same", activation="relu", kernel_regularizer="l2")(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    left = layers.MaxPooling2D(2, padding="same")(x)
    right = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.Concatenate()([left, right])
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.Dropout(0.1)(layers.LeakyReLU(negative_slope=0.2)(x))
    x = layers.Dense(6, kernel_initializer="he_normal")(layers.Flatten()(x))
    return Model(inputs, layers.Softmax()(layers.LayerNormalization()(x)), name="every_layer")


def nested():
    base = Sequential([Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()], name="base")
    base.trainable = False
    inputs = Input((8, 8, 3))
    return Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(base(inputs, training=False))))


def shared():
    left, right = Input((4,), name="left"), Input((4,), name="right")
    dense = layers.Dense(3)
    return Model([left, right], layers.Subtract()([dense(left), dense(right)]))


MODELS = {"sequential": small, "residual": residual, "every layer": every_layer, "nested": nested, "shared": shared}


def inputs_of(model):
    if model.takes_several:
        return list(np.random.default_rng(0).random((2, 5, 4), np.float32))
    return images()


def trained(make=small, optimizer="adam"):
    model = make()
    model.compile(optimizer, "mse", metrics=["mae"])
    x = inputs_of(model)
    model.fit(x, np.zeros_like(model.predict(x, verbose=0)), epochs=3, verbose=0)
    return model


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_a_model_comes_back(tmp_path, make, suffix):
    pytest.importorskip("h5py")
    model = trained(make)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    twin = models.load_model(path)
    x = inputs_of(model)
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
    assert twin.name == model.name
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    assert [layer.trainable for layer in twin.layers] == [layer.trainable for layer in model.layers]
    assert twin.get_config() == model.get_config()
    assert type(twin.optimizer) is optimizers.Adam
    assert twin.evaluate(x, model.predict(x, verbose=0), verbose=0)[0] < 0.1


def test_training_goes_on_where_the_saved_model_was(tmp_path):
    model = trained()
    x, y = images(), np.eye(5)[:3]
    model.save(tmp_path / "model.safetensors")
    twin = models.load_model(tmp_path / "model.safetensors")
    assert twin.optimizer.iterations == model.optimizer.iterations == 3
    for one in (model, twin):
        one.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5"])
@pytest.mark.parametrize("make", [*MODELS.values(), lambda: built(Mine())], ids=[*MODELS.keys(), "mine"])
def test_weights_come_back_into_a_network_built_alike(tmp_path, make, suffix):
    pytest.importorskip("h5py")
    model, twin = make(), make()  # their layers have other names
    model.save_weights(tmp_path / f"it{suffix}")
    twin.load_weights(tmp_path / f"it{suffix}")
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def built(model):
    model(np.zeros((1, 5), np.float32))
    return model


def test_whole_models_give_their_weights_too(tmp_path):
    pytest.importorskip("h5py")
    model = trained()
    for suffix in SUFFIXES:
        model.save(tmp_path / f"model{suffix}")
        twin = small()
        twin.load_weights(tmp_path / f"model{suffix}")
        np.testing.assert_array_equal(twin.get_weights()[0], model.get_weights()[0])


def test_json_holds_the_architecture():
    model = every_layer()
    twin = models.model_from_json(model.to_json())
    assert json.loads(twin.to_json()) == json.loads(model.to_json())
    assert (twin.get_weights()[0] != model.get_weights()[0]).any()
    assert models.clone_model(model).get_config() == model.get_config()
    assert Model.from_config(model.get_config()).count_params() == model.count_params()
    assert Sequential.from_config(small().get_config()).count_params() == small().count_params()


class Doubled(layers.Layer):
    def call(self, inputs):
        return inputs * 2


def test_layers_of_ones_own_are_found_by_name(tmp_path):
    model = Sequential([Input((3,)), Doubled(), layers.Dense(2)])
    model.save(tmp_path / "model.safetensors")
    twin = models.load_model(tmp_path / "model.safetensors", custom_objects={"Doubled": Doubled})
    np.testing.assert_array_equal(twin(np.ones((1, 3))).numpy(), model(np.ones((1, 3))).numpy())
    with pytest.raises(ValueError, match=r"layer Doubled is not part of minidl\.keras; if it is yours"):
        models.load_model(tmp_path / "model.safetensors")


class Scaled(layers.Layer):
    """Its arguments are kept without get_config(); its weights are in another order than Keras's."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.count = self.add_weight((1,), "zeros", trainable=False, name="count")
        self.gain = self.add_weight((1,), "ones", name="gain")

    def call(self, inputs):
        return inputs * self.gain * self.factor + self.count


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arguments_and_weights_of_layers_of_ones_own_come_back(tmp_path, suffix):
    pytest.importorskip("h5py")
    model = Sequential([Input((1,)), Scaled(5.0)])
    assert [name.split("/")[1] for name in model.named_weights()] == ["gain", "count"]
    model.set_weights([np.array([3.0]), np.array([1.0])])
    model.save(tmp_path / f"model{suffix}")
    twin = models.load_model(tmp_path / f"model{suffix}", custom_objects={"Scaled": Scaled})
    assert twin(np.ones((1, 1))).item() == model(np.ones((1, 1))).item() == 16
    assert models.clone_model(model)(np.ones((1, 1))).item() == 5


def test_clones_of_what_is_not_built():
    clone = models.clone_model(Sequential([layers.Dense(2), layers.ReLU()]))
    assert clone(np.ones((3, 4))).shape == (3, 2)


def my_loss(y_true, y_pred):
    return ((y_true - y_pred) ** 2).sum(-1)


def test_losses_and_metrics_of_ones_own_are_found_by_name(tmp_path):
    model = small()
    model.compile("sgd", my_loss, metrics=[my_loss])
    path = tmp_path / "model.safetensors"
    model.save(path)
    twin = models.load_model(path, custom_objects={"my_loss": my_loss})
    x, y = images(), np.eye(5)[:3]
    assert twin.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    with pytest.raises(ValueError, match="has to be in custom_objects, by its name, or compile=False"):
        models.load_model(path)
    assert not models.load_model(path, compile=False).compiled


def halved(epoch, rate):
    return rate / 2


@pytest.mark.parametrize("way", ["backup", "file"])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, way):
    """Order of the samples, learning rate, and optimizer."""
    x, y = images(12), np.eye(5)[np.arange(12) % 5]
    rate = callbacks.LearningRateScheduler(halved)

    def fresh():
        minidl.seed(4)
        model = small()
        model.compile(optimizers.Adam(0.01), "categorical_crossentropy")
        return model

    whole, model = fresh(), fresh()
    whole.fit(x, y, batch_size=4, epochs=3, callbacks=[rate], verbose=0)
    if way == "backup":
        keep = callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        model.fit(x, y, batch_size=4, epochs=2, callbacks=[rate, keep], verbose=0)
        model = fresh()
        model.fit(x, y, batch_size=4, epochs=3, callbacks=[keep, rate], verbose=0)
    else:
        model.fit(x, y, batch_size=4, epochs=2, callbacks=[rate], verbose=0)
        model.save(tmp_path / "model.safetensors")
        model = models.load_model(tmp_path / "model.safetensors")
        model.fit(x, y, batch_size=4, epochs=3, initial_epoch=2, callbacks=[rate], verbose=0)
    assert model.optimizer.learning_rate == whole.optimizer.learning_rate == 0.01 / 8
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_are_not_overwritten_where_that_is_not_wanted(tmp_path):
    path = tmp_path / "model.safetensors"
    small().save(path)
    with pytest.raises(FileExistsError, match="overwrite is False"):
        small().save(path, overwrite=False)


def write(text):
    return lambda path: path.write_text(text)


DAMAGED = {
    "missing": (lambda path: None, FileNotFoundError, "there"),
    "text": (write("hello"), ValueError, "damaged or foreign"),
    "empty": (write(""), ValueError, "damaged or foreign"),
    "cut off": (lambda path: path.write_bytes(saved(path)[:200]), ValueError, "damaged or foreign"),
    "of another network": (
        lambda path: Sequential([Input((3,)), layers.Dense(2)]).save(path), ValueError, "another network",
    ),
}  # fmt: skip


def saved(path):
    small().save(path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("prepare", "error", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_changes_nothing(tmp_path, prepare, error, message, suffix):
    pytest.importorskip("h5py")
    path = tmp_path / f"model{suffix}"
    prepare(path)
    model = small()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    if message != "another network":
        with pytest.raises(error, match=message):
            models.load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"progress": None}, {"progress": {}}, {"progress": {"learning_rate": 0.1}}, {"epoch": "x"}, {"epoch": -1},
        *({"progress": {"learning_rate": rate, "epochs_seen": 1}} for rate in ("x", -0.1, float("nan"), True)),
        *({"progress": {"learning_rate": 0.1, "epochs_seen": seen}} for seen in ("x", -1, 1.5, True, None)),
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_cannot_be_gone_on_with_changes_nothing(tmp_path, change):
    path, model, other = tmp_path / "state.safetensors", trained(), trained()
    model.save_state(path, epoch=1)
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["minidl"])
    header["memory"] |= change
    save_file(load_file(path), path, {"minidl": json.dumps(header)})
    before = other.get_weights(), other.optimizer.steps, other.optimizer.learning_rate
    with pytest.raises(ValueError, match=r"state.safetensors"):
        other.load_state(path)
    after = other.get_weights(), other.optimizer.steps, other.optimizer.learning_rate
    assert after[1:] == before[1:]
    for old, new in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(old, new)


REFUSED = {
    "suffix": (lambda path: small().save(path / "model.h5"), ValueError, "NAME.safetensors or NAME.keras"),
    "weights suffix": (lambda path: small().load_weights(path / "x.txt"), ValueError, "NAME.weights.h5"),
    "not built": (
        lambda path: Sequential([layers.Dense(2)]).save(path / "model.safetensors"), ValueError, "no weights yet",
    ),
    "call in Python": (
        lambda path: built(Mine()).save(path / "model.safetensors"), NotImplementedError, "save_weights",
    ),
    "weights only": (
        lambda path: (small().save_weights(path / "w.safetensors"), models.load_model(path / "w.safetensors")),
        ValueError, "holds weights only",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("run", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused(tmp_path, run, error, message):
    with pytest.raises(error, match=message):
        run(tmp_path)
