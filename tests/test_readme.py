"""README.md stays true: its Python runs as it stands there."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_there_are_blocks_to_run():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number, capsys):
    exec(compile(BLOCKS[number], f"README.md, Python block {number}", "exec"), {})
    printed = capsys.readouterr().out
    assert printed  # each prints what it computed
    for percent in re.findall(r"(\d+)% of the test digits are right", printed):
        assert int(percent) >= 80


def test_commands_and_their_options_exist():
    from minidl.cli import _parser

    for line in re.findall(r"^minidl (.*)$", README, re.MULTILINE):
        _parser().parse_args(re.sub(r"\s+#.*", "", line).split())
