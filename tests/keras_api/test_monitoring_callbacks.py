"""EarlyStopping, ReduceLROnPlateau and LearningRateScheduler over scripted epochs."""

import numpy as np
import pytest
from fake_run import FakeModel, losses, run

from minidl.keras.callbacks import CallbackList, EarlyStopping, History, LearningRateScheduler, ReduceLROnPlateau

NAN = float("nan")


def fitted(callback, epochs):
    model, history = FakeModel(), History()
    run(CallbackList([callback, history], model=model), model, epochs)
    return model, history


# arguments, val_loss of each epoch, the epoch it stops after (None: none), the epoch whose weights remain
STOPPING = {
    "better all the time": ({"patience": 1}, [3, 2, 1], None, 2),
    "worse at once": ({}, [1, 2, 3], 1, 1),
    "patience": ({"patience": 2}, [3, 2, 2, 2, 1], 3, 3),
    "patience begins anew": ({"patience": 2}, [3, 3, 2, 2, 1], None, 4),
    "never after the first epoch": ({"patience": 0, "baseline": 0.5}, [1, 1], 1, 1),
    "too small an improvement": ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 1], 1, 1),
    "min_delta without its sign": ({"patience": 1, "min_delta": -0.5}, [3, 2.6, 1], 1, 1),
    "max": ({"patience": 1, "mode": "max"}, [1, 2, 1.5, 3], 2, 2),
    "baseline not reached": ({"patience": 2, "baseline": 1}, [3, 2.9, 2.8, 2.8, 2.8], 3, 3),
    "best weights": ({"patience": 2, "restore_best_weights": True}, [3, 1, 2, 2, 0], 3, 1),
    "best weights of a whole run": ({"patience": 5, "restore_best_weights": True}, [3, 1, 2], None, 1),
    "start_from_epoch": ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 4, 5], 3, 3),
    "nan is no improvement": ({"patience": 1}, [1, NAN, 0], 1, 1),
}


@pytest.mark.parametrize(("arguments", "values", "stopped", "kept"), STOPPING.values(), ids=STOPPING)
def test_early_stopping(arguments, values, stopped, kept):
    callback = EarlyStopping(**arguments)
    model, history = fitted(callback, losses(*values))
    assert callback.stopped_epoch == (stopped or 0)
    assert history.epoch == list(range(len(values) if stopped is None else stopped + 1))
    assert model.weights[0].item() == 2 * (kept + 1)  # two steps an epoch


def test_early_stopping_says_what_it_does(capsys):
    fitted(EarlyStopping(patience=1, restore_best_weights=True, verbose=1), losses(1, 2, 3))
    assert capsys.readouterr().out == (
        "Epoch 2: early stopping\nRestoring model weights from the end of the best epoch: 1.\n"
    )


def test_early_stopping_can_be_used_again():
    callback = EarlyStopping(patience=1)
    for _ in range(2):
        fitted(callback, losses(2, 1, 3))
        assert (callback.stopped_epoch, callback.best, callback.best_epoch, callback.wait) == (2, 1, 1, 1)


DIRECTIONS = {
    "falls": ["loss", "val_loss", "val_mse", "mean_absolute_error", "val_head_loss", "kl_divergence"],
    "rises": ["accuracy", "val_acc", "val_sparse_top_k_categorical_accuracy", "auc_1", "f1_score", "val_mean_io_u"],
}


