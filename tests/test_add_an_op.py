"""docs/how-to/add-an-op.md is true: in a copy of minidl its files are written, and the tests say what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_blocks import DOCS, blocks_of, same_output

ROOT = DOCS.parent
PAGE = (DOCS / "how-to" / "add-an-op.md").read_text(encoding="utf-8")
BLOCKS = blocks_of(PAGE)
OP = Path("minidl/ops/squared_relu")
(PYTEST,) = [block.text for block in BLOCKS if block.text.startswith("pytest ")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """minidl without the page's op, with models/ and data/ where a wheel has them too, and a cache of its own."""
    home = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ["minidl", "tests", "models", "data"]:
        shutil.copytree(ROOT / name, home / name, ignore=ignored)
    for name in ["models", "data"]:
        shutil.copytree(ROOT / name, home / "minidl" / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", home)
    return home


def run(home, *command):
    """What Python prints, run in the copy."""
    environment = os.environ | {"PYTHONPATH": str(home), "MINIDL_CACHE_DIR": str(home / "cache")}
    return subprocess.run(
        [sys.executable, *command], cwd=home, env=environment, capture_output=True, text=True, timeout=600
    )


def run_tests(home):
    """The page's own line; but no second process compiles all kernels because these few are compiled."""
    words = PYTEST.replace("\\\n", " ").split('"')
    start = "import sys, pytest; from minidl.ops import compiling; compiling.progress.alone = False; "
    return run(home, "-c", f"{start}sys.exit(pytest.main())", "-p", "no:cacheprovider", *words[0].split()[1:], words[1])


def write(home, titles):
    """The files of the page whose titles are given, as they stand there; a diff is applied where its lines are."""
    for block in BLOCKS:
        path = home / block.title
        if block.title not in titles:
            continue
        if block.language == "diff":
            lines = block.text.splitlines()
            before = "\n".join(line[1:] for line in lines if line[0] in " -")
            after = "\n".join(line[1:] for line in lines if line[0] in " +")
            text = path.read_text(encoding="utf-8")
            assert text.count(f"{before}\n") == 1, f"{block.title} has no longer, once, the lines\n{before}"
            path.write_text(text.replace(before, after), encoding="utf-8")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def test_the_page_from_top_to_bottom(copy):
    on_all = [OP / name for name in ["__init__.py", "op.py", "reference.py"]]
    on_some = [OP / name for name in ["cpu.py", "gpu.cu", "gpu.py"]]
    titles = {block.title for block in BLOCKS if "/" in block.title}
    assert {*map(str, on_all + on_some)} < titles

    write(copy, titles - {*map(str, on_some), "tests/cuda/kernel_runs.py"})
    (try_it,) = [block for block in BLOCKS if block.title == "try it"]
    tried = run(copy, "-c", try_it.text)
    assert same_output(tried.stdout, try_it.printed), tried.stdout + tried.stderr
    missing = run(copy, "-c", "from minidl.functions import squared_relu; squared_relu(1.0)")
    (promised,) = re.findall(r"`(NotImplementedError: squared_relu [^`]+)`", PAGE)
    assert missing.stderr.splitlines()[-1] == " ".join(promised.split())

    op = copy / OP / "op.py"
    right = op.read_text(encoding="utf-8")
    op.write_text(right.replace("2 * relu(x) * dy", "relu(x) * dy"), encoding="utf-8")
    wrong = run(copy, "-c", try_it.text)
    promised = next(block.text for block in BLOCKS if "is wrong with respect to" in block.text)
    assert promised.strip() in wrong.stderr.splitlines()[-1]
    op.write_text(right, encoding="utf-8")

    unfinished = run_tests(copy)
    assert unfinished.returncode == 1
    for test in [
        "test_structure.py::test_a_kernel_op_is_a_folder_of_the_same_files[squared_relu]",
        "test_structure.py::test_every_backend_defines_the_same_functions[squared_relu]",
        "ops/test_cases.py::test_gradients_on_fast_backends[squared_relu(2x3)-cpu]",
    ]:
        assert f"FAILED tests/{test}" in unfinished.stdout, unfinished.stdout

    write(copy, {*map(str, on_some), "tests/cuda/kernel_runs.py"})
    finished = run_tests(copy)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert int(re.search(r"(\d+) passed", finished.stdout)[1]) >= 15
