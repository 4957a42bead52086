"""README.md and the pages of both front doors stay true: their Python runs as it stands there, and commands exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = {
    f"{page}, Python block {number}": block
    for page in ["README.md", "docs/flux.md", "docs/keras.md"]
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL), 1
    )
}


def test_there_are_blocks_to_run():
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("name", BLOCKS)
def test_python_blocks_run(name, capsys):
    exec(compile(BLOCKS[name], name, "exec"), {})
    printed = capsys.readouterr().out
    assert printed  # each prints what it computed
    for percent in re.findall(r"(\d+)% of the test digits are right", printed):
        assert int(percent) >= 80


def test_commands_and_their_options_exist():
    from minidl.cli import _parser

    for line in re.findall(r"^minidl (.*)$", README, re.MULTILINE):
        _parser().parse_args(re.sub(r"\s+#.*", "", line).split())
