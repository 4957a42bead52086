"""Keras's files, as h5py and zipfile see them; tests/interchange/test_keras_itself.py asks Keras."""

import io
import json
import zipfile

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
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    SkipConnection,
    Tensor,
    flatten,
    relu,
)
from minidl.functions import add
from minidl.interchange import (
    load_keras_weights,
    numbered_names,
    read_keras_archive,
    read_weights_h5,
    save_keras_weights,
    write_keras_archive,
    write_weights_h5,
)

h5py = pytest.importorskip("h5py")


def test_one_layer_at_two_places_has_one_set_of_weights(tmp_path):
    twice, apart = Dense(4, 4), Chain(flatten, Dense(4, 4), relu, Dense(4, 4))
    path = tmp_path / "two.weights.h5"
    save_keras_weights(path, apart)
    before = twice.weight.numpy().copy()
    with pytest.raises(ValueError, match="dense and dense_1 hold different numbers, and are one layer"):
        load_keras_weights(path, Chain(flatten, twice, relu, twice))
    np.testing.assert_array_equal(twice.weight.numpy(), before)
    save_keras_weights(path, Chain(flatten, apart[1], relu, apart[1]))
    load_keras_weights(path, Chain(flatten, twice, relu, twice))
    np.testing.assert_array_equal(twice.weight.numpy(), apart[1].weight.numpy())


def network():
    inner = Chain(Conv((2, 2), (4, 5), bias=False), GroupNorm(5, 1))
    return Chain(
        Conv((3, 3), (3, 4), relu), BatchNorm(4), MaxPool((2, 2)), inner, ConvTranspose((2, 2), (5, 4)), flatten,
        Dense(64, 6, relu), LayerNorm(6), Dropout(0.5), Dense(6, 3),
    )  # fmt: skip


SHAPES = {
    "conv2d": [(3, 3, 3, 4), (4,)],
    "batch_normalization": [(4,)] * 4,
    "sequential/layers/conv2d": [(2, 2, 4, 5)],
    "sequential/layers/group_normalization": [(5,)] * 2,
    "conv2d_transpose": [(2, 2, 4, 5), (4,)],
    "dense": [(64, 6), (6,)],
    "layer_normalization": [(6,)] * 2,
    "dense_1": [(6, 3), (3,)],
}  # by Keras's names, in the order of the layers


def arrays(count):
    return [np.full(2, number, np.float32) for number in range(count)]


def test_a_weights_file_has_the_groups_of_keras(tmp_path):
    model, path = random_weights(network()), tmp_path / "model.weights.h5"
    save_keras_weights(path, model)
    with h5py.File(path) as file:
        for name, shapes in SHAPES.items():
            group = file[f"layers/{name}/vars"]
            assert [group[str(number)].shape for number in range(len(group))] == shapes
            assert group.attrs["name"] == name.split("/")[-1]
        assert "vars" in file
        np.testing.assert_array_equal(file["layers/conv2d/vars/0"], model[0].weight.array)
        statistics = [file[f"layers/batch_normalization/vars/{number}"] for number in range(4)]
        norm = model[1]
        for theirs, ours in zip(statistics, [norm.scale, norm.shift, norm.mean, norm.variance], strict=True):
            np.testing.assert_array_equal(theirs, ours.array)
    other = random_weights(network(), seed=1)
    load_keras_weights(path, other)
    assert_equal(copies(other), copies(model))


def test_names_are_counted_by_class():
    classes = ["Conv2D", "BatchNormalization", "Conv2D", "ReLU", "LSTM", "Conv2DTranspose", "Conv2D"]
    names = ["conv2d", "batch_normalization", "conv2d_1", "re_lu", "lstm", "conv2d_transpose", "conv2d_2"]
    assert numbered_names(classes) == names


def test_layers_of_a_class_are_read_in_the_order_of_their_numbers(tmp_path):
    names = [*numbered_names(["Dense"] * 12), "lstm/cell"]
    write_weights_h5(tmp_path / "a.weights.h5", [(name, arrays(12)) for name in reversed(names)])
    read = read_weights_h5(tmp_path / "a.weights.h5")
    assert list(read) == names
    assert [array[0] for array in read["dense_7"]] == list(range(12))


