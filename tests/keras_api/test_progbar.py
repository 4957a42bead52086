"""The progress bar: what it prints on a terminal and elsewhere, letter by letter."""

import io
import sys
import types

import pytest
from fake_run import FakeModel, losses, run

from minidl.keras.callbacks import CallbackList
from minidl.keras.utils import Progbar
from minidl.keras.utils import progbar as module


class Output(io.StringIO):
    """Standard output that is a terminal or not, with an encoding of its own."""

    encoding = "utf-8"

    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def output(monkeypatch, request):
    output = Output(getattr(request, "param", False))
    monkeypatch.setattr(module, "sys", types.SimpleNamespace(stdout=output, modules=sys.modules))
    return output


def progress(clock, steps=3, seconds=0.25, **options):
    """A bar of 3 steps with a loss of 1, 2, 3."""
    bar = Progbar(3, width=6, **options)
    for step in range(1, steps + 1):
        clock.now += seconds
        bar.update(step, [("loss", float(step))])


# options of the bar, what it has printed after its 3 steps, where output is no terminal
PRINTED = {
    "a bar": ({}, "3/3 ━━━━━━ 1s 250ms/step - loss: 3.0000\n"),
    "one line": ({"verbose": 2}, "3/3 - 1s - 250ms/step - loss: 3.0000\n"),
    "nothing": ({"verbose": 0}, ""),
    "units": ({"unit_name": "sample"}, "3/3 ━━━━━━ 1s 250ms/sample - loss: 3.0000\n"),
    "slow": ({"seconds": 2.0}, "3/3 ━━━━━━ 6s 2s/step - loss: 3.0000\n"),
    "fast": ({"seconds": 2e-5}, "3/3 ━━━━━━ 0s 20us/step - loss: 3.0000\n"),
}


@pytest.mark.parametrize(("options", "printed"), PRINTED.values(), ids=PRINTED)
def test_where_output_is_no_terminal_a_line_is_printed_at_the_end(options, printed, clock, output):
    progress(clock, steps=2, **options)
    assert output.getvalue() == ""
    output.truncate(0)
    progress(clock, steps=3, **options)
    assert output.getvalue() == printed


@pytest.mark.parametrize("output", [True], indirect=True)
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "1.5"),
        ({"stateful_metrics": ["loss"]}, "2.0"),
        ({"stateful_metrics": ["accuracy"]}, "1.5"),
        ({"stateless_metrics": []}, "2.0"),
        ({"stateless_metrics": ["loss"]}, "1.5"),
    ],
)
def test_values_are_means_or_shown_as_they_are(options, shown, clock, output):
    progress(clock, steps=2, **options)
    assert output.getvalue().endswith(f" - loss: {shown}000")


@pytest.mark.parametrize("output", [True], indirect=True)
def test_on_a_terminal_the_bar_is_drawn_over_itself(clock, output):
    progress(clock, seconds=10.0)
    lines = output.getvalue().split("\r")[1:]
    assert lines == [
        "\x1b[1m1/3\x1b[0m \x1b[32m━━\x1b[37m━━━━\x1b[0m \x1b[1m20s\x1b[0m 10s/step - loss: 1.0000",
        "\x1b[1m2/3\x1b[0m \x1b[32m━━━━\x1b[37m━━\x1b[0m \x1b[1m10s\x1b[0m 10s/step - loss: 1.5000",
        "\x1b[1m3/3\x1b[0m \x1b[32m━━━━━━\x1b[37m\x1b[0m \x1b[1m30s\x1b[0m 10s/step - loss: 3.0000\n",
    ]


@pytest.mark.parametrize("output", [True], indirect=True)
def test_a_shorter_line_covers_a_longer_one(clock, output):
    bar = Progbar(2, stateful_metrics=["loss"])
    bar.update(1, [("loss", 12345.0)])
    clock.now += 1
    bar.update(2, [("loss", 1.0)])
    first, second = output.getvalue().split("\r")[1:]
    assert len(second.rstrip("\n")) == len(first)
    assert second.endswith("loss: 1.0000    \n")


@pytest.mark.parametrize("output", [True], indirect=True)
def test_a_terminal_is_not_drawn_on_more_often_than_the_interval(clock, output):
    progress(clock, steps=2, seconds=0.03)
    assert output.getvalue().count("\r") == 1


@pytest.mark.parametrize("output", [True], indirect=True)
@pytest.mark.parametrize(
    ("per_step", "left"),
    [(1, "59s"), (2, "1:58"), (100, "1:38:20")],
)
def test_time_left(per_step, left, clock, output):
    bar = Progbar(60)
    clock.now += per_step
    bar.update(1)
    assert f"\x1b[1m{left}\x1b[0m" in output.getvalue()


