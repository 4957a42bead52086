"""Whatever happens, the command ends with one line that names what failed, and exit code 1; never with a traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RUN, said_by
from safetensors.numpy import load_file

from minidl import cli, recipe
from minidl.folders import NoHomeFolderError, cache_folder
from minidl.ops.compiling import Progress
from minidl.training import callbacks
from minidl.training.run_folder import RunFolder

SLOW = pytest.mark.slow
POSIX = pytest.mark.skipif(os.name != "posix", reason="files and streams of POSIX")
MINIDL = [sys.executable, "-c", "import sys; from minidl.cli import main; sys.exit(main())"]


def minidl(arguments, shell="", cwd=None, **environment):
    """The command as a process, with redirections of the shell: (exit code, stdout, stderr)."""
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", *MINIDL, *arguments]
    result = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, cwd=cwd)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.mark.usefixtures("tiny_runs")
@pytest.mark.parametrize("error", [TypeError("x is\nno y"), RecursionError("too deep"), KeyError("name"), Exception()])
def test_an_error_that_nobody_expects_is_one_line(monkeypatch, capsys, error):
    def fail(*arguments, **named):
        raise error

    monkeypatch.setattr(recipe, "evaluate_run", fail)
    said = said_by(capsys, "evaluate", "a run", code=1)
    assert said.startswith(f"minidl: minidl evaluate 'a run' failed: {type(error).__name__}")
    assert said.count("\n") == 1
    assert said.endswith("with MINIDL_DEBUG=1 it shows where\n")
    monkeypatch.setenv("MINIDL_DEBUG", "1")
    assert "Traceback (most recent call last)" in said_by(capsys, "evaluate", "a run", code=1)


@POSIX
@pytest.mark.parametrize(
    ("arguments", "shell", "code"),
    [
        (["devices", "--json"], "> /dev/full", 1),
        pytest.param(["devices"], "> /dev/full", 1, marks=SLOW),
        pytest.param(["devices"], "2>&-", 0, marks=SLOW),
        (["devices"], "<&- >&- 2>&-", 0),
    ],
    ids=str,
)
def test_streams_that_are_full_or_closed(arguments, shell, code):
    found, _, said = minidl(arguments, shell)
    assert found == code
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    if code == 1:
        assert "No space left on device" in said
        assert said.count("\n") == 1


@POSIX
@pytest.mark.parametrize(
    ("arguments", "code", "environment"),
    [
        (["summary", b"\xff"], 2, {"PYTHONIOENCODING": "ascii:strict"}),
        pytest.param([b"\xff"], 2, {"PYTHONIOENCODING": "ascii:strict"}, marks=SLOW),
        (["train", "--resume", b"\xff"], 1, {"PYTHONIOENCODING": "ascii:strict"}),
        (["predict", b"\xff", b"\xff.png"], 1, {"LC_ALL": "C", "PYTHONUTF8": "0"}),
        pytest.param(["devices"], 0, {"LC_ALL": "C", "PYTHONUTF8": "0"}, marks=SLOW),
    ],
    ids=str,
)
def test_names_and_encodings(arguments, code, environment):
    found, _, said = minidl(arguments, **environment)
    assert found == code
    assert "Traceback" not in said


@pytest.mark.usefixtures("tiny_runs")
def test_a_run_and_its_page_may_have_any_name(capsys):
    name = os.fsdecode(b"a\xff") if os.name == "posix" else "ä"
    said_by(capsys, *RUN, "--out", name)
    said_by(capsys, "explain", "run", name, "--images", "4", "--out", f"{name}.html")
    assert "The run in a" in Path(f"{name}.html").read_text(encoding="utf-8")


@POSIX
@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"NUMBA_DISABLE_JIT": "1"}, 1),
        ({"TMPDIR": "/nowhere", "HOME": "/nowhere", "XDG_CACHE_HOME": "", "MINIDL_CACHE_DIR": str(cache_folder())}, 0),
    ],
    ids=str,
)
def test_environments(tmp_path, environment, code):
    run = ["train", "mlp", "--data", "digits", "--limit", "8", "--epochs", "1", "--out", "run"]
    found, _, said = minidl(run, cwd=tmp_path, **environment)
    assert "Traceback" not in said
    assert found == code, said
    assert ("NUMBA_DISABLE_JIT is set; unset it" in said) == (code == 1)


@POSIX
def test_without_a_home_folder_a_folder_is_asked_for(monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "MINIDL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # of a user who is not in the list of users
    with pytest.raises(NoHomeFolderError, match=r"no home folder, in which .* MINIDL_CACHE_DIR name a folder"):
        cache_folder()


@pytest.mark.usefixtures("tiny_runs")
@pytest.mark.parametrize("name", ["config.json", "checkpoint.safetensors", "history.csv", "signals.json", "curves.png"])
def test_a_full_disk_names_the_file_and_is_no_finished_run(tmp_path, monkeypatch, capsys, name):
    """Every file of a run on a disk that is full: as /dev/full, under another name."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    pytest.importorskip("matplotlib")
    fsync = os.fsync

    def full(descriptor):
        if f"/.{name}." in os.readlink(f"/proc/self/fd/{descriptor}"):
            with open("/dev/full", "wb", buffering=0) as file:
                file.write(b"x")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    said = said_by(capsys, *RUN, "--out", "run", code=1)
    assert said == f"minidl: [Errno 28] No space left on device: '{Path('run', name)}'\n"
    assert not list(tmp_path.rglob(".*")), "nothing half written is left"


