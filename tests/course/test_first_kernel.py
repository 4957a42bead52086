"""docs/first-kernel.md is followed as it stands: its files written, its changes made, its commands run."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minidl.cli import _parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "first-kernel.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
UNHAPPY = ("wrong  ", "to do  ", " failed, ")


def test_commands_and_their_options_exist():
    commands = re.findall(r"^minidl (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        _parser().parse_args(command.split())


def test_links_lead_somewhere():
    for link in re.findall(r"\]\((.*?)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


@pytest.mark.course
def test_the_page_can_be_followed(tmp_path):
    clone = a_clone(tmp_path / "clone")
    followed = []
    for number, (language, text) in enumerate(BLOCKS):
        expected = (
            BLOCKS[number + 1][1] if BLOCKS[number + 1 : number + 2] and BLOCKS[number + 1][0] == "text" else None
        )
        match language:
            case "sh":
                for line in text.splitlines():
                    if line == 'pip install -e ".[test]"':  # which has been done, or nothing would run here
                        continue
                    said, code = run(line, clone)
                    if expected and line == text.splitlines()[-1]:
                        assert re.fullmatch(pattern(expected), plain(said)), said
                    assert (code != 0) == any(word in said for word in UNHAPPY), said
            case "python" if text.startswith("def "):
                replace_functions(clone / "pool.py", text)
            case "python":
                (clone / "train_with_it.py").write_text(text)
                said, code = run(f"{sys.executable} train_with_it.py", clone)
                assert code == 0, said
                assert re.fullmatch(pattern(expected), plain(said)), said
                assert int(re.findall(r"(\d+)%", said)[0]) >= 85
            case "diff":
                change(clone / "minidl" / "ops" / "mean_pool2d" / "cpu.py", text)
        followed.append(language)
    assert [followed.count(language) for language in ("sh", "python", "diff", "text")] == [7, 3, 2, 7]


def a_clone(folder):
    """The repository as pip installs it, to be imported from there: models/ and data/ stand inside minidl/."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "minidl", folder / "minidl", ignore=ignored)
    for name in ("models", "data"):
        shutil.copytree(ROOT / name, folder / "minidl" / name, ignore=ignored)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(line, clone):
    """What a line of shell says in that folder, and its exit code. Kernels are compiled into a folder of their own."""
    environment = os.environ | {
        "PYTHONPATH": str(clone),
        "MINIDL_CACHE_DIR": str(clone / "cache"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    for command, module in (("minidl ", "minidl.cli"), ("pytest ", "pytest")):
        if line.startswith(command):
            line = f'"{sys.executable}" -m {module} {line.removeprefix(command)}'
    finished = subprocess.run(
        line, shell=True, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return finished.stdout, finished.returncode


def plain(text):
    """Without what differs from machine to machine: numbers, spaces, how slow it is here."""
    text = re.sub(r" \(your kernels take .*?\)", "", text)
    text = re.sub(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?", "0", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"\s*\n", "\n", text)).strip()


def pattern(expected):
    """As an expression, in which "..." stands for any text."""
    return re.escape(plain(expected)).replace(r"\.\.\.", r"[\s\S]*")


def replace_functions(path, text):
    """What an editor does: functions of the same name take the place of the old ones."""
    lines = path.read_text().splitlines()
    for new in ast.parse(text).body:
        old = next(node for node in ast.parse("\n".join(lines)).body if getattr(node, "name", "") == new.name)
        lines[old.lineno - 1 : old.end_lineno] = text.splitlines()[new.lineno - 1 : new.end_lineno]
    path.write_text("\n".join(lines) + "\n")


def change(path, diff):
    """Apply a diff without line numbers to the one place where it fits."""
    before, after = (
        "".join(line[1:] + "\n" for line in diff.splitlines() if line[0] in kinds) for kinds in (" -", " +")
    )
    source = path.read_text()
    assert source.count(before) == 1
    path.write_text(source.replace(before, after))
