"""The formats that minidl reads: for each, a whole file, and what is made of it. A format is added as a row of FORMATS.

A row is a function of a folder that yields what the mutants are tried with, a Case. Its `read` is called for each
mutant. It returns what was made of the file, to be compared with what is made of the whole one, or raises an error that
the command would show.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from safetensors.numpy import load_file
from tiny_command import tiny

from minidl import cli, recipe
from minidl.explain.atlas.benchmark import benchmark
from minidl.ops import kernel_cache
from minidl.ops.compiling import Progress, compiled
from minidl.training.run_folder import RunFolder

RUN = ["train", "tiny", "--data", "digits", "--limit", "32", "--batch-size", "8", "--epochs", "1"]


@dataclass(frozen=True)
class Case:
    """file     what is mutated; it is written anew for each mutant
    others      further whole files of the format, to be put in its place
    read        what is made of it, as something that can be compared
    restore     called before each mutant
    digest      whether the format can notice that a number is another one
    """

    file: Path
    read: Callable[[], Any]
    others: tuple[bytes, ...] = ()
    restore: Callable[[], object] = lambda: None
    digest: bool = True


class Refused(Exception):
    """The command ended with exit code 1 or 2 and one line."""


def command(*arguments: str) -> str:
    """What the command prints; Refused when it ends with an error of one line."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(arguments)
    said = err.getvalue().replace(f"{Progress.LINE}\n", "")
    if code == 0:
        return out.getvalue()
    if "MINIDL_DEBUG=1" in said or "Traceback" in said or said.count("\n") != 1:
        raise AssertionError(f"not a line that tells what is wrong: {said}")
    raise Refused(said)


@contextmanager
def a_run(folder: Path) -> Iterator[Path]:
    """The folder of a finished run of a tiny network, which the command knows by its name."""
    with mock.patch.dict(recipe.MODELS, {"tiny": tiny}):
        run = folder / "run"
        command(*RUN, "--out", str(run))
        yield run


def numbers_of(run: Path) -> dict[str, Any]:
    """All that a run has learned, but for the seconds it took."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in RunFolder(run).load_history()]
    arrays = {name: array.tobytes() for name, array in load_file(run / "checkpoint.safetensors").items()}
    return {"history": rows, "signals": RunFolder(run).load_signals(), **arrays}


@contextmanager
def config(folder: Path) -> Iterator[Case]:
    """Read by --resume: what it goes on to must be the same. Epochs may be edited by hand, so nothing guards them."""
    with a_run(folder) as run:
        kept = folder / "kept"
        shutil.copytree(run, kept)

        def restore() -> None:
            shutil.rmtree(run)
            shutil.copytree(kept, run)

        def read() -> Any:
            command("train", "--resume", str(run))
            return numbers_of(run)

        yield Case(run / "config.json", read, restore=restore, digest=False)


@contextmanager
def history(folder: Path) -> Iterator[Case]:
    """Read by `explain run`."""
    with a_run(folder) as run:
        position = RunFolder(run).load_checkpoint(tiny())
        yield Case(run / "history.csv", lambda: RunFolder(run).load_history(position))


@contextmanager
def signals(folder: Path) -> Iterator[Case]:
    """Read by --resume and by `explain run`."""
    with a_run(folder) as run:
        yield Case(run / "signals.json", lambda: RunFolder(run).load_signals())


@contextmanager
def results(folder: Path) -> Iterator[Case]:
    """Read by `explain` and `atlas`. People merge these files, so there is no digest in them."""
    times = {"minidl": [[1.0, 1.5], [1.25]], "keras": [[2.0], [2.5, 3.0]]}
    case = {"op": "relu", "direction": "forward", "threads": 2}
    session = {"started": "2026-01-01", "machine": {"cpu": "a cpu", "cores": 2},
               "measurements": [{"subject": "ops", "case": case, "values": times}]}  # fmt: skip
    file = folder / "results.json"
    file.write_text(json.dumps({"sessions": [session]}))
    yield Case(file, lambda: benchmark(file, "ops relu"), digest=False)


def scaled(x: float) -> float:
    return x * 3 + 1


def shifted(x: float) -> float:
    return x * 3 + 2


scaled.__module__ = shifted.__module__ = "minidl.ops.fuzzed"


@contextmanager
def kernels(folder: Path) -> Iterator[Case]:
    """Entries of the cache of compiled kernels: compiled anew where they are damaged."""
    place = folder / "kernels" / "new"
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(kernel_cache, "kernel_folder", return_value=place))
        sys.modules["minidl.ops.fuzzed"] = sys.modules[__name__]  # where Numba looks for the globals of the kernels
        patches.callback(sys.modules.pop, "minidl.ops.fuzzed")
        with redirect_stderr(io.StringIO()):
            made = [compiled(function)(2.0) for function in (scaled, shifted)]
        assert made == [7.0, 8.0]
        (file,), (other,) = (list(place.glob(f"*.{name}-*.nbc")) for name in ("scaled", "shifted"))

        def read() -> float:
            with redirect_stderr(io.StringIO()):
                return compiled(scaled)(2.0)

        yield Case(file, read, others=(other.read_bytes(),))


FORMATS = {"config": config, "history": history, "signals": signals, "results": results, "kernels": kernels}
