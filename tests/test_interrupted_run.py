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

RUN = ["train", "tiny", "--data", "digits", "--limit", "64", "--batch-size", "8", "--epochs", "2", "--out"]
STOP_AT = "epoch 2/2  batch 3/8"  # in the middle of an epoch


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipe.MODELS, "tiny", tiny_command.tiny)
        assert cli.main([*RUN, str(folder)]) == 0
    return folder


def command(*arguments, seconds_between_checkpoints=300.0):
    """The command in a process of its own, its output unbuffered. On one thread: that changes no number."""
    settings = {"SECONDS_BETWEEN_CHECKPOINTS": str(seconds_between_checkpoints), "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-u", tiny_command.__file__, *arguments],
        env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def train_until(line_start, number, *arguments, **options):
    """Train until a line of output begins so, then send the signal; returns exit code and the rest of the output."""
    with command(*arguments, **options) as process:
        for line in process.stdout:
            if line.startswith(line_start):
                process.send_signal(number)
                break
        rest = process.stdout.read()
    return process.returncode, rest


def first_step(*arguments):
    """Let the command come to its end; the line about its first step."""
    with command(*arguments) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    return next(line for line in output.splitlines() if line.startswith("epoch "))


def assert_equal_runs(folder, other):
    arrays, expected = (load_file(path / "checkpoint.safetensors") for path in (folder, other))
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    assert history_without_clock(folder) == history_without_clock(other)


def history_without_clock(folder):
    rows = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    clock = rows[0].index("seconds")
    return [row[:clock] + row[clock + 1 :] for row in rows]


def test_an_interrupted_run_goes_on_with_the_command_it_prints(tmp_path, never_stopped):
    folder = tmp_path / "a run"  # with a space, which the printed command has to quote
    code, rest = train_until(STOP_AT, signal.SIGINT, *RUN, str(folder))
    assert code == 130
    assert "Finishing this step, then saving" in rest
    announcement, printed = rest.splitlines()[-1].split(":", 1)
    assert announcement == "Stopped and saved. Go on with"
    program, *arguments = shlex.split(printed)
    assert (program, arguments) == ("minidl", ["train", "--resume", str(folder)])
    assert len(history_without_clock(folder)) == 2  # its header and one epoch

    assert first_step(*arguments).startswith("epoch 2/2  batch 4/8")
    assert_equal_runs(folder, never_stopped)


@pytest.mark.parametrize("seconds", [0.0, 300.0], ids=["of the step before", "of the epoch before"])
def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, never_stopped, seconds):
    code, _ = train_until(STOP_AT, signal.SIGKILL, *RUN, str(tmp_path), seconds_between_checkpoints=seconds)
    assert code == -signal.SIGKILL
    first = first_step("train", "--resume", str(tmp_path))
    assert first.startswith("epoch 2/2  batch ")
    assert first.startswith("epoch 2/2  batch 1/8") == (seconds > 0)
    assert_equal_runs(tmp_path, never_stopped)


def test_a_run_that_is_killed_before_its_first_checkpoint_starts_again(tmp_path, never_stopped):
    train_until("epoch 1/2  batch 2/8", signal.SIGKILL, *RUN, str(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
    assert first_step("train", "--resume", str(tmp_path)).startswith("epoch 1/2  batch 1/8")
    assert_equal_runs(tmp_path, never_stopped)
