"""Exit codes, for scripts: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. `minidl --help` says so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_command
from command_line import RUN, said_by
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from minidl import checks, cli, recipe
from minidl.checks import Result

pytestmark = pytest.mark.usefixtures("tiny_runs")

DONE = [["devices"], ["summary", "tiny"], ["check", "--backend", "reference"], [*RUN, "--out", "other"],
        ["train", "--resume", "run"], ["evaluate", "run"], ["summary", "run"]]  # fmt: skip
FAILED = [  # whatever was asked for made sense, but the files do not
    (["train", "tiny", "--data", "cifar10"], "CIFAR-10 is not here: no answer: connection refused"),
    ([*RUN, "--out", "run"], "run holds a run already"),
    ([*RUN, "--weights", "nowhere"], "nowhere: no checkpoint there"),
    ([*RUN, "--out", "notes.txt"], "notes.txt is a file: name a folder with --out"),
    (["export", "tiny", "--format", "keras", "--out", "empty.weights.h5"], "expected the name of a file, got a folder"),
    (["summary", "mlp", "--input-shape", "1000000", "1000000", "3"], "Unable to allocate"),
    (["train", "--resume", "nowhere"], "nowhere holds no run: expected a file config.json in it"),
    (["evaluate", "nowhere"], "nowhere holds no run: expected a file config.json in it"),
    (["predict", "nowhere", "x.png"], "nowhere: expected a run folder or a checkpoint in one, found nothing there"),
    (["predict", "run", "x.png"], "x.png: expected an image file, found nothing there"),
    (["summary", "empty"], "empty holds no run: expected a file config.json in it"),
    (["summary", "lenet", "--input-shape", "64", "64", "3"], "in Dense(400, 120, relu), given (2, 2704)"),
]
WRONG = [
    (["train"], "expected a model to train: one of article_flux, "),
    (["train", "vgg12"], "unknown model 'vgg12': choose one of article_flux, "),
    ([*RUN, "--warmup", "8"], "expected a warmup of fewer steps than the 8 of the whole run, got 8"),
    (["train", "tiny", "--clip-norm", "inf"], "expected clip_norm to be finite, got inf"),
    (["train", "tiny", "--learning-rate", "inf"], "expected learning_rate to be finite, got inf"),
    (["train", "tiny", "--out", ""], "got an empty text for --out"),
    (["train", "tiny", "--groups", "*.bias:rate_factor=-2"], "Group: expected a rate_factor of 0 or more, got -2.0"),
    (
        ["train", "tiny", "--data", "digits", "--groups", "*.bais:rate_factor=2"],
        "the group '*.bais' fits none of 8 param",
    ),
    (["export", "nope", "--format", "keras", "--out", "m.weights.h5"], "is neither a run folder nor a model"),
    (["train", "tiny", "--seed", "-1"], "expected seed of at least 0, got -1"),
    (["train", "tiny", "--epochs", "0"], "expected epochs of at least 1, got 0"),
    (["train", "tiny", "--clip-norm", "0"], "expected clip_norm above 0, got 0.0"),
    (["train", "tiny", "--optimiser", "adam", "--momentum", "0.9"], "adam has none to set"),
    (["train", "--resume", "run", "--batch-size", "3"], "--resume goes on with the settings of the run"),
    (["train", "--resume", "run", "--epochs", "0"], "expected epochs of at least 1, got 0"),
    (["summary", "vgg12"], "unknown model 'vgg12': choose one of article_flux, "),
    (["summary", "tiny", "--batch-size", "0"], "expected --input-shape and --batch-size of at least 1"),
    (["summary", "tiny", "--input-shape", "32", "0", "3"], "expected --input-shape and --batch-size of at least 1"),
    (["predict", "run", "x.png", "--top", "0"], "expected --top of at least 1, got 0"),
]
MISSPELT = [[], ["dance"], ["train", "tiny", "--epochs", "two"], ["train", "--data", "mnist"], ["evaluate"],
            ["predict", "run"], ["summary", "tiny", "--input-shape", "32"], ["train", "tiny", "--optimiser", "sgd"],
            ["check", "--backend", "tpu"]]  # fmt: skip


def joined(value):
    return " ".join(value) if isinstance(value, list) else ""


@pytest.fixture
def _a_run(tiny_runs, finished_run, tmp_path, monkeypatch, capsys):
    """A finished run, and checks that are over at once."""
    monkeypatch.setattr(checks, "run_checks", lambda backend: iter([Result("add", backend, 1e-9, 1e-9)]))
    shutil.copytree(finished_run, tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.weights.h5").mkdir()
    (tmp_path / "notes.txt").touch()
    capsys.readouterr()


@pytest.mark.usefixtures("_a_run")
@pytest.mark.parametrize("arguments", DONE, ids=joined)
def test_done(arguments):
    assert cli.main(arguments) == 0


@pytest.mark.usefixtures("_a_run")
@pytest.mark.parametrize(("arguments", "message"), FAILED, ids=joined)
def test_failed(tmp_path, capsys, arguments, message):
    if arguments[0] == "predict":
        pytest.importorskip("PIL")
    said = said_by(capsys, *arguments, code=1)
    assert said.startswith("minidl: ")
    assert message in said
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {
        "empty",
        "empty.weights.h5",
        "notes.txt",
        "run",
    }  # an error leaves no folder


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=joined)
def test_wrong_usage(tmp_path, capsys, arguments, message):
    """Noticed before anything is read: there is no folder "run" here."""
    said = said_by(capsys, *arguments, code=2)
    assert said.startswith("minidl: ")
    assert message in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", MISSPELT, ids=joined)
def test_misspelt(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("usage: minidl")


@pytest.mark.usefixtures("_a_run")
def test_weights_that_are_not_finite_fail(tmp_path, capsys):
    path = tmp_path / "run" / "checkpoint.safetensors"
    arrays = load_file(path)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    save_file({name: np.full_like(array, np.nan) for name, array in arrays.items()}, path, metadata)
    for json in ([], ["--json"]):
        assert "run: the loss on the test images is nan" in said_by(capsys, "evaluate", "run", *json, code=1)


def test_wrong_gradients_fail(monkeypatch, capsys):
    monkeypatch.setattr(checks, "run_checks", lambda backend: iter([Result("add", backend, failure="add is wrong")]))
    assert cli.main(["check"]) == 1


@pytest.mark.parametrize("command", [["devices"], ["summary", "tiny"], RUN], ids=joined)
def test_interrupted(monkeypatch, command):
    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    for module, name in ((recipe, "load_data"), (recipe, "build")):
        monkeypatch.setattr(module, name, interrupted)
    monkeypatch.setattr("minidl.devices.devices", interrupted)
    assert cli.main(command) == 130


def test_training_that_is_interrupted_twice_stops_at_once():
    """In a process of its own; test_interrupted_run.py has those that are interrupted once."""
    result = subprocess.run(
        [sys.executable, tiny_command.__file__, *RUN, "--out", "run"], capture_output=True, text=True,
        env={**os.environ, "SIGNAL": "SIGINT 3 SIGINT 3", "CHECKPOINT_EVERY": "300", "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 130
    assert "Stopped and saved" not in result.stdout
    assert not Path("run", "checkpoint.safetensors").exists()
    assert "Traceback" not in result.stderr


def test_help_tells_of_them(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    told = lines[lines.index("exit codes:") + 1 :]
    assert [line.split()[0] for line in told if line] == ["0", "1", "2", "130"]


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe that can be closed")
def test_when_nobody_reads_any_more_what_was_finished_is_saved(tmp_path):
    code = "import sys; from minidl.cli import main; sys.exit(main())"
    arguments = ["train", "mlp", "--data", "digits", "--limit", "32", "--epochs", "2", "--out", "pipe"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()  # where the data are from
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert "nobody reads the output any more" in said
    assert "Traceback" not in said
    assert len((tmp_path / "pipe" / "history.csv").read_text().splitlines()) == 2  # the epoch whose line was not read
