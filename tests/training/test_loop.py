"""train(), fit() and evaluate(): what a step is, what the figures mean, which mode is on, and how training stops."""

import numpy as np
import pytest
from small_run import assert_equal, copies, digits, small_network, small_training, without_clock

import minidl
from minidl import Chain, Dense, Tensor, flatten, training_mode
from minidl.data import DataLoader, to_float
from minidl.losses import logitcrossentropy, mse
from minidl.modes import is_recording, training_step
from minidl.optimisers import Descent, Momentum
from minidl.training import Callback, epochs, evaluate, fit, skip, stop, train
from minidl.training.diagnosis import NotFiniteError


@pytest.fixture(autouse=True)
def _same_seed():
    minidl.seed(0)


def float_digits(count):
    images, labels = digits(count)
    return to_float(images), labels


def linear():
    return Chain(flatten, Dense(64, 10))


class Note(Callback):
    """Writes down when it was called, and stops after so many steps."""

    def __init__(self, stop_after=None):
        self.calls, self.stop_after = [], stop_after

    def batch_ended(self, training):
        self.calls.append((training.position.epoch, training.position.batch))
        training.stop = training.optimiser.steps == self.stop_after

    def epoch_ended(self, training):
        self.calls.append(("epoch", len(training.position.history)))


# Learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_small_network_learns_32_digits_by_heart(backend):
    x, y = float_digits(32)
    with minidl.use_backend(backend):
        model = small_network()
    history = fit(model, logitcrossentropy, DataLoader((x, y), 8, shuffle=True), Momentum(0.02), epochs=25)
    assert history[0]["loss"] > 1.5
    scores = evaluate(model, logitcrossentropy, [(x, y)])
    assert scores["accuracy"] == 1
    assert scores["loss"] < 0.05


def test_one_seed_repeats_bit_for_bit_and_two_differ():
    runs = [small_training(seed) for seed in (1, 1, 2)]
    for training in runs:
        training.run()
    assert_equal(copies(runs[0].model), copies(runs[1].model))
    assert without_clock(runs[0].position.history) == without_clock(runs[1].position.history)
    assert runs[0].position.history[0]["loss"] != runs[2].position.history[0]["loss"]


# train: one pass, as in Flux ----------------------------------------------------------------------------------------


def test_train_takes_a_step_for_each_batch():
    x, y = float_digits(20)
    model = linear()
    weight, bias = (p.numpy().astype(np.float64) for p in model.params().values())
    train(lambda x, y: mse(model(x), y), model.params(), DataLoader((x, y), batchsize=8), Descent(0.5))
    for start in (0, 8, 16):
        rows, targets = x[start : start + 8].reshape(-1, 64), y[start : start + 8]
        error = 2 * (rows @ weight + bias - targets) / targets.size
        weight, bias = weight - 0.5 * rows.T @ error, bias - 0.5 * error.sum(0)
    np.testing.assert_allclose(model[1].weight.numpy(), weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model[1].bias.numpy(), bias, rtol=1e-4, atol=1e-6)


def test_train_gives_a_batch_that_is_no_tuple_to_the_loss_as_it_is():
    x = Tensor([1.0], requires_grad=True)
    train(lambda batch: (x * float(batch.sum())).sum(), {"x": x}, [np.ones(2), np.ones(3)], Descent(0.1))
    np.testing.assert_allclose(x.numpy(), [1 - 0.1 * 5], rtol=1e-6)


def test_train_moves_only_the_parameters_it_is_given():
    x, y = float_digits(8)
    model = linear()
    before = copies(model)
    train(lambda x, y: mse(model(x), y), {"layers.1.bias": model[1].bias}, [(x, y)], Descent(0.5))
    np.testing.assert_array_equal(model[1].weight.numpy(), before["layers.1.weight"])
    assert not np.array_equal(model[1].bias.numpy(), before["layers.1.bias"])


def test_train_in_flux_explicit_form_gives_the_model_to_the_loss():
    model, (x, y) = linear(), float_digits(16)
    before = model.params()["layers.1.weight"].numpy().copy()
    seen = []

    def loss(given, x, y):
        seen.append(given)
        return logitcrossentropy(given(x), y)

    train(loss, model, DataLoader((x, y), 8), Descent(0.5))
    assert seen == [model, model]
    assert (model.params()["layers.1.weight"].numpy() != before).any()


def test_train_calls_back_after_each_step_until_it_is_stopped():
    x, called = Tensor([0.0], requires_grad=True), []

    def cb():
        called.append(x.item())
        if len(called) == 2:
            stop()

    train(lambda batch: x.sum(), {"x": x}, range(5), Descent(1.0), cb=cb)
    assert called == [-1, -2]


def test_a_batch_can_be_skipped():
    x, called = Tensor([0.0], requires_grad=True), []

    def loss(batch):
        if batch == 1:
            skip()
        return x.sum() * batch

    optimiser = Descent(1.0)
    train(loss, {"x": x}, range(4), optimiser, cb=lambda: called.append(x.item()))
    assert (called, optimiser.steps) == ([0, -2, -5], 3)


def test_train_stops_at_a_loss_that_is_not_finite_before_it_does_harm():
    x = Tensor([1.0], requires_grad=True)
    losses = iter([1.0, float("inf"), 1.0])
    with pytest.raises(NotFiniteError, match=r"train: the loss of batch 2 is inf; .*learning rate \(now 0\.5\)"):
        train(lambda batch: (x * next(losses)).sum(), {"x": x}, [0, 0, 0], Descent(0.5))
    np.testing.assert_array_equal(x.numpy(), [0.5])  # the first step only


