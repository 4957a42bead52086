"""docs/interchange.md stays true: its Python runs as it stands there, and its commands exist."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "interchange.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
NEEDS = {"import torch": "torch", "keras": "h5py", "export_onnx": "onnx", "onnxruntime": "onnxruntime"}


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number, tmp_path, monkeypatch, capsys):
    for text, module in NEEDS.items():
        if text in BLOCKS[number]:
            pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"docs/interchange.md, Python block {number + 1}", "exec"), {})
    assert capsys.readouterr().out  # each prints what it computed


def test_there_are_blocks_to_run():
    assert len(BLOCKS) == 5


def test_commands_and_their_options_exist():
    from minidl.cli import _parser

    commands = re.findall(r"^minidl (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        _parser().parse_args(command.split())


def test_names_on_the_page_exist():
    from minidl import interchange

    named = set(re.findall(r"`(\w+)\(path", PAGE))
    assert len(named) == 6
    assert named <= set(interchange.__all__)
