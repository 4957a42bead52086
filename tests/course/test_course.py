"""The notebooks of the course: how they are kept, and, with `pytest -m course`, that every one of them runs."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from minidl.cli import _parser
from minidl.exercises import LESSONS
from minidl.ops.compiling import Progress

COURSE = Path(__file__).parents[2] / "docs" / "course"
NOTEBOOKS = sorted(path.name for path in COURSE.glob("*.ipynb"))
README = (COURSE / "README.md").read_text(encoding="utf-8")


def read(name):
    return json.loads((COURSE / name).read_text(encoding="utf-8"))


def cells(name, kind):
    return ["".join(cell["source"]) for cell in read(name)["cells"] if cell["cell_type"] == kind]


def prose(name):
    return "\n\n".join(cells(name, "markdown"))


def test_there_are_nine_and_the_readme_lists_them_in_order():
    assert [name[:2] for name in NOTEBOOKS] == [f"{number:02}" for number in range(1, 10)]
    assert re.findall(r"\]\((.*?\.ipynb)\)", README) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_are_kept_so_that_they_can_be_compared(name):
    """No outputs, no counters, names of cells that stay, and one way to write it all down."""
    notebook = read(name)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert [cell["id"] for cell in notebook["cells"]] == [f"{name[:2]}-{i:02}" for i in range(len(notebook["cells"]))]
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
    written = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    assert (COURSE / name).read_text(encoding="utf-8") == written


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_import_only_what_the_course_promises(name):
    allowed = {"minidl", "numpy", "numba", "matplotlib"} | sys.stdlib_module_names
    for code in cells(name, "code"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed
            elif isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] in allowed


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_ends_with_exercises(name):
    text = prose(name)
    assert text.startswith(f"# {int(name[:2])}. ")
    (exercises,) = re.findall(r"^## Exercises\n(.*)", text, re.MULTILINE | re.DOTALL)
    assert 2 <= len(re.findall(r"^\d\. ", exercises, re.MULTILINE)) <= 4


def test_commands_in_them_exist():
    text = "\n".join([README, *map(prose, NOTEBOOKS)])
    shell = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    commands = re.findall(r"`minidl ([a-z].*?)`", text) + re.findall(r"^minidl (.*)$", shell, re.MULTILINE)
    assert len([command for command in commands if command.startswith("exercise ")]) > 10
    for command in commands:
        if " " in command and not {"OP", "RUN"} & set(command.split()):
            _parser().parse_args(command.split())


def test_every_exercise_is_named_somewhere():
    named = set(re.findall(r"minidl exercise (\w+)", "\n".join([README, *map(prose, NOTEBOOKS)])))
    assert named >= LESSONS.keys() - {"softmax", "mean_pool2d"}
    assert all(f"`{name}`" in README for name in LESSONS)


@pytest.mark.parametrize("name", [*NOTEBOOKS, "README.md"])
def test_links_lead_somewhere(name):
    text = README if name == "README.md" else prose(name)
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (COURSE / link).exists(), link


@pytest.mark.course
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of Jupyter's own parts
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name):
    pytest.importorskip("matplotlib")
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(COURSE / name, 4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(COURSE)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stderr")
    assert said.replace(f"{Progress.LINE}\n", "") == ""  # nor are there warnings
    assert any(output.output_type == "stream" for output in outputs)
