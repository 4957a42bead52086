"""Runs that are interrupted or killed, as processes of their own, and then go on as if nothing had happened."""

import os
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
import tiny_command
from safetensors.numpy import load_file

from minidl import cli, recipe
from minidl.training.run_folder import RunFolder

RUN = ["train", "tiny", "--data", "digits", "--limit", "64", "--batch-size", "8", "--epochs", "2", "--out"]
EPOCH = 8  # steps


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipe.MODELS, "tiny", tiny_command.tiny)
        assert cli.main([*RUN, str(folder)]) == 0
    return folder


def command(*arguments, send="SIGINT 0", checkpoint_every=300.0):
    """Run the command in a process of its own: (exit code, lines of output). On one thread: that changes no number."""
    settings = {"SIGNAL": send, "CHECKPOINT_EVERY": str(checkpoint_every), "NUMBA_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-u", tiny_command.__file__, *arguments],
        env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return result.returncode, result.stdout.splitlines()


def assert_goes_on(folder, step, expected):
    """Resuming goes on with this step, counted from 1, and ends as the run in folder `expected` did."""
    code, lines = command("train", "--resume", str(folder))
    assert code == 0
    epoch, batch = divmod(step - 1, EPOCH)
    assert lines[1].startswith(f"epoch {epoch + 1}/2  batch {batch + 1}/{EPOCH}")
    arrays, expected_arrays = (load_file(path / "checkpoint.safetensors") for path in (folder, expected))
    assert arrays.keys() == expected_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected_arrays[name], err_msg=name)
    assert history_without_clock(folder) == history_without_clock(expected)
    assert RunFolder(folder).load_signals() == RunFolder(expected).load_signals()


def history_without_clock(folder):
    rows = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    clock = rows[0].index("seconds")
    return [row[:clock] + row[clock + 1 :] for row in rows]


def test_an_interrupted_run_saves_and_prints_how_to_go_on(tmp_path, never_stopped):
    folder = tmp_path / "a run"  # with a space, which the printed command has to quote
    code, lines = command(*RUN, str(folder), send=f"SIGINT {EPOCH + 3}")
    assert code == 130
    assert "Finishing this step, then saving. Ctrl-C once more stops without saving." in lines
    announcement, printed = lines[-1].split(":", 1)
    assert announcement == "Stopped and saved. Go on with"
    assert shlex.split(printed) == ["minidl", "train", "--resume", str(folder)]
    assert len(history_without_clock(folder)) == 2  # its header and one epoch
    assert_goes_on(folder, EPOCH + 5, never_stopped)  # the signal came when the next step had begun


@pytest.mark.parametrize(
    ("step", "checkpoint_every", "first"),
    [
        (EPOCH + 3, 0.0, EPOCH + 4),  # killed when its checkpoint had just been written
        (EPOCH + 3, 300.0, EPOCH + 1),
        (3, 300.0, 1),
    ],
    ids=["checkpoint of this step", "checkpoint of the epoch before", "no checkpoint yet"],
)
def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, never_stopped, step, checkpoint_every, first):
    code, _ = command(*RUN, str(tmp_path), send=f"SIGKILL {step}", checkpoint_every=checkpoint_every)
    assert code == -signal.SIGKILL
    assert_goes_on(tmp_path, first, never_stopped)