def test_epochs_counts_aloud(capsys):
    assert list(epochs(2)) == [1, 2]
    assert capsys.readouterr().out == "Epoch 1\nEpoch 2\n"


# Modes --------------------------------------------------------------------------------------------------------------


def test_training_mode_is_on_in_a_step_with_its_number_and_off_in_evaluation():
    seen = []

    def look(x):
        step = training_step()
        seen.append((None if step is None else step.number, is_recording()))
        return x

    model, data = Chain(look, *linear()), float_digits(16)
    loader = DataLoader(data, 8)
    fit(model, logitcrossentropy, loader, Descent(0.01), epochs=2, validation=[data])
    train(lambda x, y: logitcrossentropy(model(x), y), model.params(), loader, Descent(0.01))
    step, evaluation = [(n, True) for n in range(4)], (None, False)
    assert seen == [*step[:2], evaluation, *step[2:], evaluation, *step[:2]]


def test_evaluation_inside_a_training_step_is_evaluation_all_the_same():
    model, data = small_network(), [float_digits(8)]
    before, expected = copies(model), evaluate(model, logitcrossentropy, data)
    with training_mode():
        assert evaluate(model, logitcrossentropy, data) == expected
        assert training_step() is not None
    assert_equal(copies(model), before)


@pytest.mark.parametrize("fail", ["model", "loss", "callback"])
def test_training_mode_is_closed_again_after_an_error(fail):
    def failing(*arguments):
        raise ZeroDivisionError

    class Failing(Callback):
        batch_ended = failing

    model = Chain(failing if fail == "model" else flatten, Dense(64, 10))
    loss = failing if fail == "loss" else logitcrossentropy
    callbacks = [Failing()] if fail == "callback" else []
    with pytest.raises(ZeroDivisionError):
        fit(model, loss, DataLoader(float_digits(8), 4), Descent(), 1, callbacks=callbacks)
    assert training_step() is None
    assert is_recording()
    if fail != "callback":
        with pytest.raises(ZeroDivisionError):
            train(lambda x, y: loss(model(x), y), model.params(), [float_digits(8)], Descent())
        assert training_step() is None


# Figures ------------------------------------------------------------------------------------------------------------


def test_figures_are_means_over_samples_also_with_a_smaller_last_batch():
    data = float_digits(20)
    model = linear()
    expected = evaluate(model, logitcrossentropy, [data])
    in_parts = evaluate(model, logitcrossentropy, DataLoader(data, 8))
    assert in_parts == pytest.approx(expected, rel=1e-5)
    history = fit(model, logitcrossentropy, DataLoader(data, 8), Descent(0), 1, validation=[data])
    (row,) = history
    assert row.pop("seconds") > 0
    scores = {f"validation_{name}": value for name, value in expected.items()}
    assert row == pytest.approx({"epoch": 1, **expected, **scores, "learning_rate": 0}, rel=1e-5)


def test_evaluate_wants_a_batch():
    with pytest.raises(ValueError, match="evaluate: expected at least one batch, got none"):
        evaluate(linear(), logitcrossentropy, [])


def test_the_schedule_is_asked_before_each_step():
    asked, used = [], []

    class Watched(Descent):
        def update(self, *arguments):
            used.append(self.learning_rate)

    def schedule(step):
        asked.append(step)
        return step / 10

    history = fit(linear(), logitcrossentropy, DataLoader(float_digits(16), 8), Watched(), 2, schedule=schedule)
    assert sorted(set(asked)) == [0, 1, 2, 3]
    assert used == [0, 0.1, 0.2, 0.3]
    assert [row["learning_rate"] for row in history] == [0.1, 0.3]


# Callbacks and stopping ---------------------------------------------------------------------------------------------


def test_callbacks_are_called_after_each_step_and_each_epoch():
    note = Note()
    small_training(epochs=2, count=16).run([note])
    assert note.calls == [(0, 1), (0, 2), ("epoch", 1), (1, 1), (1, 2), ("epoch", 2)]


def test_a_callback_can_stop_training_after_its_step():
    training, note = small_training(epochs=2, count=16), Note(stop_after=3)
    training.run([note])
    assert note.calls == [(0, 1), (0, 2), ("epoch", 1), (1, 1)]
    assert training.optimiser.steps == 3
    assert len(training.position.history) == 1


def test_training_that_is_done_does_nothing():
    training = small_training(epochs=1, count=16)
    training.run()
    before = copies(training.model)
    training.run([Note()])
    assert_equal(copies(training.model), before)
    assert fit(linear(), logitcrossentropy, DataLoader(float_digits(8), 8), Descent(), epochs=0) == []


def test_a_second_fit_goes_on_with_new_orders():
    seen = []

    def watch(x, generator):
        seen.append(x[:, 0, 0, 0].tolist())
        return to_float(x, generator)

    data = DataLoader(digits(16), 16, shuffle=True, augment=[watch])
    images = data.data[0].copy()
    images[:, 0, 0, 0] = range(16)  # so that each image can be told
    data.data = (images, data.data[1])
    model, optimiser = linear(), Descent(0.01)
    for _ in range(2):
        fit(model, logitcrossentropy, data, optimiser, epochs=2)
    assert data.epoch == 4
    assert len({tuple(order) for order in seen}) == 4


def test_a_validation_loss_that_is_not_finite_stops_training():
    training = small_training(epochs=1)
    training.validation = [(np.full((2, 8, 8, 1), np.nan, np.float32), digits(2)[1])]
    with pytest.raises(NotFiniteError, match="step 5: the validation loss is nan"):
        training.run()
    assert not training.position.history