def config_of(*layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def layer(kind, **arguments):
    return {"class_name": kind, "config": {"name": "any", **arguments}}


CONFIG = config_of(
    layer("InputLayer"), layer("Conv2D"), layer("BatchNormalization", epsilon=1e-5), layer("MaxPooling2D"),
    config_of(layer("Conv2D"), layer("GroupNormalization", epsilon=1e-5)), layer("Conv2DTranspose"), layer("Dense"),
    layer("LayerNormalization", epsilon=1e-5), layer("Dense"),
)  # fmt: skip


def test_an_archive_is_read_in_the_order_of_its_layers(tmp_path):
    path = tmp_path / "model.keras"
    write_keras_archive(path, CONFIG, [(name, arrays(1)) for name in ["lstm/cell", *reversed(SHAPES)]])
    config, weights = read_keras_archive(path)
    assert config == CONFIG
    assert list(weights) == [*SHAPES, "lstm/cell"]  # no layer of the config has that one
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
        assert json.loads(archive.read("metadata.json"))["keras_version"].startswith("3")


def keras_layers(model):
    """What read_weights_h5() gives for the model's weights."""
    file = io.BytesIO()
    tensors = list(model.tensors().values())
    write_weights_h5(file, [(name, [tensors.pop(0).numpy() for _ in SHAPES[name]]) for name in SHAPES])
    return read_weights_h5(file)


def test_an_archive_is_loaded(tmp_path):
    model, other = random_weights(network()), random_weights(network(), seed=1)
    write_keras_archive(tmp_path / "model.keras", CONFIG, keras_layers(model).items())
    load_keras_weights(tmp_path / "model.keras", other)
    assert_equal(copies(other), copies(model))


def test_names_of_a_functional_model(tmp_path):
    def residual():
        return Chain(Conv((1, 1), (3, 3)), SkipConnection(Chain(Conv((1, 1), (3, 3)), BatchNorm(3)), add))

    model, other, path = random_weights(residual()), random_weights(residual(), seed=1), tmp_path / "a.weights.h5"
    names = ["conv2d_1", "conv2d", "batch_normalization"]
    save_keras_weights(path, model, names)
    assert list(read_weights_h5(path)) == sorted(names)
    load_keras_weights(path, other, names)
    assert_equal(copies(other), copies(model))
    with pytest.raises(ValueError, match=r"no counterpart of SkipConnection\(Chain\(.*say with names="):
        save_keras_weights(path, model)
    with pytest.raises(ValueError, match="expected 3 different names, one for each layer with weights"):
        save_keras_weights(path, model, names[:2])


# Errors ---------------------------------------------------------------------------------------------------------------


class Own(Layer):
    def __init__(self):
        self.weight = Tensor([1.0])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Chain(Own()), r"no counterpart of Own\(\)"),
        (Chain(ConvTranspose((2, 2), (4, 4), groups=2)), "no transposed convolution in groups: ConvTranspose"),
    ],
)
def test_what_keras_lacks_is_named(tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        save_keras_weights(tmp_path / "a.weights.h5", model)
    assert not list(tmp_path.iterdir())


def test_files_that_keras_would_not_load_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"only from files called NAME\.weights\.h5"):
        save_keras_weights(tmp_path / "model.h5", network())
    with pytest.raises(ValueError, match=r"only from files called NAME\.keras"):
        write_keras_archive(tmp_path / "model.zip", CONFIG, [])
    assert not list(tmp_path.iterdir())


def changed(change):
    def damage(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def remove(name):
    return changed(lambda file: file.__delitem__(name))


def put(name, array):
    def change(file):
        del file[name]
        file[name] = array

    return changed(change)


def soft_link(file):
    file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense_1/vars/0")


def external_link(file):
    file["layers/conv2d_9"] = h5py.ExternalLink("/etc/other.h5", "/")


def cycle(file):
    file["layers/dense/layers"] = file["layers"]


def compressed(file):
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (1 << 40,), "f4", chunks=(1 << 20,))  # 4 TiB of nothing


