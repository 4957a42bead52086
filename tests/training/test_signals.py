"""What is kept of a network's signal while it trains is right, and keeping it changes nothing."""

import json

import numpy as np
import pytest
from command_line import RUN
from small_run import assert_equal, copies, digits, small_network, small_training, without_clock

import minidl
from minidl import (
    BatchNorm,
    Chain,
    Conv,
    Dense,
    Dropout,
    MaxPool,
    Tensor,
    cli,
    flatten,
    grad,
    models,
    relu,
    softmax,
)
from minidl.data import Digits, onehotbatch, to_float
from minidl.losses import crossentropy, logitcrossentropy
from minidl.modes import training_mode
from minidl.training.run_folder import RunFolder
from minidl.training.signals import HIGHEST, LOWEST, RecordSignals, look_inside, magnitudes


@pytest.fixture(autouse=True)
def _same_seed():
    minidl.seed(0)


def batch(count=16):
    images, targets = digits(count)
    return to_float(images), targets


def test_the_figures_are_those_of_the_layers():
    model, (x, y) = Chain(Dense(3, 4, relu), Dense(4, 2)), (np.float32([[1, 2, 3], [0, -1, 2]]), np.eye(2, dtype="f"))
    model[0].weight.array[:, 1] = -9  # a dead unit
    model[1].bias.array[...] = -9  # negative scores: nothing was cut off
    seen = look_inside(model, x, y, logitcrossentropy)
    hidden = model[0](x)
    assert [layer.name for layer in seen.layers] == ["Dense(3, 4, relu)", "Dense(4, 2)"]
    first, last = seen.layers
    assert first.mean == pytest.approx(hidden.numpy().mean(), rel=1e-6)
    assert first.deviation == pytest.approx(hidden.numpy().std(), rel=1e-5)
    assert first.signal == pytest.approx(hidden.numpy().std(axis=0).mean(), rel=1e-5)
    assert first.dead == (hidden.numpy().max(axis=0) <= 0).mean() > 0
    assert last.dead is None
    scores = Tensor(model(x).numpy(), requires_grad=True)
    (gradient,) = grad(logitcrossentropy(scores, y), scores)
    assert last.gradient == pytest.approx(np.sqrt(np.mean((gradient.numpy() * 2) ** 2)), rel=1e-5)
    assert seen.loss == pytest.approx(logitcrossentropy(model(x), y).item())
    assert seen.input_signal == pytest.approx(x.std(axis=0).mean(), rel=1e-6)


@pytest.mark.parametrize(
    "part", [Dropout(0.9), Chain(Dropout(0.5), MaxPool(1), Dropout(0.5))], ids=["itself", "inside"]
)
def test_what_dropout_sets_to_0_is_not_dead(part):
    plain = Chain(Conv((1, 1), (1, 8), relu), flatten, Dense(8 * 64, 10, relu), Dense(10, 10))
    model = Chain(plain[0], part, *plain[1:3], Dropout(0.5), plain[3])
    images, targets = batch(2)
    seen, expected = (look_inside(one, images, targets, logitcrossentropy).layers for one in (model, plain))
    for layer, other in zip([seen[0], *seen[2:4], seen[5]], expected, strict=True):
        assert (layer.mean, layer.deviation, layer.signal) == (other.mean, other.deviation, other.signal)
        assert (layer.dead, layer.magnitudes) == (other.dead, other.magnitudes)
    assert seen[4].dead is None
    assert seen[1].dead == (None if isinstance(part, Dropout) else expected[0].dead)
    assert seen[4].gradient_magnitudes != seen[3].gradient_magnitudes  # those of the step
    assert seen[4].name == "Dropout(0.5)"


def test_dropout_is_on_again():
    model = Chain(Dense(4, 4), Dropout(0.5), Dropout(0.5, active=True))
    look_inside(model, np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32), logitcrossentropy)
    assert [layer.active for layer in model[1:]] == [None, True]


def test_a_model_with_its_own_call_is_looked_at_as_a_whole():
    class Scaled(Chain):
        def __call__(self, x):
            return super().__call__(x) * 1e-3

    model, (x, y) = Scaled(flatten, Dense(64, 10)), batch()
    (seen,) = look_inside(model, x, y, logitcrossentropy).layers
    assert seen.mean == pytest.approx(model(x).numpy().mean())


def test_the_figures_are_those_of_the_parameters():
    model, (x, y) = small_network(), batch()
    seen = look_inside(model, x, y, logitcrossentropy)
    with training_mode(0):
        logitcrossentropy(model(x), y).backward()
    expected = {
        name: (np.sqrt(np.mean(parameter.numpy() ** 2.0)), np.sqrt(np.mean(parameter.grad.numpy() ** 2.0)))
        for name, parameter in model.params().items()
    }
    found = {one.name: (one.weight, one.gradient) for one in seen.parameters}
    assert found.keys() == expected.keys()
    for name, sizes in expected.items():
        assert found[name] == pytest.approx(sizes, rel=1e-5), name


@pytest.mark.parametrize(
    ("number", "power"),
    [(1.0, 0), (1.99, 0), (2.0, 1), (-0.5, -1), (1e-30, LOWEST), (1e30, HIGHEST - 1)],
)
def test_magnitudes_are_counted_between_powers_of_two(number, power):
    counts = magnitudes(np.array([number]))
    assert counts.index(1) == power - LOWEST
    assert sum(counts) == 1


