"""`minidl export`: from a run folder, or a model's name, to the files of other libraries."""

import numpy as np
import pytest
from tiny_command import tiny

from minidl import cli, recipe
from minidl.interchange import load_keras_weights, load_torchvision
from minidl.training import load_checkpoint

IMAGES = (1, 32, 32, 3)


@pytest.fixture(autouse=True)
def _run_folder(tmp_path, monkeypatch, capsys):
    """A folder `run` of a run of one step."""
    monkeypatch.setitem(recipe.MODELS, "tiny", tiny)
    monkeypatch.chdir(tmp_path)
    train = ["train", "tiny", "--data", "digits", "--limit", "8", "--epochs", "1", "--seed", "3", "--out", "run"]
    assert cli.main(train) == 0
    capsys.readouterr()


def trained():
    model = tiny()
    load_checkpoint("run/checkpoint.safetensors", model)
    return model


def assert_same(model, other):
    for name, x in model.tensors().items():
        np.testing.assert_array_equal(other.tensors()[name].array, x.array, err_msg=name)


def test_torchvision(capsys):
    assert cli.main(["export", "run", "--format", "torchvision", "--out", "tiny.safetensors"]) == 0
    assert capsys.readouterr().out == "tiny.safetensors: the weights of run\n"
    model = tiny()
    load_torchvision("tiny.safetensors", model, IMAGES)
    assert_same(trained(), model)


def test_keras(capsys):
    pytest.importorskip("h5py")
    assert cli.main(["export", "run", "--format", "keras", "--out", "out/tiny.weights.h5"]) == 0
    model = tiny()
    load_keras_weights("out/tiny.weights.h5", model)
    assert_same(trained(), model)


def test_onnx(capsys):
    pytest.importorskip("onnx")
    assert cli.main(["export", "run", "--format", "onnx", "--out", "tiny.onnx"]) == 0
    runtime = pytest.importorskip("onnxruntime")
    images = np.random.default_rng(0).uniform(0, 1, (4, 32, 32, 3)).astype(np.float32)
    (scores,) = runtime.InferenceSession("tiny.onnx").run(None, {"input": images})
    np.testing.assert_allclose(scores, trained()(images).numpy(), atol=1e-5)


def test_a_model_without_a_run(capsys):
    assert cli.main(["export", "tiny", "--format", "torchvision", "--out", "tiny.safetensors"]) == 0
    assert capsys.readouterr().out == "tiny.safetensors: untrained weights\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["nowhere", "--format", "onnx", "--out", "a.onnx"],
            2,
            "'nowhere' is neither a run folder nor a model: expected a",
        ),
        (
            ["run", "--format", "keras", "--out", "a.h5"],
            1,
            "a.h5: Keras loads weights only from files called NAME.weights.h5",
        ),
    ],
)
def test_an_error_is_one_message_and_leaves_no_file(tmp_path, capsys, arguments, code, message):
    assert cli.main(["export", *arguments]) == code
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("out", ["run/checkpoint.safetensors", "run/../run/checkpoint.safetensors"])
def test_the_files_of_a_run_are_not_overwritten(capsys, out):
    assert cli.main(["export", "run", "--format", "torchvision", "--out", out]) == 2
    assert "is a file of a run, which would be lost" in capsys.readouterr().err
    trained()
