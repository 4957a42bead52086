"""What `minidl train` does beside training: progress, the run folder, Ctrl-C, and a word about a dead signal."""

import io
import os
import signal

import pytest
from rich.console import Console
from small_run import digits, small_training

import minidl
from minidl import Chain, Dense, flatten, relu
from minidl.data import DataLoader, to_float
from minidl.losses import logitcrossentropy
from minidl.optimisers import Descent
from minidl.training import Callback, Training
from minidl.training.callbacks import KeepRunFolder, ProgressDisplay, StopOnInterrupt, WatchSignal
from minidl.training.diagnosis import NotFiniteError
from minidl.training.run_folder import RunFolder


def console(terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=200, highlight=False)


# Progress -----------------------------------------------------------------------------------------------------------


def test_a_line_for_each_epoch_where_output_is_no_terminal(monkeypatch):
    monkeypatch.setattr(ProgressDisplay, "LINE_EVERY", float("inf"))  # compiling kernels can take long
    out = console()
    training = small_training(epochs=2, count=16)
    with ProgressDisplay(out) as progress:
        training.run([progress])
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 2
    row = training.position.history[1]
    assert lines[1].startswith(
        f"epoch 2/2  loss {row['loss']:.4f}  accuracy {row['accuracy']:.2%}  "
        f"validation loss {row['validation_loss']:.4f}  accuracy {row['validation_accuracy']:.2%}  0:"
    )


def test_a_line_now_and_then_within_a_long_epoch(monkeypatch):
    monkeypatch.setattr(ProgressDisplay, "LINE_EVERY", 0.0)
    out = console()
    with ProgressDisplay(out) as progress:
        small_training(epochs=1, count=16).run([progress])
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("epoch 1/1  batch 1/2  loss ")
    assert "images/s" in lines[0]
    assert lines[1].endswith("0:00 left in this epoch")


def test_a_bar_on_a_terminal_that_is_gone_at_the_end_of_an_epoch():
    out = console(terminal=True)
    with ProgressDisplay(out) as progress:
        small_training(epochs=2, count=16).run([progress])
        assert progress.bar.live.is_started
    assert not progress.bar.live.is_started
    assert progress.task is None
    text = out.file.getvalue()
    assert "epoch 1/2  loss" in text
    assert "epoch 2/2  loss" in text


# The run folder -----------------------------------------------------------------------------------------------------


class Look(Callback):
    """Notes after each step and epoch which step the checkpoint on disk is of."""

    def __init__(self, folder):
        self.folder, self.seen = folder, []

    def batch_ended(self, training):
        if not self.folder.has_checkpoint():
            self.seen.append(None)
            return
        other = small_training(epochs=2, count=16)
        self.folder.load_checkpoint(other.model, other.optimiser)
        self.seen.append(other.optimiser.steps)

    epoch_ended = batch_ended


@pytest.mark.parametrize(
    ("every", "seen"), [(300.0, [None, None, 2, 2, 2, 4]), (0.0, [1, 2, 2, 3, 4, 4])], ids=["seldom", "always"]
)
def test_the_run_is_kept_after_each_epoch_and_now_and_then(tmp_path, monkeypatch, every, seen):
    monkeypatch.setattr(KeepRunFolder, "CHECKPOINT_EVERY", every)
    folder = RunFolder(tmp_path)
    look = Look(folder)
    small_training(epochs=2, count=16).run([KeepRunFolder(folder), look])
    assert look.seen == seen
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3


# Ctrl-C -------------------------------------------------------------------------------------------------------------


class Interrupt(Callback):
    """Sends this process a signal in the middle of training, as the terminal does at Ctrl-C."""

    def __init__(self, number, at_step):
        self.number, self.at_step = number, at_step

    def batch_ended(self, training):
        if training.optimiser.steps == self.at_step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_step_and_saves(tmp_path, number, capfd):
    before, folder = signal.getsignal(number), RunFolder(tmp_path)
    training = small_training(epochs=2, count=16)
    with StopOnInterrupt() as interrupt:
        training.run([Interrupt(number, at_step=3), interrupt, KeepRunFolder(folder)])
    assert "Finishing this step, then saving. Ctrl-C once more stops without saving." in capfd.readouterr().err
    assert signal.getsignal(number) is before
    assert training.optimiser.steps == 3
    other = small_training(epochs=2, count=16)
    position = folder.load_checkpoint(other.model, other.optimiser)
    assert (position.epoch, position.batch, other.optimiser.steps) == (1, 1, 3)


def test_a_second_interrupt_stops_at_once():
    before = signal.getsignal(signal.SIGINT)
    with StopOnInterrupt():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


class Spoil(Callback):
    """Makes one weight infinite behind the last step, too late for the loss to show it."""

    def batch_ended(self, training):
        if training.optimiser.steps == 10:
            with minidl.no_grad():
                training.model[0].weight[0, 0, 0, 0] = float("inf")


def test_weights_that_are_not_finite_do_not_replace_a_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(KeepRunFolder, "CHECKPOINT_EVERY", 0.0)
    folder, training = RunFolder(tmp_path), small_training(epochs=2)
    with pytest.raises(NotFiniteError, match=r"step 10: layers.0.weight holds numbers"):
        training.run([Spoil(), KeepRunFolder(folder)])
    other = small_training(epochs=2)
    assert folder.load_checkpoint(other.model, other.optimiser).batch == 4


# A dead signal ------------------------------------------------------------------------------------------------------


def watched(model, epochs=1):
    """What WatchSignal says while `model` trains on 16 digits with steps too small to change anything."""
    images, labels = digits(16)
    said = []
    data = DataLoader((to_float(images), labels), 8)
    training = Training(model, logitcrossentropy, data, Descent(1e-9), epochs)
    training.run([WatchSignal(to_float(images), said.append)])
    return said


def deep(depth):
    minidl.seed(0)
    return Chain(flatten, *(Dense(64, 64, relu) for _ in range(depth)), Dense(64, 10))


def test_a_dead_signal_is_told_of_once():
    said = watched(deep(20), epochs=3)
    assert len(said) == 1
    assert said[0].startswith("The loss stays at 2.30")
    assert "the signal has died in layer " in said[0]
    assert said[0].endswith("with init=he_normal.")


def test_a_network_that_has_left_guessing_behind_is_not_looked_at():
    assert watched(deep(1)) == []


def test_the_first_look_comes_early_in_a_long_epoch(monkeypatch):
    monkeypatch.setattr(WatchSignal, "FIRST_LOOK", 1)
    minidl.seed(0)
    images, labels = digits(16)
    said = []
    training = Training(deep(20), logitcrossentropy, DataLoader((to_float(images), labels), 8), Descent(1e-9), 1)
    training.step(to_float(images), labels)
    WatchSignal(to_float(images), said.append).batch_ended(training)
    assert len(said) == 1
