"""The registry lists every differentiable function, and every one of them is tested."""

import importlib
import inspect
import pkgutil

import pytest
from cases import CASES

import minidl.ops
from minidl import functions
from minidl.gradient_examples import EXAMPLES
from minidl.tensor import Tensor, op_name

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(minidl.ops.__path__, "minidl.ops.")
    if module.name.endswith(".op") or module.name.count(".") == 2
    if not module.ispkg and module.name.split(".")[-1] not in {"cuda", "simd"}
]
DIFFERENTIABLE = {
    name
    for module in MODULES
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if not name.startswith("_")
    and function.__module__ == module.__name__
    and "Tensor" in str(inspect.signature(function).return_annotation)
}


def test_every_differentiable_function_is_in_the_registry():
    assert set(functions.__all__) == DIFFERENTIABLE
    assert sorted(functions.__all__) == functions.__all__


@pytest.mark.parametrize("name", functions.__all__)
def test_every_function_has_an_example_and_a_docstring(name):
    assert name in {example.op for example in EXAMPLES}
    assert name in {case.op for case in CASES}
    assert inspect.getdoc(getattr(functions, name))


def test_examples_have_names_of_their_own():
    names = [example.name for example in EXAMPLES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.op)
def test_errors_and_warnings_can_name_the_function(example):
    """Results know the function they came from, or the last one it is written with."""
    y = example(*(Tensor(x, requires_grad=x.dtype.kind == "f") for x in example.inputs))
    assert op_name(y) in {*functions.__all__, None}