@pytest.mark.parametrize(("name", "falls"), [(name, key == "falls") for key in DIRECTIONS for name in DIRECTIONS[key]])
def test_the_direction_is_told_from_the_name(name, falls):
    callback = EarlyStopping(monitor=name)
    assert callback.is_improvement(1.0, 2.0) == falls
    assert callback.is_improvement(2.0, 1.0) != falls


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_name_that_says_no_direction_needs_a_mode(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: cannot tell.*'val_money'.*mode='max'"):
        fitted(kind(monitor="val_money"), losses(1.0, name="val_money"))
    fitted(kind(monitor="val_money", mode="max"), losses(1.0, name="val_money"))


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_mode_that_does_not_exist_is_an_error(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: expected mode 'auto', 'min' or 'max', got 'maximum'"):
        kind(mode="maximum")


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_figure_that_is_not_there_is_warned_about(kind):
    with pytest.warns(
        UserWarning, match=rf"{kind.__name__}: expected 'val_accuracy' in the logs, got .*loss, val_loss"
    ):
        fitted(kind(monitor="val_accuracy"), losses(1.0))


# arguments, val_loss of each epoch, learning rate during each epoch
PLATEAUS = {
    "no plateau": ({"patience": 1}, [3, 2, 1], [0.1, 0.1, 0.1]),
    "reduces": ({"patience": 1, "factor": 0.5}, [1, 1, 1, 1], [0.1, 0.1, 0.05, 0.025]),
    "patience": ({"patience": 2, "factor": 0.5}, [1, 1, 1, 1, 1], [0.1, 0.1, 0.1, 0.05, 0.05]),
    "too small an improvement": ({"patience": 1, "min_delta": 0.5, "factor": 0.5}, [1, 0.6, 0.4], [0.1, 0.1, 0.05]),
    "its own min_delta": ({"patience": 1, "factor": 0.5}, [1, 0.99995, 0.9], [0.1, 0.1, 0.05]),
    "cooldown": ({"patience": 1, "factor": 0.5, "cooldown": 2}, [1] * 6, [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]),
    "min_lr": ({"patience": 1, "factor": 0.5, "min_lr": 0.04}, [1] * 5, [0.1, 0.1, 0.05, 0.04, 0.04]),
    "max": ({"patience": 1, "factor": 0.5, "mode": "max"}, [1, 2, 1, 1], [0.1, 0.1, 0.1, 0.05]),
    "the defaults": ({}, [1] * 13, [0.1] * 11 + [0.01] * 2),
}


@pytest.mark.parametrize(("arguments", "values", "rates"), PLATEAUS.values(), ids=PLATEAUS)
def test_reduce_lr_on_plateau(arguments, values, rates):
    _, history = fitted(ReduceLROnPlateau(**arguments), losses(*values))
    assert history.history["learning_rate"] == pytest.approx(rates)


def test_reduce_lr_on_plateau_refuses_to_raise_the_rate():
    with pytest.raises(ValueError, match="expected a factor below 1, got 2"):
        ReduceLROnPlateau(factor=2)


SCHEDULES = {
    "of the epoch": (lambda epoch: 1 / (epoch + 1), [1, 1 / 2, 1 / 3]),
    "of the epoch and the rate": (lambda epoch, rate: rate * 0.5, [0.05, 0.025, 0.0125]),
    "with an optional rate": (lambda epoch, rate=7.0: rate * 0.5, [0.05, 0.025, 0.0125]),
    "numpy's floats": (lambda epoch: np.float32(epoch), [0, 1, 2]),
}


@pytest.mark.parametrize(("schedule", "rates"), SCHEDULES.values(), ids=SCHEDULES)
def test_learning_rate_scheduler(schedule, rates):
    _, history = fitted(LearningRateScheduler(schedule), losses(1, 1, 1))
    assert history.history["learning_rate"] == pytest.approx(rates)


def test_an_error_inside_a_schedule_is_not_hidden():
    def schedule(epoch, rate):
        return rate + "no number"

    with pytest.raises(TypeError, match="unsupported operand"):
        fitted(LearningRateScheduler(schedule), losses(1))


@pytest.mark.parametrize("result", [None, 1, "0.1"])
def test_a_schedule_has_to_return_a_float(result):
    with pytest.raises(ValueError, match="expected a float from the schedule, got"):
        fitted(LearningRateScheduler(lambda epoch: result), losses(1))


@pytest.mark.parametrize(
    ("callback", "text"),
    [
        (
            LearningRateScheduler(lambda epoch: 0.5, verbose=1),
            "Epoch 1: LearningRateScheduler setting learning rate to",
        ),
        (ReduceLROnPlateau(patience=1, verbose=1), "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.01"),
    ],
    ids=["scheduler", "plateau"],
)
def test_they_say_what_they_do(callback, text, capsys):
    fitted(callback, losses(1, 1))
    assert text in capsys.readouterr().out
