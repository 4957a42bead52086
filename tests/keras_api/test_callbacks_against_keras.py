"""The same callbacks over the same epochs, in minidl and in Keras: what they decide, print and write is the same."""

import importlib
import inspect
import os
import re
import types

import numpy as np
import pytest
from event_files import read_events
from fake_run import FakeModel, losses, make_step, run

from minidl.keras import callbacks as ours
from minidl.keras import datasets, utils
from minidl.keras.callbacks.monitor import MonitorCallback
from minidl.keras.utils import progbar as our_progbar

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),  # TensorFlow
]
NAN = float("nan")


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def contenders(keras):
    """(library, a function that makes a model, one that makes a step with it) of minidl and of Keras."""

    def keras_model():
        layers = [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    def keras_step(model):
        model.set_weights([weight + 1 for weight in model.get_weights()])
        model.optimizer.iterations.assign_add(1)

    return [(ours, FakeModel, make_step), (keras.callbacks, keras_model, keras_step)]


def outcome(contender, name, arguments, epochs):
    """All that a callback can have changed: epochs, logs, weights, learning rate."""
    library, make_model, step = contender
    model, history = make_model(), library.History()
    callbacks = library.CallbackList([getattr(library, name)(**arguments), history], model=model)
    run(callbacks, model, epochs, step=step)
    return {
        "epochs": history.epoch,
        "logs": {name: np.array(values) for name, values in history.history.items()},
        "weight": np.array(model.get_weights()).item(),
        "rate": float(model.optimizer.learning_rate),
        "stopped": model.stop_training,
    }


def assert_same(one, other):
    assert list(one["logs"]) == list(other["logs"])
    for key in ("epochs", "weight", "stopped"):
        assert one[key] == other[key]
    np.testing.assert_allclose(one["rate"], other["rate"], rtol=1e-6)
    for name in one["logs"]:
        np.testing.assert_allclose(one["logs"][name], other["logs"][name], rtol=1e-6)


BUMPY = [5, 4, 4.2, 3, 3.1, 3.05, 2.9999, 3.5, 1, 1, 1, 1, 2, 2, 2, 0.5]
RISING = [0.1, 0.3, 0.2, 0.25, 0.4, 0.35, 0.35, 0.3, 0.6, 0.6, 0.6, 0.6, 0.6]
# name, arguments, values of val_loss
DECISIONS = [
    *(("EarlyStopping", {"patience": patience, **more}, BUMPY) for patience in (0, 1, 2, 3, 9) for more in (
        {}, {"min_delta": 0.5}, {"restore_best_weights": True}, {"start_from_epoch": 3}, {"baseline": 3.5},
        {"baseline": 0.1, "restore_best_weights": True}, {"mode": "max"}, {"mode": "min", "min_delta": -1},
    )),
    ("EarlyStopping", {"mode": "max", "patience": 2, "restore_best_weights": True}, RISING),
    ("EarlyStopping", {"patience": 1, "restore_best_weights": True}, [3, NAN, NAN, 1]),
    ("EarlyStopping", {"patience": 2}, [NAN, 2, 1, 0.5]),
    *(("ReduceLROnPlateau", {"patience": patience, "factor": 0.5, **more}, BUMPY) for patience in (0, 1, 2, 3) for more
      in ({}, {"cooldown": 1}, {"cooldown": 3}, {"min_delta": 0.6}, {"min_lr": 0.03}, {"mode": "max"})),
    ("ReduceLROnPlateau", {}, [1] * 25),
    ("ReduceLROnPlateau", {"mode": "max", "patience": 1}, RISING),
    ("LearningRateScheduler", {"schedule": lambda epoch: 0.5 / (epoch + 1)}, BUMPY),
    ("LearningRateScheduler", {"schedule": lambda epoch, rate: rate * 0.9}, BUMPY),
    ("LearningRateScheduler", {"schedule": lambda epoch, rate=3.0: rate * 0.9}, BUMPY),
    ("TerminateOnNaN", {}, BUMPY),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "values"), DECISIONS)
def test_decisions(contenders, name, arguments, values):
    assert_same(*(outcome(contender, name, arguments, losses(*values)) for contender in contenders))


@pytest.mark.parametrize("bad", [NAN, float("inf"), float("-inf")])
def test_decisions_of_terminate_on_nan(contenders, bad):
    epochs = [{"loss": 1.0}, {"loss": bad}, {"loss": 1.0}]
    assert_same(*(outcome(contender, "TerminateOnNaN", {}, epochs) for contender in contenders))