def test_zeros_and_what_is_not_finite_count_nowhere():
    assert sum(magnitudes(np.array([0.0, np.nan, np.inf, 3.0]))) == 1


def test_looking_leaves_no_trace():
    model, (x, y) = small_network(), batch()
    before = copies(model)
    look_inside(model, x, y, logitcrossentropy, step=3)
    assert_equal(copies(model), before)
    assert all(parameter.grad is None for parameter in model.params().values())


def test_looking_is_looking_at_training():
    model, (x, y) = Chain(BatchNorm(1)), batch()
    seen = look_inside(model, x, y, lambda scores, targets: scores.sum())
    with training_mode(0):
        assert seen.layers[0].mean == pytest.approx(model(x).numpy().mean(), abs=1e-6)
    assert abs(seen.layers[0].mean) < 1e-4  # normalised over the batch


def test_one_image_shows_no_difference():
    x, y = batch(1)
    with pytest.raises(ValueError, match="at least two inputs"):
        look_inside(small_network(), x, y, logitcrossentropy)


def test_the_signal_of_the_article_s_network_dies_on_the_way_and_the_gradient_on_its_way_back():
    images, labels = Digits("train")[:8]
    seen = look_inside(models.article_keras(), to_float(images), onehotbatch(labels, range(10)), crossentropy)
    assert seen.loss == pytest.approx(np.log(10), abs=0.001)
    assert seen.layers[-1].signal < 1e-4 * seen.input_signal
    assert seen.layers[0].gradient < 1e-4 * seen.layers[-1].gradient


def steps(folder):
    return [(record["step"], record["epoch"]) for record in folder.load_signals()]


def record(folder):
    return RecordSignals(folder, *batch())


def test_a_run_is_looked_at_before_early_and_after_each_epoch_and_stays_as_it_would_be(tmp_path):
    alone, watched, folder = small_training(epochs=3), small_training(epochs=3), RunFolder(tmp_path)
    alone.run()
    minidl.seed(0)
    watched.run([record(folder)])
    assert steps(folder) == [(0, 0), (5, 1), (10, 1), (15, 3)]  # step 10 is early, and the end of epoch 2
    assert_equal(copies(watched.model), copies(alone.model))
    assert without_clock(watched.position.history) == without_clock(alone.position.history)


def test_a_resumed_run_goes_on_with_what_was_seen_before_its_checkpoint(tmp_path):
    folder, training = RunFolder(tmp_path), small_training(epochs=1)
    training.run([record(folder)])
    folder.save_signals([*folder.load_signals(), folder.load_signals()[-1] | {"step": 99}])  # of a run that was killed
    training.epochs = 2
    training.run([record(folder)])
    assert [step for step, _ in steps(folder)] == [0, 5, 10]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_network_that_ends_in_softmax_is_seen_on_each_backend(backend):
    x, y = batch()
    with minidl.use_backend(backend):
        minidl.seed(0)
        seen = look_inside(Chain(flatten, Dense(64, 10), softmax), x, y, crossentropy)
    assert [layer.name for layer in seen.layers] == ["flatten", "Dense(64, 10)", "softmax"]
    assert seen.layers[-1].mean == pytest.approx(0.1)
    assert seen.layers[0].gradient > 0


def test_every_step_with_a_checkpoint_has_been_seen_before_it(tiny_runs, tmp_path, monkeypatch):
    """A run that dies right after its checkpoint lacks nothing when it goes on."""
    seen = []

    def check(folder, model, optimiser, position):
        seen.append((optimiser.steps, folder.load_signals()[-1]["step"]))

    monkeypatch.setattr(RunFolder, "save_checkpoint", check)
    assert cli.main([*RUN, "--out", str(tmp_path / "run")]) == 0
    assert seen
    assert all(step == looked for step, looked in seen)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"other": 1}', "not JSON", '{"records": [1]}', '{"records": [{"step": 1, "layers": []}]}']
)
def test_a_file_of_something_else_is_named(text, tmp_path):
    (tmp_path / "signals.json").write_text(text)
    with pytest.raises(ValueError, match=r"signals\.json: expected what minidl train keeps"):
        RunFolder(tmp_path).load_signals()


def test_numbers_that_are_not_finite_are_kept_as_json_can(tmp_path):
    folder, training = RunFolder(tmp_path), small_training(epochs=1)
    training.run([record(folder)])
    broken = folder.load_signals()[:1]
    broken[0]["layers"][0] |= {"mean": np.nan, "dead": None}
    folder.save_signals(broken)
    json.loads((tmp_path / "signals.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    (layer, *_) = folder.load_signals()[0]["layers"]
    assert np.isnan(layer["mean"])
    assert layer["dead"] is None


def test_history_is_read_as_it_was_written(tmp_path):
    folder, rows = RunFolder(tmp_path), [{"epoch": 1.0, "loss": 0.25}, {"epoch": 2.0, "loss": 0.125}]
    assert folder.load_history() == []
    folder.save_history(rows)
    assert folder.load_history() == rows
    (tmp_path / "history.csv").write_text("epoch,loss\n1,many\n")
    with pytest.raises(ValueError, match=r"history\.csv: expected a table of numbers"):
        folder.load_history()


def test_records_are_plain_json(tmp_path):
    folder = RunFolder(tmp_path)
    small_training(epochs=1).run([record(folder)])
    assert json.loads((tmp_path / "signals.json").read_text())["records"] == folder.load_signals()
