"""Checkpoints: all or nothing on disk and in memory, and a resumed run that equals one that never stopped."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from small_run import assert_equal, copies, small_network, small_training, without_clock

import minidl
from minidl import Chain, Dense, Tensor, freeze, thaw
from minidl.gradient_rules import ClipGlobalNorm, ClipNorm, OptimiserChain, WeightDecay
from minidl.keras import optimizers as keras_optimizers
from minidl.optimisers import Adam, AdamW, Descent, Group, Momentum, Nesterov
from minidl.training import Callback, checkpoint, load_checkpoint, save_checkpoint
from minidl.training.loop import Position
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
    return {**copies(model), **named, "steps": optimiser.steps, "counts": optimiser.counts}


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


def test_what_is_frozen_keeps_its_memories(tmp_path):
    model, optimiser = trained(Adam(0.1))
    freeze(model)
    save_checkpoint(tmp_path / "x", model, optimiser)
    again = Adam(0.1)
    load_checkpoint(tmp_path / "x", freeze(Chain(Dense(3, 2))), again)
    assert_equal(state(model, again), state(model, optimiser))


@pytest.mark.parametrize("make", [Descent, Momentum, Adam])
def test_rules_are_saved_alike_however_they_are_spelled(tmp_path, make):
    spellings = [
        lambda: make(0.1, rules=[ClipNorm(1), WeightDecay(0.1)]),
        lambda: OptimiserChain(ClipNorm(1), WeightDecay(0.1), make(0.1)),
        lambda: OptimiserChain(ClipNorm(1), make(0.1, rules=[WeightDecay(0.1)])),
    ]
    files = []
    for number, spelling in enumerate(spellings):
        save_checkpoint(tmp_path / f"{number}", *trained(spelling()))
        files.append((tmp_path / f"{number}").read_bytes())
        for other in spellings:
            load_checkpoint(tmp_path / f"{number}", Chain(Dense(3, 2)), other())
    assert files == files[:1] * 3


MADE = {
    "momentum": lambda: Momentum(0.1),
    "clipped momentum": lambda: OptimiserChain(ClipNorm(1), Momentum(0.1)),
    "clipped nesterov": lambda: OptimiserChain(ClipNorm(1), Nesterov(0.1)),
    "globally clipped momentum": lambda: Momentum(0.1, rules=[ClipGlobalNorm(1)]),
    "clipped adam": lambda: OptimiserChain(ClipNorm(1), Adam(0.1)),
    "clipped, decaying adam": lambda: Adam(0.1, rules=[ClipNorm(1), WeightDecay(0.1)]),
    "decaying, clipped adam": lambda: Adam(0.1, rules=[WeightDecay(0.1), ClipNorm(1)]),
    "adamw": lambda: AdamW(0.1),
    "adam": lambda: Adam(0.1),
    "keras's adam": lambda: keras_optimizers.Adam(0.1),
    "keras's clipped adam": lambda: keras_optimizers.Adam(0.1, clipnorm=1.0),
    "keras's adam with amsgrad": lambda: keras_optimizers.Adam(0.1, amsgrad=True),
    "keras's sgd": lambda: keras_optimizers.SGD(0.1),
    "keras's sgd with momentum": lambda: keras_optimizers.SGD(0.1, momentum=0.9),
    "fast biases": lambda: Momentum(0.1, groups=[Group("*.bias", rate_factor=2)]),
    "fast weights": lambda: Momentum(0.1, groups=[Group("*.weight", rate_factor=2)]),
    "two groups": lambda: Momentum(0.1, groups=[Group("*.bias", rate_factor=2), Group("*.weight", weight_decay=1)]),
}


@pytest.mark.parametrize("saved", MADE)
def test_a_checkpoint_goes_into_the_same_kind_of_optimiser_alone(tmp_path, saved):
    save_checkpoint(tmp_path / "x", *trained(MADE[saved]()))
    for name, make in MADE.items():
        model, optimiser = trained(make())
        before = state(model, optimiser)
        if name == saved:
            load_checkpoint(tmp_path / "x", model, optimiser)
            continue
        with pytest.raises(ValueError, match=r"expected the state of optimiser|memories|is missing"):
            load_checkpoint(tmp_path / "x", model, optimiser)
        assert_equal(state(model, optimiser), before)


def test_what_was_expected_and_what_came_is_said(tmp_path):
    save_checkpoint(tmp_path / "x", *trained(OptimiserChain(ClipNorm(1), Momentum(0.1))))
    expected = r"Adam\(rules=\['ClipNorm'\], groups=\[\['\*\.bias'\]\]\), got Momentum\(rules=\['ClipNorm'\]\)"
    optimiser = Adam(rules=[ClipNorm(1)], groups=[Group("*.bias", rate_factor=2)])
    with pytest.raises(ValueError, match=f"expected the state of optimiser {expected}"):
        load_checkpoint(tmp_path / "x", Chain(Dense(3, 2)), optimiser)


def test_training_may_go_on_with_other_numbers(tmp_path):
    save_checkpoint(tmp_path / "x", *trained(Momentum(0.1, rules=[ClipNorm(1)], groups=[Group("*.bias")])))
    other = Momentum(0.2, 0.5, rules=[ClipNorm(2)], groups=[Group("*.bias", rate_factor=3)])
    load_checkpoint(tmp_path / "x", Chain(Dense(3, 2)), other)
    assert (other.steps, other.learning_rate) == (2, 0.2)


# Files of an earlier version, which named the optimiser's class alone -------------------------------------------------


def edit_header(path, change):
    """Write the file again when `change` has been at its header and its arrays."""
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["minidl"])
    arrays = load_file(path)
    change(header, arrays)
    save_file(arrays, path, {"minidl": json.dumps(header)})


def as_before(header, arrays, name=None):
    for part in ("rules", "groups", "counts"):
        del header[part]
    header["optimiser"] = name or header["optimiser"].removeprefix("keras.")


@pytest.mark.parametrize("name", ["momentum", "adam", "adamw", "keras's clipped adam", "keras's sgd with momentum"])
def test_files_of_before_are_read(tmp_path, name):
    model, optimiser = trained(MADE[name]())
    save_checkpoint(tmp_path / "x", model, optimiser)
    edit_header(tmp_path / "x", as_before)
    other_model, other = Chain(Dense(3, 2)), MADE[name]()
    load_checkpoint(tmp_path / "x", other_model, other)
    assert_equal(state(other_model, other), state(model, optimiser))


def test_a_chain_of_before_goes_into_one_with_the_same_memories(tmp_path):
    save_checkpoint(tmp_path / "x", *trained(MADE["clipped momentum"]()))
    edit_header(tmp_path / "x", lambda *parts: as_before(*parts, name="OptimiserChain"))
    load_checkpoint(tmp_path / "x", Chain(Dense(3, 2)), MADE["clipped momentum"]())
    for name in ("momentum", "clipped adam", "fast biases", "keras's clipped adam"):
        with pytest.raises(ValueError, match=r"expected the state of optimiser|memories|is missing"):
            load_checkpoint(tmp_path / "x", Chain(Dense(3, 2)), MADE[name]())


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


def without_a_velocity(path):
    edit_header(path, lambda header, arrays: arrays.pop("optimiser.velocity.layers.0.bias"))


def without_a_velocity_in_a_file_of_before(path):
    without_a_velocity(path)
    edit_header(path, as_before)


def with_another_memory(path):
    edit_header(path, lambda header, arrays: arrays.update({"optimiser.square.layers.0.bias": arrays.popitem()[1]}))


def without_a_count(path):
    edit_header(path, lambda header, arrays: header["counts"].pop("layers.0.bias"))


def with_a_stray_count(path):
    edit_header(path, lambda header, arrays: header["counts"].update(x=2))


def with_counts_of_no_use(path):
    edit_header(path, lambda header, arrays: header.update(counts=[1, 2]))


def with_a_broken_count(path):
    edit_header(path, lambda header, arrays: header["counts"].update({"layers.0.bias": 1.5}))


def without_a_memory(path):
    edit_header(path, lambda header, arrays: header.pop("memory"))


def with_a_list_for_a_header(path):
    save_file({}, path, {"minidl": "[1]"})


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
        (without_a_velocity, ValueError, "the optimiser's velocity of layers.0.bias is missing"),
        (without_a_velocity_in_a_file_of_before, ValueError, "the optimiser's velocity of layers.0.bias is missing"),
        (with_another_memory, ValueError, r"expected only the memories \['velocity'\] of the optimiser, got a square"),
        (without_a_count, ValueError, "the number of updates of layers.0.bias is missing"),
        (with_a_stray_count, ValueError, "expected the numbers of updates of this network's parameters, got .*'x': 2"),
        (with_counts_of_no_use, ValueError, r"numbers of updates of this network's parameters, got \[1, 2\]"),
        (with_a_broken_count, ValueError, "expected a number of updates of layers.0.bias, whole and .*, got 1.5"),
        (without_a_memory, ValueError, "expected a memory, things by name, got None"),
        (with_a_list_for_a_header, ValueError, r"format 'minidl checkpoint 1', got \[1\]"),
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


@pytest.mark.parametrize(
    "steps", ["none", None, "x", "2", -5, True, 1.5, 2.0, float("nan"), float("inf"), [2], {}], ids=str
)
@pytest.mark.parametrize("make", [Descent, Momentum, Adam, MADE["clipped adam"], keras_optimizers.SGD])
def test_steps_that_are_no_number_of_steps_are_refused(tmp_path, make, steps):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, *trained(make(), seed=1))
    edit_header(path, lambda header, arrays: header.pop("steps") if steps == "none" else header.update(steps=steps))
    model, optimiser = trained(make())
    before = state(model, optimiser)
    with pytest.raises(ValueError, match=r"x.safetensors: expected a number of steps, whole and 0 or more, got "):
        load_checkpoint(path, model, optimiser)
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


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adam(0.01, rules=[ClipGlobalNorm(1)], groups=[Group("*.bias", rate_factor=2)]),
        lambda: OptimiserChain(ClipNorm(1), AdamW(0.01, decay=0.1, groups=[Group("*.scale", weight_decay=0)])),
    ],
    ids=["rules", "chain"],
)
def test_a_resumed_run_with_rules_and_groups_is_bit_identical(tmp_path, make):
    """A layer is thawed in the middle, so that counts differ."""

    def begin():
        training = small_training(epochs=1)
        training.optimiser, training.schedule = make(), None
        freeze(training.model[4])
        return training

    def halves(training, between):
        training.run([StopAfter(2)])
        training = between(training)
        thaw(training.model[4])
        training.stop = False
        training.run()
        return training

    def saved_and_loaded(training):
        RunFolder(tmp_path).save_checkpoint(training.model, training.optimiser, training.position)
        resumed = begin()
        resumed.position = RunFolder(tmp_path).load_checkpoint(resumed.model, resumed.optimiser)
        return resumed

    through, resumed = halves(begin(), lambda training: training), halves(begin(), saved_and_loaded)
    assert_equal(state(resumed.model, resumed.optimiser), state(through.model, through.optimiser))
    assert sorted(set(through.optimiser.counts.values())) == [3, 5]


@pytest.mark.parametrize(
    "position",
    [None, {}, {"epoch": "x"}, {"totals": {"colour": 1}}, {"epoch": -1}, {"epoch": True}, {"era": 1}],
    ids=str,
)
def test_a_position_that_is_none_changes_nothing(tmp_path, position):
    folder, model, optimiser = RunFolder(tmp_path), *trained(seed=1)
    folder.save_checkpoint(model, optimiser, Position())
    broken = {"totals": {"samples": 0}} | position if position else position
    edit_header(tmp_path / "checkpoint.safetensors", lambda header, _: header["memory"].update(position=broken))
    other, again = trained()
    before = state(other, again)
    minidl.seed(1)
    with pytest.raises(ValueError, match="expected where training stood, got "):
        folder.load_checkpoint(other, again)
    assert_equal(state(other, again), before)


def test_weights_without_a_position_are_not_the_checkpoint_of_a_run(tmp_path):
    folder, model = RunFolder(tmp_path), small_network()
    save_checkpoint(tmp_path / "checkpoint.safetensors", model, Momentum())
    with pytest.raises(ValueError, match="does not say where training stood"):
        folder.load_checkpoint(model, Momentum())