@POSIX
@pytest.mark.usefixtures("tiny_runs")
@pytest.mark.parametrize(
    ("most", "name"), [(100, "config.json"), (3_000, "signals.json"), (8_000, "checkpoint.safetensors")]
)
def test_where_only_small_files_may_be_written(tmp_path, capsys, most, name):
    """The limit of a process (ulimit -f), which each library meets in its own way."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        code = cli.main([*RUN, "--out", "run"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = capsys.readouterr().err.replace(f"{Progress.LINE}\n", "")
    assert code == 1
    assert said.startswith("minidl: ")
    assert said.count("\n") == 1
    assert name in said
    assert "File too large" in said
    assert not list(tmp_path.rglob(".*")), "nothing half written is left"


# Another number of epochs ---------------------------------------------------------------------------------------------


def trained_to(capsys, *arguments, out):
    said = said_by(capsys, *RUN, *arguments, "--out", out)
    return said, load_file(Path(out, "checkpoint.safetensors"))


def same(first, second):
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


class StopAt6(callbacks.ProgressDisplay):
    def batch_ended(self, training):
        training.stop = training.optimiser.steps == 6


@pytest.mark.usefixtures("tiny_runs")
def test_a_run_is_trained_for_longer(capsys, monkeypatch):
    """With a constant rate, it is the run that was to be as long from its beginning; killed in between, too."""
    constant = ["--schedule", "constant"]
    said_by(capsys, *RUN[:-1], "1", *constant, "--out", "run")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(recipe, "ProgressDisplay", StopAt6)
        said = said_by(capsys, "train", "--resume", "run", "--epochs", "2", code=130)
    assert "Epochs: 2, 1 before.\n" in said
    assert json.loads(Path("run", "config.json").read_text())["epochs"] == 2
    said_by(capsys, "train", "--resume", "run")
    assert same(load_file(Path("run", "checkpoint.safetensors")), trained_to(capsys, *constant, out="whole")[1])


@pytest.mark.usefixtures("tiny_runs")
def test_the_schedule_is_stretched_and_that_is_said(capsys):
    said_by(capsys, *RUN, "--out", "run")
    said = said_by(capsys, "train", "--resume", "run", "--epochs", "4")
    rate = recipe.make_schedule("cosine", 0.005, 16)(8)
    assert f"Epochs: 4, 2 before. The schedule (cosine) goes on as that of a run of 4 epochs, at a learning rate of " \
           f"{rate:.3g}" in said  # fmt: skip
    assert len(RunFolder("run").load_history()) == 4
    assert RunFolder("run").load_config().keys() >= {"made_with", "epochs"}


@pytest.mark.usefixtures("tiny_runs")
def test_fewer_epochs_than_are_done_are_refused(capsys, finished_run):
    shutil.copytree(finished_run, "run")
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    said = said_by(capsys, "train", "--resume", "run", "--epochs", "1", code=1)
    assert said == "minidl: run: expected --epochs of at least 2, for so many are done or begun, got 1\n"
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before
    assert cli.main(["train", "--resume", "run", "--epochs", "2"]) == 0
