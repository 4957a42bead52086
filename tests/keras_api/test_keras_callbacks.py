"""Callbacks are called at the right moments, and write down what they are told."""

import numpy as np
import pytest
from fake_run import FakeModel, losses, run

from minidl.keras.callbacks import Callback, CallbackList, CSVLogger, History, LambdaCallback, TerminateOnNaN
from minidl.keras.callbacks.callback import HOOKS


class Everything(Callback):
    """Writes down every call."""

    def __init__(self):
        self.calls = []


def _recorder(hook):
    return lambda self, *arguments, logs=None: self.calls.append((hook, *arguments))


for hook in HOOKS:
    setattr(Everything, hook, _recorder(hook))

OF_TRAINING = [
    ("on_train_begin", {}),
    ("on_epoch_begin", 0, {}),
    ("on_train_batch_begin", 0, {}),
    ("on_train_batch_end", 0, {"loss": 2.0}),
    ("on_epoch_end", 0, {"loss": 2.0, "val_loss": 3.0}),
    ("on_train_end", {"loss": 2.0, "val_loss": 3.0}),
]


def test_the_hooks_of_training_come_in_order_with_their_logs():
    watcher, model = Everything(), FakeModel()
    run(CallbackList(watcher, model=model), model, [{"val_loss": 3.0, "loss": 2.0}], batches=1)
    assert watcher.calls == OF_TRAINING
    assert watcher.model is model


@pytest.mark.parametrize("hook", HOOKS)
def test_a_list_hands_every_hook_on(hook):
    first, second = Everything(), Everything()
    arguments = (7, {"loss": 1.0}) if "epoch" in hook or "batch" in hook else ({"loss": 1.0},)
    getattr(CallbackList([first, [second]]), hook)(*arguments)
    assert first.calls == second.calls == [(hook, *arguments)]


@pytest.mark.parametrize("moment", ["begin", "end"])
def test_the_older_names_of_batch_hooks_are_called(moment):
    seen = []
    callback = LambdaCallback(**{f"on_batch_{moment}": lambda batch, logs: seen.append((batch, logs))})
    getattr(CallbackList(callback), f"on_train_batch_{moment}")(3, {"loss": 1.0})
    assert seen == [(3, {"loss": 1.0})]


class Unreadable(dict):
    """Logs that must not be looked at."""

    def __getitem__(self, key):
        raise AssertionError("somebody read the logs")

    items = keys = values = get = __iter__ = __len__ = __getitem__


def test_batches_reach_only_those_who_listen():
    assert not CallbackList([History(), Callback()]).listens("on_train_batch_end")
    seen = []
    both = CallbackList([History(), LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))])
    assert both.listens("on_train_batch_end")
    assert not both.listens("on_train_batch_begin")
    both.on_train_batch_end(4, {"loss": 1.0})
    assert seen == [4]


def test_logs_of_batches_are_not_read_for_the_bar_alone():
    bar = CallbackList([History()], add_progbar=True, model=FakeModel(), verbose=2, epochs=1, steps=3)
    bar.on_epoch_begin(0)
    bar.on_train_batch_end(0, Unreadable(loss=1.0))


def test_logs_of_batches_can_be_kept():
    kept, growing = [], {"loss": 1.0}
    watch = CallbackList([LambdaCallback(on_train_batch_end=lambda batch, logs: kept.append(logs))])
    watch.on_train_batch_end(0, growing)
    growing["loss"] = 2.0
    watch.on_train_batch_end(1, growing)
    assert kept == [{"loss": 1.0}, {"loss": 2.0}]


def test_a_callback_need_not_call_the_constructor_of_its_base():
    class Own(Callback):
        def __init__(self):
            pass

    assert Own().model is None
    assert Own().params is None


