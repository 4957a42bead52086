"""The file that a student starts with: all of reference.py but the bodies to be written."""

import ast
import inspect

import pytest

from minidl.backend import use_kernels
from minidl.cli import EXERCISES
from minidl.exercises import LESSONS, load_kernels, skeleton, write_skeleton

NAMES = list(LESSONS)


def functions(text):
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def source(module):
    return inspect.getsource(module)


def body(node):
    """The statements without a docstring."""
    statements = node.body[1:] if ast.get_docstring(node) else node.body
    return [ast.unparse(statement) for statement in statements]


def test_the_command_knows_all_of_them():
    assert sorted(EXERCISES) == sorted(LESSONS)


@pytest.mark.parametrize("name", NAMES)
def test_the_bodies_to_be_written_are_gone_and_all_else_stays(name):
    lesson = LESSONS[name]
    before, after = functions(source(lesson.reference)), functions(skeleton(lesson, "file.py"))
    kernels = {kernel.name: kernel for kernel in lesson.kernels}
    assert kernels.keys() <= after.keys() <= before.keys()
    for function, node in after.items():
        assert ast.unparse(node.args) == ast.unparse(before[function].args)
        if function in kernels:
            assert body(node) == [f"raise NotImplementedError('{function}: {kernels[function].task}')"] or body(
                node
            ) == [f'raise NotImplementedError("{function}: {kernels[function].task}")']
        else:
            assert ast.unparse(node) == ast.unparse(before[function])


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_are_those_of_the_op_but_for_its_errors(name):
    lesson = LESSONS[name]
    said, written = functions(source(lesson.definition)), functions(skeleton(lesson, "file.py"))
    for kernel in lesson.kernels:
        meaning, *errors = ast.get_docstring(said[kernel.described]).split("ValueError")
        assert meaning.rstrip() in ast.get_docstring(written[kernel.name])
        assert "ValueError" not in ast.get_docstring(written[kernel.name])
        assert all(error.rstrip().endswith(".") for error in errors)  # the last sentences, so nothing else is cut off
    assert inspect.getdoc(lesson.definition) in ast.get_docstring(ast.parse(skeleton(lesson, "file.py")))


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_put_into_the_engine_and_says_what_is_to_do(name, tmp_path):
    """Every function of reference.py is there; those without a body say so."""
    lesson, path = LESSONS[name], tmp_path / "mine.py"
    write_skeleton(lesson, str(path))
    assert max(map(len, path.read_text().splitlines())) <= 120
    assert f"minidl exercise {name} --check --file mine.py" in path.read_text()
    module = load_kernels(lesson, str(path))
    with use_kernels(lesson.op, module):
        pass
    for kernel in lesson.kernels:
        function = getattr(module, kernel.name)
        with pytest.raises(NotImplementedError, match=f"^{kernel.name}: "):
            function(*[None] * len(inspect.signature(function).parameters))


def test_optimisers_beside_the_one_to_be_written_are_imported():
    text = skeleton(LESSONS["momentum"], "momentum.py")
    others = "adam, descent, find_not_finite, nesterov, rmsprop"
    assert f"from minidl.ops.optimiser_steps.reference import {others}" in text
    assert list(functions(text)) == ["momentum"]


def test_a_file_that_exists_is_left_alone(tmp_path):
    path = tmp_path / "relu.py"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"relu.py exists already: name another file with --out, or check it"):
        write_skeleton(LESSONS["relu"], str(path))
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]
