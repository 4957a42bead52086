"""The `minidl` command: what it leaves behind, what it says, and its exit codes. 0 done, 1 failed, 2 wrong usage."""

import csv
import json
import subprocess
import sys
import warnings

import pytest
from command_line import RUN, said_by
from safetensors.numpy import load_file
from tiny_command import tiny

from minidl import BatchNorm, Chain, Dense, cli, flatten, recipe
from minidl.backend import get_backend
from minidl.ops.compiling import Progress
from minidl.training.callbacks import ProgressDisplay

COLUMNS = ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds"]


pytestmark = pytest.mark.usefixtures("tiny_runs")


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_train_leaves_a_run_folder(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = said_by(capsys, *RUN, "--seed", "3", "--out", "run")
    folder = tmp_path / "run"
    assert sorted(file.name for file in folder.iterdir()) == [
        "checkpoint.safetensors", "config.json", "curves.png", "history.csv", "signals.json",
    ]  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert config.items() >= {"model": "tiny", "data": "digits", "epochs": 2, "seed": 3, "augment": True}.items()
    assert set(config["made_with"]) == {"minidl", "python", "numpy"}
    rows = history(folder)
    assert [list(row) for row in rows] == [COLUMNS] * 2
    assert [row["epoch"] for row in rows] == ["1", "2"]
    lines = out.splitlines()
    assert lines[0].startswith("Data: Digits, 1,437 training and 360 test images")
    assert [line[:15] for line in lines[1:3]] == ["epoch 1/2  loss", "epoch 2/2  loss"]
    assert lines[3:] == ["Finished: run"]


def test_one_seed_repeats_and_two_differ(tmp_path, capsys):
    tables = {}
    for name, seed in (("first", "3"), ("again", "3"), ("other", "4")):
        said_by(capsys, *RUN, "--seed", seed, "--out", name)
        tables[name] = [{**row, "seconds": None} for row in history(tmp_path / name)]
    assert tables["first"] == tables["again"]
    assert tables["first"] != tables["other"]


def test_a_real_network_as_a_command_of_its_own(tmp_path):
    command = [sys.executable, "-m", "minidl.cli", "train", "vgg11", "--data", "digits", "--limit", "16"]
    result = subprocess.run([*command, "--epochs", "1", "--batch-size", "8"], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stderr.strip() in {"", Progress.LINE}  # kernels may have to be compiled first
    assert result.stdout.splitlines()[-1] == "Finished: runs/vgg11"
    assert len(history(tmp_path / "runs" / "vgg11")) == 1


def test_runs_without_a_name_are_numbered(tmp_path, capsys):
    for name in ("tiny", "tiny-2", "tiny-3"):
        assert said_by(capsys, *RUN[:-1], "1").endswith(f"Finished: runs/{name}\n")


def test_a_run_is_not_overwritten(tmp_path, capsys):
    said_by(capsys, *RUN, "--out", "run")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    assert "run holds a run already: go on with --resume run" in said_by(capsys, *RUN, "--out", "run", code=1)
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


def test_resuming_a_finished_run_changes_nothing(tmp_path, capsys):
    said_by(capsys, *RUN, "--out", "run")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    assert said_by(capsys, "train", "--resume", "run").endswith("Finished: run\n")
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize(
    "setting",
    [
        ["tiny"],
        ["--batch-size", "3"],
        ["--seed", "0"],
        ["--no-augment"],
        ["--out", "other"],
        ["--backend", "reference"],
        ["--weights", "other"],
    ],
    ids=" ".join,
)
def test_a_run_goes_on_with_its_own_settings_only(capsys, setting):
    said = said_by(capsys, "train", *setting, "--resume", "run", code=2)
    assert "--resume goes on with the settings of the run; only --data-dir can be given with it" in said


def test_evaluate_gives_the_figures_of_the_last_epoch(tmp_path, capsys):
    said_by(capsys, *RUN, "--out", "run")
    row = history(tmp_path / "run")[-1]
    loss, accuracy = float(row["validation_loss"]), float(row["validation_accuracy"])
    assert said_by(capsys, "evaluate", "run").splitlines()[-1] == f"loss {loss:.4f}  accuracy {accuracy:.2%}"


def test_auto_falls_back_to_digits_and_says_why_in_one_line(tmp_path, capsys):
    out = said_by(capsys, *RUN[:2], "--limit", "8", "--epochs", "1", "--out", "run")
    (line,) = [line for line in out.splitlines() if line.startswith("Data: ")]
    assert "Digits" in line
    assert line.endswith("because CIFAR-10 is not here (no answer: connection refused)")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"] == "digits"


def test_a_warning_is_a_line_of_its_own(capsys, monkeypatch):
    def warning_network():
        warnings.warn("look out", stacklevel=1)
        return tiny()

    monkeypatch.setitem(recipe.MODELS, "tiny", warning_network)
    warnings.simplefilter("default")
    assert cli.main(["summary", "tiny"]) == 0
    assert capsys.readouterr().err == "minidl: look out\n"


# Weights of another run -----------------------------------------------------------------------------------------------


def weights_of(folder):
    arrays = load_file(folder / "checkpoint.safetensors")
    return {name: array for name, array in arrays.items() if name.startswith("model.")}


def same(first, second):
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("source", ["first", "first/checkpoint.safetensors"])
def test_a_run_starts_from_the_weights_of_another(tmp_path, capsys, source):
    """At a learning rate of 0 they stay what they were; only running statistics follow the batches."""
    said_by(capsys, *RUN, "--seed", "3", "--out", "first")
    said_by(capsys, *RUN, "--seed", "4", "--learning-rate", "0", "--weights", source, "--out", "second")
    before, after = weights_of(tmp_path / "first"), weights_of(tmp_path / "second")
    for name in before:
        assert (before[name] == after[name]).all() == ("mean" not in name and "variance" not in name), name
    assert json.loads((tmp_path / "second" / "config.json").read_text())["weights"] == str(tmp_path / source)
    assert [row["epoch"] for row in history(tmp_path / "second")] == ["1", "2"]


def test_such_a_run_is_resumed_without_the_other(tmp_path, capsys, monkeypatch):
    """Stopped at any time after it has begun: before its own first checkpoint too."""

    class Killed(BaseException):  # which the last resort of the command does not see
        pass

    def killed(self, training):
        raise Killed

    said_by(capsys, *RUN, "--seed", "3", "--out", "first")
    said_by(capsys, *RUN, "--seed", "4", "--weights", "first", "--out", "whole")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(recipe.KeepRunFolder, "batch_ended", killed)
        with pytest.raises(Killed):
            cli.main([*RUN, "--seed", "4", "--weights", "first", "--out", "parts"])
    capsys.readouterr()
    assert same(weights_of(tmp_path / "parts"), weights_of(tmp_path / "first"))
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    said_by(capsys, "train", "--resume", "parts")
    assert same(weights_of(tmp_path / "parts"), weights_of(tmp_path / "whole"))
    assert not same(weights_of(tmp_path / "parts"), weights_of(tmp_path / "elsewhere"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere: no checkpoint there"),
        ("empty", "checkpoint.safetensors: no checkpoint there"),
        ("first/config.json", "config.json: expected a checkpoint of minidl; the file is damaged or foreign"),
        ("first", "checkpoint.safetensors: these weights are of another network"),
    ],
)
def test_weights_that_cannot_be_taken(tmp_path, capsys, monkeypatch, source, message):
    said_by(capsys, *RUN[:-1], "1", "--out", "first")
    (tmp_path / "empty").mkdir()
    monkeypatch.setitem(recipe.MODELS, "tiny", lambda: Chain(flatten, BatchNorm(3072)))
    said = said_by(capsys, *RUN, "--weights", source, "--out", "second", code=1)
    assert message in said
    assert not (tmp_path / "second").exists()


# Errors -------------------------------------------------------------------------------------------------------------


def not_json(folder):
    (folder / "config.json").write_text('{"model": "tiny"')


def other_settings(folder):
    (folder / "config.json").write_text('{"model": "tiny", "epochs": "many"}')


def other_network(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model": "vgg11"}))


def damaged_checkpoint(folder):
    (folder / "checkpoint.safetensors").write_bytes(b"\0" * 100)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (not_json, "config.json: expected JSON, but"),
        (other_settings, "config.json: not the settings of a run: expected epochs of type int, got 'many'"),
        (other_network, "checkpoint.safetensors: these weights are of another network"),
        (damaged_checkpoint, "checkpoint.safetensors: "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("command", [["train", "--resume"], ["evaluate"]], ids=lambda command: command[0])
def test_a_run_folder_that_is_damaged(tmp_path, capsys, spoil, message, command):
    said_by(capsys, *RUN[:-1], "1", "--out", "run")
    spoil(tmp_path / "run")
    said = said_by(capsys, *command, "run", code=1)
    assert message in said
    assert "Traceback" not in said


def test_evaluate_without_a_checkpoint(tmp_path, capsys):
    said_by(capsys, *RUN[:-1], "1", "--out", "run")
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    assert "checkpoint.safetensors: no checkpoint there" in said_by(capsys, "evaluate", "run", code=1)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says on its own where a matmul overflows
def test_a_loss_that_is_not_finite_stops_the_run_with_a_reason(capsys):
    said = said_by(capsys, *RUN, "--learning-rate", "1e30", "--schedule", "constant", code=1)
    assert said.startswith("minidl: step ")
    assert "Lower the learning rate (now 1e+30)" in said


def test_an_error_inside_a_layer_names_the_layer(capsys, monkeypatch):
    """Batches of one image leave BatchNorm behind flatten one value per channel."""
    monkeypatch.setitem(recipe.MODELS, "tiny", lambda: Chain(flatten, BatchNorm(3072), Dense(3072, 10)))
    said = said_by(capsys, *RUN, "--batch-size", "1", code=1)
    assert "expected at least two values per channel" in said
    assert "in layer 1 of the Chain, BatchNorm(3072), given a tensor of shape (1, 3072)" in said


def test_the_gpu_is_refused_where_there_is_none(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    monkeypatch.setattr(recipe, "get_backend", get_backend.__wrapped__)  # which remembers nothing
    assert "'gpu' cannot be used: CuPy is missing" in said_by(capsys, *RUN, "--backend", "gpu", code=1)
    assert not (tmp_path / "runs").exists()
    rows = said_by(capsys, "devices").splitlines()
    assert [row.split()[:2] for row in rows if "CuPy" in row] == [["gpu", "no"]]


class InterruptOnce(ProgressDisplay):
    """Stops after the sixth step, as Ctrl-C does."""

    def batch_ended(self, training):
        training.stop = training.optimiser.steps == 6


RECIPE = {
    "optimiser": "adam", "learning_rate": 0.002, "weight_decay": 0.01, "clip_norm": 0.5, "schedule": "step",
    "warmup": 3, "cutout": 4, "label_smoothing": 0.1,
    "groups": "*.bias,*.shift:weight_decay=0; layers.1.*:rate_factor=2",
}  # fmt: skip


def test_every_part_of_the_recipe_is_kept_and_resumed(tmp_path, capsys, monkeypatch):
    options = [text for name, value in RECIPE.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    said_by(capsys, *RUN, *options, "--out", "whole")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(recipe, "ProgressDisplay", InterruptOnce)
        said_by(capsys, *RUN, *options, "--out", "parts", code=cli.INTERRUPTED)
    said_by(capsys, "train", "--resume", "parts")
    whole, parts = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ["whole", "parts"])
    assert all((whole[name] == parts[name]).all() for name in whole | parts)
    config = json.loads((tmp_path / "parts" / "config.json").read_text())
    assert config.items() >= (RECIPE | {"momentum": None}).items()
    assert [float(row["learning_rate"]) for row in history(tmp_path / "whole")] == [0.002, pytest.approx(2e-5)]


@pytest.mark.parametrize(("optimiser", "rates"), [("nesterov", (0.005, 0.9, 0.0)), ("adamw", (0.0003, None, 0.01))])
def test_rates_that_suit_the_optimiser_are_written_down(tmp_path, capsys, optimiser, rates):
    said_by(capsys, *RUN[:-1], "1", "--optimiser", optimiser, "--out", "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["learning_rate"], config["momentum"], config["weight_decay"]) == rates


def test_a_run_of_before_there_was_a_choice_is_resumed(tmp_path, capsys, monkeypatch):
    """Its config.json has none of the newer settings."""
    said_by(capsys, *RUN, "--out", "whole")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(recipe, "ProgressDisplay", InterruptOnce)
        said_by(capsys, *RUN, "--out", "parts", code=cli.INTERRUPTED)
    path = tmp_path / "parts" / "config.json"
    newer = {"optimiser", "clip_norm", "warmup", "weights", "cutout", "label_smoothing"}
    config = json.loads(path.read_text())
    assert newer <= config.keys()
    path.write_text(json.dumps({name: value for name, value in config.items() if name not in newer}))
    said_by(capsys, "train", "--resume", "parts")
    whole, parts = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ["whole", "parts"])
    assert all((whole[name] == parts[name]).all() for name in whole | parts)


@pytest.mark.gpu
def test_training_on_the_gpu_can_be_resumed_and_evaluated(tmp_path, capsys, monkeypatch):
    command = [*RUN, "--backend", "gpu"]
    said_by(capsys, *command, "--out", "whole")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(recipe, "ProgressDisplay", InterruptOnce)
        said_by(capsys, *command, "--out", "parts", code=cli.INTERRUPTED)
    said_by(capsys, "train", "--resume", "parts")
    rows = [[{**row, "seconds": ""} for row in history(tmp_path / name)] for name in ["whole", "parts"]]
    assert rows[0] == rows[1]
    whole, parts = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ["whole", "parts"])
    assert all((whole[name] == parts[name]).all() for name in whole | parts)
    accuracy = float(rows[0][-1]["validation_accuracy"])
    assert f"accuracy {accuracy:.2%}" in said_by(capsys, "evaluate", "parts")


@pytest.mark.gpu
def test_devices_are_listed(capsys):
    rows = said_by(capsys, "devices").splitlines()
    assert [row.split()[:2] for row in rows if "CuPy" in row or "Num" in row] == [
        ["reference", "yes"], ["cpu", "yes"], ["gpu", "yes"],
    ]  # fmt: skip