MESSAGES = [
    ("EarlyStopping", {"patience": 1, "restore_best_weights": True, "verbose": 1}),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.5, "verbose": 1}),
    ("LearningRateScheduler", {"schedule": lambda epoch: 0.5, "verbose": 1}),
    ("ModelCheckpoint", {"filepath": "m.keras", "verbose": 1}),
    ("ModelCheckpoint", {"filepath": "m.keras", "verbose": 1, "save_best_only": True}),
]


@pytest.mark.parametrize(("name", "arguments"), MESSAGES)
def test_messages(contenders, name, arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = []
    for contender in contenders:
        outcome(contender, name, arguments, losses(3, 2, 2.5))
        text = capsys.readouterr().out
        printed.append(re.sub(r"\d+\.\d+(e-\d+)?", lambda number: f"{float(number[0]):.6g}", text))  # 32 and 64 bits
    assert printed[0] == printed[1]
    assert printed[0]


CHECKPOINTS = [
    {"filepath": "m.keras"},
    {"filepath": "{epoch:02d}-{val_loss:.2f}.keras"},
    {"filepath": "{epoch}.weights.h5", "save_weights_only": True},
    {"filepath": "{epoch}.keras", "save_best_only": True},
    {"filepath": "{epoch}.keras", "save_best_only": True, "mode": "max"},
    {"filepath": "{epoch}.keras", "save_best_only": True, "initial_value_threshold": 2.5},
    {"filepath": "{epoch}-{batch:02d}.keras", "save_freq": 1},
    {"filepath": "{epoch}-{batch:02d}.keras", "save_freq": 3},
    {"filepath": "deep/{epoch}/m.keras", "save_freq": 5},
]


@pytest.mark.parametrize("arguments", CHECKPOINTS, ids=str)
def test_files_of_checkpoints(contenders, arguments, tmp_path, monkeypatch):
    files = []
    for contender in contenders:
        folder = tmp_path / contender[0].__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        outcome(contender, "ModelCheckpoint", arguments, losses(3, 4, 2, 2, 1))
        files.append(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))
    assert files[0] == files[1] != []


CSV = [
    ({}, [{"val_loss": 3.0, "loss": 2.0, "accuracy": 0.5}] * 2),
    ({"separator": ";"}, [{"loss": 2.0}, {"loss": 1.5, "val_loss": 3.0}]),
    ({"append": True}, [{"loss": 0.1 + 0.2, "val_loss": 1e-9}]),
    ({}, [{"loss": 1.0, "val_word": "so, so"}]),
]


