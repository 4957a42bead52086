"""Checkpoints: all or nothing on disk and in memory, and a resumed run that equals one that never stopped."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_run import assert_equal, copies, small_network, small_training, without_clock

import minidl
from minidl import Chain, Dense, Tensor
from minidl.optimisers import Adam, Descent, Momentum
from minidl.training import Callback, checkpoint, load_checkpoint, save_checkpoint
from minidl.training.run_folder import RunFolder

MEMORY = {"note": "x", "numbers": [1, 2.5, None]}


@pytest.fixture(autouse=True)
def _same_seed():
    minidl.seed(0)


def trained(optimiser=None, seed=0):
    """A tiny network and an optimiser that has made two steps."""
    minidl.seed(seed)
    model, optimiser = Chain(Dense(3, 2)), optimiser or Momentum(0.1)
    for _ in range(2):
        for x in model.params().values():
            x.grad = Tensor(np.ones(x.shape, np.float32))
        optimiser.step(model.params())
    return model, optimiser


def state(model, optimiser):
    """Everything that a checkpoint restores, by name."""
    named = {f"{kind}.{name}": x.copy() for kind, arrays in optimiser.state.items() for name, x in arrays.items()}
    return {**copies(model), **named, "steps": optimiser.steps}


@pytest.mark.parametrize("make", [Descent, Momentum, Adam])
def test_what_is_saved_comes_back(tmp_path, make):
    path = tmp_path / "new" / "folder" / "x.safetensors"
    model, optimiser = trained(make(0.1))
    save_checkpoint(path, model, optimiser, **MEMORY)
    other_model, other_optimiser = Chain(Dense(3, 2)), make(0.1)
    assert load_checkpoint(str(path), other_model, other_optimiser) == MEMORY
    assert_equal(state(other_model, other_optimiser), state(model, optimiser))


def test_weights_alone(tmp_path):
    model, optimiser = trained()
    save_checkpoint(tmp_path / "weights", model)
    save_checkpoint(tmp_path / "all", model, optimiser)
    for name in ("weights", "all"):
        other = Chain(Dense(3, 2))
        assert load_checkpoint(tmp_path / name, other) == {}
        assert_equal(copies(other), copies(model))
    with pytest.raises(ValueError, match="expected the state of optimiser Momentum, got None"):
        load_checkpoint(tmp_path / "weights", Chain(Dense(3, 2)), Momentum())


def test_the_file_is_plain_safetensors(tmp_path):
    model, optimiser = trained()
    save_checkpoint(tmp_path / "x", model, optimiser)
    names = ["layers.0.bias", "layers.0.weight"]
    arrays = load_file(tmp_path / "x")
    assert sorted(arrays) == [f"model.{name}" for name in names] + [f"optimiser.velocity.{name}" for name in names]
    np.testing.assert_array_equal(arrays["model.layers.0.weight"], model[0].weight.numpy())


# A file that cannot be used -----------------------------------------------------------------------------------------


def missing(path):
    path.unlink()


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-5])


def cut_in_its_header(path):
    path.write_bytes(path.read_bytes()[:40])


def empty(path):
    path.write_bytes(b"")


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(500))


def foreign(path):
    save_file({"model.layers.0.weight": np.zeros((3, 2), np.float32)}, path)


def of_a_later_format(path):
    save_file({}, path, {"minidl": json.dumps({"format": "minidl checkpoint 2"})})


def of_a_wider_network(path):
    save_checkpoint(path, Chain(Dense(3, 4)), Momentum())


def of_a_deeper_network(path):
    save_checkpoint(path, Chain(Dense(3, 2), Dense(2, 2)), Momentum())


def of_a_wider_velocity(path):
    model, optimiser = trained()
    optimiser.state["velocity"]["layers.0.bias"] = np.zeros(3, np.float32)
    save_checkpoint(path, model, optimiser)


def of_a_stray_velocity(path):
    model, optimiser = trained()
    optimiser.state["velocity"]["x"] = np.zeros(2, np.float32)
    save_checkpoint(path, model, optimiser)


def of_another_optimiser(path):
    save_checkpoint(path, *trained(Adam()))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (missing, FileNotFoundError, "no checkpoint there"),
        (cut_short, ValueError, "the file is damaged or foreign"),
        (cut_in_its_header, ValueError, "the file is damaged or foreign"),
        (empty, ValueError, "the file is damaged or foreign"),
        (noise, ValueError, "the file is damaged or foreign"),
        (foreign, ValueError, "format 'minidl checkpoint 1', got None"),
        (of_a_later_format, ValueError, "format 'minidl checkpoint 1', got 'minidl checkpoint 2'"),
        (of_a_wider_network, ValueError, r"2 of 2 tensors differ: .*bias is \(4,\) float32, expected \(2,\) float32"),
        (of_a_deeper_network, ValueError, "layers.1.bias is not part of this network"),
        (of_a_wider_velocity, ValueError, r"velocity of layers.0.bias, \(3,\) float32, is of another network"),
        (of_a_stray_velocity, ValueError, r"velocity of x, \(2,\) float32, is of another network"),
        (of_another_optimiser, ValueError, "expected the state of optimiser Momentum, got Adam"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_that_cannot_be_used_changes_nothing(tmp_path, spoil, error, message):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, *trained(seed=1))
    model, optimiser = trained()
    before = state(model, optimiser)
    spoil(path)
    with pytest.raises(error, match=message) as caught:
        load_checkpoint(path, model, optimiser)
    assert str(path) in str(caught.value)
    assert_equal(state(model, optimiser), before)


@pytest.mark.parametrize("written", [0, 100], ids=["nothing", "a part"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, written):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, *trained())
    before = path.read_bytes()

    def disk_full(arrays, file, metadata):
        file.write_bytes(before[:written])
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", disk_full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, *trained(seed=1))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_the_new_file_takes_its_name_only_when_it_is_whole(tmp_path, monkeypatch):
    path, seen = tmp_path / "x.safetensors", []
    save_checkpoint(path, *trained())
    before = path.read_bytes()
    monkeypatch.setattr(checkpoint.os, "fsync", lambda descriptor: seen.append(path.read_bytes()))
    with path.open("rb") as reader:
        save_checkpoint(path, *trained(seed=1))
        assert reader.read() == before  # whoever had it open keeps the old one
    assert seen[0] == before  # the file reached the disk before its name, and the name after it
    assert seen[1:] in ([], [path.read_bytes()])
    assert path.read_bytes() != before


# Resuming -----------------------------------------------------------------------------------------------------------


class StopAfter(Callback):
    def __init__(self, steps):
        self.steps = steps

    def batch_ended(self, training):
        training.stop = training.optimiser.steps == self.steps


@pytest.fixture(scope="module")
def never_stopped():
    training = small_training()
    training.run()
    return training


@pytest.mark.parametrize("steps", [0, 1, 3, 5, 6, 9, 10], ids=lambda steps: f"after step {steps}")
def test_a_resumed_run_is_bit_identical(tmp_path, never_stopped, steps):
    """Two epochs of five batches with shuffling, augmentation, BatchNorm and Dropout, stopped after any batch."""
    folder, stopped = RunFolder(tmp_path), small_training()
    if steps:
        stopped.run([StopAfter(steps)])
    folder.save_checkpoint(stopped.model, stopped.optimiser, stopped.position)

    resumed = small_training()
    resumed.model.load({name: np.zeros_like(x) for name, x in copies(resumed.model).items()})  # nothing by chance
    resumed.position = folder.load_checkpoint(resumed.model, resumed.optimiser)
    assert resumed.optimiser.steps == steps
    resumed.run()

    assert_equal(state(resumed.model, resumed.optimiser), state(never_stopped.model, never_stopped.optimiser))
    assert without_clock(resumed.position.history) == without_clock(never_stopped.position.history)


def test_weights_without_a_position_are_not_the_checkpoint_of_a_run(tmp_path):
    folder, model = RunFolder(tmp_path), small_network()
    save_checkpoint(tmp_path / "checkpoint.safetensors", model, Momentum())
    with pytest.raises(ValueError, match="does not say where training stood"):
        folder.load_checkpoint(model, Momentum())
