"""The pages of the documentation stay true: their Python runs, shows what it prints, and commands exist."""

import contextlib
import io

import pytest
from page_blocks import DOCS, blocks_of, same_output

# The pages that are executed elsewhere, or that only hold results
ELSEWHERE = {"flux.md", "keras.md", "interchange.md", "gpu.md", "first-kernel.md", "how-to/add-an-op.md"}
PAGES = {
    path.relative_to(DOCS).as_posix(): blocks_of(path.read_text(encoding="utf-8"))
    for path in sorted(DOCS.rglob("*.md"))
}
WITH_PYTHON = [
    page
    for page, blocks in PAGES.items()
    if page not in ELSEWHERE and any(block.language == "python" for block in blocks)
]
COMMANDS = {
    f"{page}: {line}": line
    for page, blocks in PAGES.items()
    for block in blocks
    if block.language == "sh" and page != "first-kernel.md"
    for line in block.text.replace("\\\n", " ").splitlines()
    if line.startswith("minidl ")
}


def test_there_are_pages_to_run():
    assert len(WITH_PYTHON) >= 12


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    """All blocks of a page in one namespace; a block prints something, or a later one does."""
    if page == "tutorial.md":
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names, anything = {}, False
    for number, block in enumerate(block for block in PAGES[page] if block.language == "python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, f"{page}, block {number}", "exec"), names)
        if block.printed is not None:
            assert same_output(printed.getvalue(), block.printed), f"{page}, block {number}:\n{printed.getvalue()}"
        assert "False" not in printed.getvalue().split(), f"{page}, block {number}"
        anything = anything or bool(printed.getvalue())
    assert anything


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_and_their_options_exist(command):
    from minidl.cli import _parser

    _parser().parse_args(COMMANDS[command].split("#")[0].split()[1:])