@pytest.mark.parametrize(("arguments", "epochs"), CSV, ids=range(len(CSV)))
def test_csv_files(contenders, arguments, epochs, tmp_path):
    files = []
    for contender in contenders:
        path = tmp_path / f"{contender[0].__name__}.csv"
        for _ in range(2):  # the second run appends or overwrites
            outcome(contender, "CSVLogger", {"filename": path, **arguments}, epochs)
        files.append(path.read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("steps", [4, None])
@pytest.mark.parametrize("seconds", [3.0, 0.02, 5e-5])
def test_what_fit_prints(contenders, verbose, epochs, steps, seconds, monkeypatch, capsys):
    clock = types.SimpleNamespace(now=1000.0)
    clock.time = clock.monotonic = lambda: clock.now
    monkeypatch.setattr(importlib.import_module("keras.src.utils.progbar"), "time", clock)
    monkeypatch.setattr(our_progbar, "time", clock)

    def tick(batch, logs):
        clock.now += seconds

    options = {"add_progbar": True, "verbose": verbose, "epochs": epochs, "steps": steps}
    printed = []
    for library, make_model, step in contenders:
        model = make_model()
        callbacks = library.CallbackList([library.LambdaCallback(on_train_batch_begin=tick)], model=model, **options)
        run(callbacks, model, losses(3, 2e-4, 12)[:epochs], batches=4, step=step)
        printed.append(last_drawn(capsys.readouterr().out))
    assert printed[0] == printed[1]
    assert len(printed[0]) == (2 * epochs if epochs > 1 else epochs)


def last_drawn(text):
    """Line by line what remains to be seen: Keras draws a bar over itself where output is no terminal, too."""
    plain = re.sub(r"\x1b\[\d+m|\x08", "", text)
    return [line.split("\r")[-1].rstrip() for line in plain.split("\n")[:-1]]


def read_events_of_tensorflow(folder):
    """As read_events(): TensorFlow writes scalars as tensors, and histograms as tensors (bins, 3), counts the last."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    make_array = importlib.import_module("tensorboard.util.tensor_util").make_ndarray
    accumulator = reading.EventAccumulator(str(folder), {"tensors": 0}).Reload()
    return {
        tag: [(event.step, make_array(event.tensor_proto)) for event in accumulator.Tensors(tag)]
        for tag in accumulator.Tags()["tensors"]
    }


def test_curves_of_tensorboard(contenders, tmp_path):
    pytest.importorskip("tensorboard")  # which TensorFlow no longer brings along
    pytest.importorskip("tensorboardX")
    arguments = {"histogram_freq": 2, "update_freq": 2, "write_graph": False, "write_steps_per_second": True}
    epochs = [{"loss": 4.0, "accuracy": 0.25, "val_loss": 5.0}, {"loss": 2.0, "accuracy": 0.5, "val_loss": 3.0}]
    for library, make_model, step in contenders:
        model = make_model()
        callbacks = library.CallbackList(library.TensorBoard(tmp_path / library.__name__, **arguments), model=model)
        callbacks.on_test_begin()
        callbacks.on_test_end({"loss": 7.0})
        # An even number: after an odd one Keras keeps back what the epoch has, too
        run(callbacks, model, epochs, batches=4, step=step)
    for name in ["train", "validation"]:
        mine = read_events(tmp_path / "minidl.keras.callbacks" / name)
        theirs = read_events_of_tensorflow(tmp_path / "keras.callbacks" / name)
        for tag in [tag for tag in theirs if tag.endswith("/histogram")]:  # "sequential/dense/kernel/histogram"
            [(their_step, bins)], [(step, histogram)] = theirs.pop(tag), mine.pop("dense/0/histogram")
            assert (step, histogram.num) == (their_step, bins[:, 2].sum())
        assert mine.keys() == theirs.keys()
        for tag in mine:
            assert [step for step, _ in mine[tag]] == [step for step, _ in theirs[tag]], tag
            if "per_second" not in tag:
                np.testing.assert_allclose([x for _, x in mine[tag]], [x for _, x in theirs[tag]], err_msg=tag)


def test_directions_of_metrics(keras):
    """Every metric of Keras that can be made without arguments and has a direction."""
    checked = 0
    for metric in [thing for thing in vars(keras.metrics).values() if isinstance(thing, type)]:
        try:
            made = metric()
        except TypeError:
            continue
        direction = getattr(made, "_direction", None)
        if direction is not None:
            checked += 1
            assert MonitorCallback(f"val_{made.name}", "auto").is_improvement(1.0, 2.0) == (direction == "down"), made
    assert checked > 20


LABELS = [[0, 2, 1], [[1], [0]], [[0, 1], [2, 1]], [[[1], [0]]], 1, [1.0, 2.9], np.array([3], np.uint8), [[3]]]


@pytest.mark.parametrize("classes", [None, 5])
@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_to_categorical(keras, labels, classes):
    mine, theirs = utils.to_categorical(labels, classes), keras.utils.to_categorical(labels, classes)
    assert mine.dtype == theirs.dtype
    np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"order": 1}, {"order": np.inf, "axis": 2}, {"axis": -2}])
def test_normalize(keras, dtype, options):
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    mine, theirs = utils.normalize(x, **options), keras.utils.normalize(x, **options)
    assert mine.dtype == theirs.dtype
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_signatures(keras):
    """Names, order and defaults of arguments are Keras's."""
    pairs = [(getattr(ours, name), getattr(keras.callbacks, name)) for name in ours.__all__]
    pairs += [(getattr(utils, name), getattr(keras.utils, name)) for name in utils.__all__]
    pairs += [(datasets.mnist.load_data, keras.datasets.mnist.load_data)]
    for mine, theirs in pairs:
        kept, expected = (
            {p.name: p.default for p in inspect.signature(thing).parameters.values() if p.kind != p.VAR_KEYWORD}
            for thing in (mine, theirs)
        )
        if mine is not ours.LambdaCallback:  # takes every hook by its name
            assert kept == expected, mine