DAMAGES = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged or foreign"),
    "foreign": (lambda path: path.write_bytes(b"\0" * 500), "damaged or foreign"),
    "no layers": (remove("layers"), "there is no group 'layers' in it"),
    "of Keras 2": (changed(lambda file: file.create_group("model_weights")), "these are Keras 2's"),
    "no layer": (remove("layers/dense_1"), "2 of 17 tensors differ: dense_1/vars/0 is missing"),
    "no array": (remove("layers/dense/vars/0"), "/layers/dense/vars has no array 0"),
    "a layer more": (
        changed(lambda file: file.create_group("layers/dense_2/vars").create_dataset("0", data=[1.0])),
        "dense_2/vars/0 is not part of this network",
    ),
    "another shape": (
        put("layers/dense/vars/1", np.zeros(5, "f4")),
        r"dense/vars/1 is \(5,\) float32, expected \(6,\)",
    ),
    "another dtype": (put("layers/dense/vars/1", np.zeros(6, "f2")), r"\(6,\) float16, expected \(6,\) float32"),
    "text": (put("layers/dense/vars/1", "weights"), "holds no numbers"),
    "a soft link": (changed(lambda file: (file.__delitem__("layers/dense/vars/0"), soft_link(file))), "has no array 0"),
    "an external link": (changed(external_link), "leads out of the file"),
    "a cycle": (changed(cycle), "is in it twice"),
    "a bomb": (changed(compressed), "does not hold its numbers plainly"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_changes_nothing(tmp_path, name):
    (damage, message), path = DAMAGES[name], tmp_path / "model.weights.h5"
    model = random_weights(network())
    save_keras_weights(path, random_weights(network(), seed=1))
    damage(path)
    before = copies(model)
    with pytest.raises(ValueError, match=message) as caught:
        load_keras_weights(path, model)
    assert str(caught.value).startswith(f"{path}: ")
    assert_equal(copies(model), before)


def rewritten(**members):
    """The archive with other members in it; None leaves one out."""

    def damage(path):
        with zipfile.ZipFile(path) as archive:
            kept = {name: archive.read(name) for name in archive.namelist()}
        kept |= {name.replace("_", "."): content for name, content in members.items()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in kept.items():
                if content is not None:
                    archive.writestr(name, content)

    return damage


OTHER_EPSILON = json.loads(json.dumps(CONFIG).replace('{"name": "any", "epsilon": 1e-05}', '{"epsilon": 0.001}'))
ARCHIVE_DAMAGES = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged or foreign"),
    "no config": (rewritten(config_json=None), "no item named 'config.json'"),
    "no JSON": (rewritten(config_json="{"), "damaged or foreign: Expecting property name"),
    "another JSON": (rewritten(config_json="[1]"), "damaged or foreign"),
    "no weights": (rewritten(model_weights_h5=None), "no item named 'model.weights.h5'"),
    "foreign weights": (rewritten(model_weights_h5=b"\0" * 99), "expected weights saved by Keras 3"),
    "another epsilon": (
        rewritten(config_json=json.dumps(OTHER_EPSILON)),
        "BatchNormalization batch_normalization has epsilon 0.001, the model's 1e-05; make that with eps=0.001",
    ),
}


@pytest.mark.parametrize("name", ARCHIVE_DAMAGES)
def test_a_damaged_archive_changes_nothing(tmp_path, name):
    (damage, message), path = ARCHIVE_DAMAGES[name], tmp_path / "model.keras"
    model = random_weights(network())
    write_keras_archive(path, CONFIG, keras_layers(random_weights(network(), seed=1)).items())
    damage(path)
    before = copies(model)
    with pytest.raises(ValueError, match=message) as caught:
        load_keras_weights(path, model)
    assert str(caught.value).startswith(f"{path}: ")
    assert_equal(copies(model), before)


@pytest.mark.parametrize("file", ["a.weights.h5", "a.keras"])
def test_a_missing_file(tmp_path, file):
    with pytest.raises(FileNotFoundError, match="no file there"):
        load_keras_weights(tmp_path / file, network())


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'minidl\[keras\]'"):
        save_keras_weights(tmp_path / "a.weights.h5", network())