def test_a_list_passes_on_model_and_params_and_adds_what_is_asked_for():
    own, model = Callback(), FakeModel()
    both = CallbackList([own], add_history=True, add_progbar=True, model=model, verbose=0, epochs=3, steps=5)
    assert [type(callback).__name__ for callback in both.callbacks] == ["Callback", "History", "ProgbarLogger"]
    assert own.model is both.model is model
    assert own.params == {"verbose": 0, "epochs": 3, "steps": 5}
    assert model.history is both.callbacks[1]
    history = History()
    assert CallbackList([history], add_history=True).callbacks == [history]


def test_figures_of_an_epoch_come_in_alphabetical_order():
    history, model = History(), FakeModel()
    run(CallbackList(history, model=model), model, [{"val_loss": 3.0, "loss": 2.0, "accuracy": 0.5}])
    assert list(history.history) == ["accuracy", "loss", "val_loss"]


def test_what_one_callback_adds_to_the_logs_those_behind_it_see():
    history, model = History(), FakeModel()
    adding = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(added=epoch))
    run(CallbackList([adding, history], model=model), model, losses(3.0, 2.0))
    assert history.history == {"loss": [1.0, 1.0], "val_loss": [3.0, 2.0], "added": [0, 1]}
    assert history.epoch == [0, 1]


def test_a_second_fit_goes_on_in_the_same_history():
    history, model = History(), FakeModel()
    for _ in range(2):
        run(CallbackList(history, model=model), model, losses(3.0))
    assert history.history["val_loss"] == [3.0, 3.0]
    assert history.epoch == [0]


def test_a_hook_that_does_not_exist_is_an_error():
    with pytest.raises(TypeError, match=r"expected hooks of Callback \(on_train_begin.*got 'on_epoch_ends'"):
        LambdaCallback(on_epoch_ends=print)


@pytest.mark.parametrize(("value", "stops"), [(1.0, False), (float("nan"), True), (float("inf"), True)])
def test_terminate_on_nan(value, stops, capsys):
    model, history = FakeModel(), History()
    run(CallbackList([TerminateOnNaN(), history], model=model), model, [{"loss": value}] * 2)
    assert model.stop_training == stops
    assert model.weights[0].item() == (1 if stops else 4)  # steps
    assert ("Batch 0: Invalid loss" in capsys.readouterr().out) == stops


def test_terminate_on_nan_by_an_error():
    with pytest.raises(RuntimeError, match="the loss of batch 5 is nan"):
        CallbackList(TerminateOnNaN(raise_error=True)).on_train_batch_end(5, {"loss": float("nan")})


def csv_of(path, epochs, **options):
    model = FakeModel()
    run(CallbackList(CSVLogger(path, **options), model=model), model, epochs)
    return path.read_text().splitlines()


def test_a_csv_file_has_a_row_for_each_epoch(tmp_path):
    rows = csv_of(tmp_path / "log.csv", [{"val_loss": 0.5, "loss": 1.0}, {"loss": 0.25}])
    assert rows == ["epoch,loss,val_loss", "0,1.0,0.5", "1,0.25,NA"]


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, ["epoch,loss,val_loss", "0,1.0,2.0"]),
        ({"append": True}, ["epoch,loss,val_loss", "0,1.0,3.0", "0,1.0,2.0"]),
        ({"separator": ";"}, ["epoch;loss;val_loss", "0;1.0;2.0"]),
    ],
)
def test_a_csv_file_that_exists(tmp_path, options, rows):
    csv_of(tmp_path / "log.csv", losses(3.0))
    assert csv_of(tmp_path / "log.csv", losses(2.0), **options) == rows


def test_a_csv_file_to_append_to_need_not_exist(tmp_path):
    rows = csv_of(tmp_path / "log.csv", losses(2.0), append=True)
    assert rows == ["epoch,loss,val_loss", "0,1.0,2.0"]


def test_several_numbers_in_one_cell(tmp_path):
    rows = csv_of(tmp_path / "log.csv", [{"loss": np.float32(1), "val_each": np.array([1, 2]), "word": "so"}])
    assert rows[1] == '0,1.0,"""[1, 2]""",so'
