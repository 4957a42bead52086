"""Runs that are killed (SIGKILL) at random, again and again, and resumed: python tests/kill_campaign.py 100 --seed 0.

A run is killed up to four times: at a random file operation (a rename, a flush to the disk, or the removal of a file),
before or after it, with half of a file written or not; or at any time after it has begun, which may be in the midst of
another library's writing. Then it has to end with the very bits of one that was never killed, and without leftovers.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.numpy import load_file

TESTS = Path(__file__).parent
RUN = ["train", "tiny", "--data", "digits", "--limit", "32", "--batch-size", "8", "--epochs", "2", "--out"]
FILES = {"checkpoint.safetensors", "config.json", "history.csv", "signals.json"}
KILLER = """
import os, signal, stat, sys
from pathlib import Path
at, kind = int(os.environ["KILL_AT"]), os.environ["KILL_KIND"]
done = 0

def watched(function):
    def call(*arguments, **named):
        global done
        done += 1
        if done == at and kind == "half" and function is fsync and stat.S_ISREG(os.fstat(arguments[0]).st_mode):
            os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
        if done == at and kind != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

fsync = os.fsync
os.fsync = watched(os.fsync)
os.rename, os.replace, os.unlink = watched(os.rename), watched(os.replace), watched(os.unlink)
import tiny_command
from minidl import cli, recipe
from minidl.training.callbacks import KeepRunFolder
recipe.MODELS["tiny"] = tiny_command.tiny
KeepRunFolder.CHECKPOINT_EVERY = 0.0
sys.exit(cli.main(sys.argv[1:]))
"""


def process_of(arguments: list[str], kill_at: int = 0, kind: str = "") -> subprocess.Popen[str]:
    settings = {"KILL_AT": str(kill_at), "KILL_KIND": kind, "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)}
    return subprocess.Popen(
        [sys.executable, "-c", KILLER, *arguments], env={**os.environ, **settings}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def start(arguments: list[str], kill_at: int = 0, kind: str = "before") -> subprocess.CompletedProcess[str]:
    """The command, killed at its `kill_at`-th file operation, counted from 1."""
    process = process_of(arguments, kill_at, kind)
    out, err = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def killed_at_any_time(arguments: list[str], run: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    """The command, killed so many seconds after its first file is there, unless it has ended."""
    process = process_of(arguments)
    while process.poll() is None and not (run / ".owner").exists():
        time.sleep(0.001)
    time.sleep(seconds)
    process.kill()
    out, err = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def result(folder: Path) -> tuple[dict[str, bytes], list[list[str]]]:
    """The bits of the checkpoint, and the rows of the history without the seconds."""
    arrays = {name: array.tobytes() for name, array in load_file(folder / "checkpoint.safetensors").items()}
    rows = [line.split(",")[:-1] for line in (folder / "history.csv").read_text().splitlines()]
    return arrays, rows


def campaign(kills: int, seed: int, folder: Path) -> int:
    """Kill that often; returns how many runs it were. AssertionError for a run that did not come out the same."""
    generator, killed, runs = random.Random(seed), 0, 0
    assert start([*RUN, str(folder / "whole")]).returncode == 0
    expected = result(folder / "whole")
    while killed < kills:
        run, runs = folder / f"run-{runs}", runs + 1
        for _ in range(min(4, kills - killed)):
            begun = (run / "config.json").exists()
            arguments = ["train", "--resume", str(run)] if begun else [*RUN, str(run)]
            kind = generator.choice(["before", "after", "half", "any time"])
            if kind == "any time":
                (run / ".owner").unlink(missing_ok=True)  # of the one that was killed before
                ended = killed_at_any_time(arguments, run, generator.uniform(0, 0.5))
            else:
                ended = start(arguments, generator.randint(1, 40), kind)
            assert "Traceback" not in ended.stderr, ended.stderr
            assert ended.returncode in (0, -9), ended.stderr
            killed += 1
            if ended.returncode == 0:
                break
        arguments = ["train", "--resume", str(run)] if (run / "config.json").exists() else [*RUN, str(run)]
        ended = start(arguments)
        assert ended.returncode == 0, ended.stderr
        assert result(run) == expected, f"{run} differs from a run that was never killed"
        left = {path.name for path in run.iterdir()} - {"curves.png"}
        assert left == FILES, left
    return runs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, nargs="?", default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = campaign(options.kills, options.seed, Path(place))
    print(f"{options.kills} kills in {runs} runs: all came out to the same bits")