def test_an_unknown_target(clock, output):
    bar = Progbar(None)
    bar.update(5, [("loss", 1.0)])
    bar.update(7, [("loss", 0.0001)], finalize=True)
    assert output.getvalue() == "      7/Unknown 0s 0s/step - loss: 1.0000e-04\n"


def test_add_counts_on(clock, output):
    bar = Progbar(4)
    bar.add(2)
    bar.add(2)
    assert output.getvalue().startswith("4/4 ")


def test_the_first_step_does_not_count_for_the_pace(clock, output):
    bar = Progbar(3)
    for seconds, step in [(10, 1), (1, 2), (1, 3)]:
        clock.now += seconds
        bar.update(step)
    assert " 12s 1s/step" in output.getvalue()


def test_an_output_without_these_signs_has_others(clock, output, monkeypatch):
    monkeypatch.setattr(Output, "encoding", "ascii")
    progress(clock)
    assert output.getvalue().startswith("3/3 ====== 1s")


def test_both_kinds_of_metrics_are_an_error():
    with pytest.raises(ValueError, match="expected stateful_metrics or stateless_metrics, got both"):
        Progbar(3, stateful_metrics=[], stateless_metrics=[])


# verbose, epochs, what fit() prints
FIT = {
    "a bar": (1, 2, "Epoch 1/2\n2/2 ━━━━━━━━━━━━━━━━━━━━ 0s 0s/step - loss: 1.0000 - val_loss: 3.0000\n"
                    "Epoch 2/2\n2/2 ━━━━━━━━━━━━━━━━━━━━ 0s 0s/step - loss: 1.0000 - val_loss: 2.0000\n"),
    "auto": ("auto", 1, "2/2 ━━━━━━━━━━━━━━━━━━━━ 0s 0s/step - loss: 1.0000 - val_loss: 3.0000\n"),
    "a line": (2, 2, "Epoch 1/2\n2/2 - 0s - 0s/step - loss: 1.0000 - val_loss: 3.0000\n"
                     "Epoch 2/2\n2/2 - 0s - 0s/step - loss: 1.0000 - val_loss: 2.0000\n"),
    "nothing": (0, 2, ""),
}  # fmt: skip


@pytest.mark.parametrize("steps", [2, None])
@pytest.mark.parametrize(("verbose", "epochs", "printed"), FIT.values(), ids=FIT)
def test_what_fit_prints(verbose, epochs, printed, steps, clock, output):
    model = FakeModel()
    callbacks = CallbackList(add_progbar=True, model=model, verbose=verbose, epochs=epochs, steps=steps)
    run(callbacks, model, losses(3, 2)[:epochs])
    assert output.getvalue() == printed


class LogsOfABatch(dict):
    looked_at = 0

    def items(self):
        LogsOfABatch.looked_at += 1
        return super().items()


@pytest.mark.parametrize(("output", "looks"), [(True, 2), (False, 0)], indirect=["output"])
def test_logs_of_batches_are_only_read_when_they_are_shown(output, looks, clock, monkeypatch):
    monkeypatch.setattr(LogsOfABatch, "looked_at", 0)
    callbacks = CallbackList(add_progbar=True, model=FakeModel(), verbose=1, epochs=1, steps=10)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    for batch in range(10):
        clock.now += 0.006
        callbacks.on_train_batch_end(batch, LogsOfABatch(loss=1.0))
    assert LogsOfABatch.looked_at == looks


def test_evaluation_has_a_bar_unless_it_is_inside_fit(clock, output):
    callbacks = CallbackList(add_progbar=True, model=FakeModel(), verbose=1, epochs=1, steps=2)

    def evaluate():
        callbacks.on_test_begin()
        for batch in range(2):
            callbacks.on_test_batch_end(batch, {"loss": 0.5})
        callbacks.on_test_end({"loss": 0.5})

    evaluate()
    assert output.getvalue() == "2/2 ━━━━━━━━━━━━━━━━━━━━ 0s 0s/step - loss: 0.5000\n"
    callbacks.on_train_begin()
    evaluate()
    assert output.getvalue().count("\n") == 1


def test_prediction_has_a_bar_without_figures(clock, output):
    callbacks = CallbackList(add_progbar=True, model=FakeModel(), verbose=1, epochs=1, steps=1)
    callbacks.on_predict_begin()
    callbacks.on_predict_batch_end(0, {"outputs": object()})
    callbacks.on_predict_end()
    assert output.getvalue() == "1/1 ━━━━━━━━━━━━━━━━━━━━ 0s 0s/step\n"
