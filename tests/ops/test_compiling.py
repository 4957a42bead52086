"""Kernels are compiled once for each processor, and again exactly when something they depend on has changed.

Each run is a process of its own, as a process asks the cache only once.
"""

import io
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from minidl.ops import kernel_cache
from minidl.ops.compiling import compiled

ROOT = Path(__file__).parents[2]
LINE = "minidl: compiling kernels for this processor, once (less than a minute)…"
KERNEL = """
from minidl.ops.compiling import compiled
from minidl.ops.example_factor import times_factor

@compiled
def scale(x):
    return times_factor(x) / 2
"""
IMPORTED_BY_KERNEL = """
from minidl.ops.compiling import compiled

@compiled
def times_factor(x):
    return x * 3
"""


@pytest.fixture
def install(tmp_path):
    """Copies minidl to a folder of that name, as an installer does, with another kernel, that is compiled quickly."""

    def install(name):
        package = tmp_path / name / "minidl"
        shutil.copytree(Path(kernel_cache.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / "ops" / "example.py").write_text(KERNEL)
        (package / "ops" / "example_factor.py").write_text(IMPORTED_BY_KERNEL)
        return tmp_path / name

    return install


@pytest.fixture
def start(tmp_path):
    def start(installed, expression="scale(4.0) == 6.0", **environment):
        environment = {"MINIDL_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(installed)} | environment
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "MINIDL_"))}
        return subprocess.Popen(
            [sys.executable, "-c", f"from minidl.ops.example import scale; assert {expression}"],
            env=inherited | {"PYTHONIOENCODING": "utf-8"} | environment,
            cwd=tmp_path,  # else the copy would not be the first minidl on the way
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    return start


def said(process):
    """The lines on stderr of a process that must succeed."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return errors.splitlines()


def test_kernels_are_compiled_again_when_they_must_be_and_only_then(install, start, tmp_path):
    first = install("first")
    assert said(start(first)) == [LINE]
    assert said(start(install("second"))) == []
    assert [folder.name for folder in (tmp_path / "cache").iterdir()] == ["kernels"]
    (files,) = (tmp_path / "cache" / "kernels").iterdir()

    integer = "scale(4) == 6.0"
    assert said(start(first, integer)) == [LINE]
    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert said(start(first, **generic)) == [LINE]
    assert said(start(first, **generic)) == said(start(first)) == []

    for file in files.glob("*.nbc"):
        file.write_bytes(file.read_bytes()[:100])  # as after a power cut
    assert said(start(first)) == [LINE]
    assert said(start(first)) == []

    (first / "minidl" / "ops" / "example_factor.py").write_text(IMPORTED_BY_KERNEL.replace("3", "5"))
    assert said(start(first, "scale(4.0) == 10.0")) == [LINE]


def test_processes_that_compile_at_once_do_not_mix_up_their_files(install, start):
    installed = install("minidl")
    expressions = ["scale(4.0) == 6.0", "scale(4) == 6.0", "scale(1 + 1j) == 1.5 + 1.5j", "scale(True) == 1.5"]
    assert [said(process) for process in [start(installed, each) for each in expressions]] == [[LINE]] * 4
    assert said(start(installed, " and ".join(expressions))) == []


def test_of_processes_that_need_the_same_kernel_one_compiles_it(install, start):
    installed = install("minidl")
    assert sorted(said(process) for process in [start(installed) for _ in range(4)]) == [[], [], [], [LINE]]


def test_a_kernel_that_another_process_compiles_is_waited_for_or_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: tmp_path / "kernels" / "new")
    ours, theirs = kernel_of("minidl.ops.test_compiling"), kernel_of("minidl.ops.test_compiling")
    theirs._cache._lock((numba.int64,), theirs.targetctx)
    file = theirs._cache.locks.pop()  # their process has a list of its own
    with monkeypatch.context() as second_process:
        second_process.setattr(kernel_cache.KernelCache, "waits", False)
        with pytest.raises(kernel_cache.Busy, match=r"test_compiling\.add_one"):
            ours(1)
    assert ours._cache.locks == []
    os.close(file)
    assert ours(1) == 2


def test_numbas_own_cache_folder_is_used_where_one_is_named(install, start, tmp_path):
    installed = install("minidl")
    numbas = {"NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    said(start(installed, MINIDL_CACHE_DIR="", **numbas))
    assert list((tmp_path / "numba").rglob("*.nbc"))
    assert not (tmp_path / "cache").exists()
    said(start(installed, **numbas))
    assert (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(install, start, tmp_path):
    (tmp_path / "file").touch()
    lines = said(start(install("minidl"), MINIDL_CACHE_DIR=str(tmp_path / "file")))
    assert len(lines) == 2
    assert lines[0] == LINE
    assert lines[1].startswith("minidl: compiled kernels cannot be kept (")
    assert "let the environment variable MINIDL_CACHE_DIR name a folder" in lines[1]


def test_compiled_functions_have_names_of_their_own():
    """Machine code calls functions by name: two with one name, from the caches of two processes, would be mixed up."""
    functions = {}
    for path in sorted((ROOT / "minidl" / "ops").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name not in kernel_cache.NOT_COMPILED and "__init__" not in module:
            for thing in vars(import_module(module)).values():
                kernel = thing if isinstance(thing, Dispatcher) else getattr(thing, "__wrapped__", thing)
                if isinstance(kernel, Dispatcher):
                    functions.setdefault((kernel.py_func.__module__, kernel.py_func.__qualname__), set()).add(kernel)
    assert len(functions) > 50
    assert [name for name, found in functions.items() if len(found) > 1 or "<locals>" in name[1]] == []


def test_importing_compiles_nothing():
    kernel = kernel_of("minidl.ops.test_compiling")
    assert kernel.signatures == []
    assert kernel(1) == 2
    assert kernel.signatures == [(numba.int64,)]


def kernel_of(module, **options):
    def add_one(x):
        return x + 1

    add_one.__module__ = module
    return compiled(**options)(add_one)


def test_what_lies_outside_the_kernels_folder_is_refused():
    with pytest.raises(ValueError, match=r"compiled: expected a function of minidl/ops, .* got minidl\.opsy\.add_one"):
        kernel_of("minidl.opsy")


def test_what_cannot_be_kept_is_refused():
    large = np.ones(10**6)

    def first(i):
        return large[i]

    first.__module__ = "minidl.ops.test_compiling"
    with pytest.raises(ValueError, match=r"compiled: test_compiling\.first uses an address of this process"):
        compiled(first)(0)


def test_nothing_is_kept_of_sources_that_were_edited_meanwhile(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: tmp_path / "kernels" / "new")
    monkeypatch.setattr(kernel_cache, "hash_of_sources", lambda: "edited")
    assert kernel_of("minidl.ops.test_compiling")(1) == 2
    assert not list(tmp_path.rglob("*.nb?"))
    monkeypatch.setattr(kernel_cache, "hash_of_sources", lambda: kernel_cache.SOURCES)
    assert kernel_of("minidl.ops.test_compiling")(1) == 2
    assert len(list((tmp_path / "kernels" / "new").glob("*.nbc"))) == 1


def test_the_folders_used_last_are_kept(monkeypatch, tmp_path):
    for age in range(8):
        (tmp_path / str(age)).mkdir()
        (tmp_path / str(age) / "file").touch()
        os.utime(tmp_path / str(age), (1e9 - age, 1e9 - age))
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: tmp_path / "0")
    kernel_cache._remove_old_folders.__wrapped__()
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["0", "1", "2", "3", "4"]


def terminal_and_empty_cache(monkeypatch, folder):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "__stderr__", terminal)
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: folder / "kernels" / "new")
    return terminal


def test_on_a_terminal_the_line_stays_for_as_long_as_it_takes(monkeypatch, tmp_path):
    terminal = terminal_and_empty_cache(monkeypatch, tmp_path)
    inner = kernel_of("minidl.ops.test_compiling")

    def kernel(x):
        return inner(x)

    kernel.__module__ = "minidl.ops.test_compiling"
    assert compiled(kernel)(1) == 2
    shown = f"{LINE} test_compiling.kernel"
    assert terminal.getvalue().split("\r") == ["", shown, shown, shown, " " * len(shown), ""]


def test_settings_and_locks_are_as_before_also_when_a_kernel_cannot_be_compiled(monkeypatch, tmp_path):
    terminal = terminal_and_empty_cache(monkeypatch, tmp_path)
    level = numba.config.OPT
    with pytest.raises(numba.TypingError):
        kernel_of("minidl.ops.test_compiling")("text")
    assert numba.config.OPT is level == 3
    assert terminal.getvalue().endswith(" \r")
    assert kernel_cache.KernelCache.locks == []
