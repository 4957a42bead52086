"""`minidl check`: it covers everything, and a wrong gradient is named and makes it fail."""

import inspect
import json
from functools import partial

import numpy as np
import pytest

from minidl import checks, layers, losses
from minidl.checks import LAYERS, LOSSES, run_checks
from minidl.cli import main
from minidl.gradient_check import check_gradients
from minidl.gradient_examples import Example
from minidl.ops.elementwise import absolute, tanh
from minidl.tensor import Tensor, record


def cube(x):
    def backward(dy):
        return (3 * x * x * dy,)

    return record(x.array**3, (x,), backward)


def wrong_cube(x):
    def backward(dy):
        return (2 * x * x * dy,)

    return record(x.array**3, (x,), backward)


class WrongLayer(layers.Layer):
    def __init__(self):
        self.weight = Tensor([1.0, 2.0], requires_grad=True)

    def __call__(self, x):
        return wrong_cube(self.weight) * tanh(x)


def test_every_layer_and_loss_is_checked():
    made = {type(make()).__name__ for make, _ in LAYERS}
    kinds = {thing for name in layers.__all__ if isinstance(thing := getattr(layers, name), type)}
    assert made == {kind.__name__ for kind in kinds if issubclass(kind, layers.Layer)} - {"Layer"}
    functions = {name for name, _ in inspect.getmembers(losses, inspect.isfunction) if _.__module__ == losses.__name__}
    assert {example.op for example in LOSSES} == {name for name in functions if not name.startswith("_")}


@pytest.mark.parametrize("backend", ["reference", "cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_losses_and_layers_are_right(monkeypatch, backend):
    monkeypatch.setattr(checks, "EXAMPLES", [])  # these have tests of their own
    if backend != "reference":  # number by number there, along directions here: kernels are tested by themselves
        monkeypatch.setattr(checks, "check_gradients", partial(check_gradients, directions=2))
    results = list(run_checks(backend))
    assert len(results) == len(LOSSES) + len(LAYERS)
    assert [result.failure or result.undecided for result in results] == [None] * len(results)
    assert all(max(result.first_order, result.second_order) < 1e-6 for result in results)


def test_a_wrong_gradient_is_named_and_fails_the_command(monkeypatch, capsys):
    x = np.array([0.5, 2.0])
    monkeypatch.setattr(checks, "EXAMPLES", [Example(cube, x), Example(wrong_cube, x)])
    monkeypatch.setattr(checks, "LOSSES", [])
    monkeypatch.setattr(checks, "LAYERS", [(WrongLayer, np.ones((3, 2)))])
    assert main(["check", "--backend", "reference"]) == 1
    said = capsys.readouterr().out
    assert "1 right, 2 wrong, 0 undecided" in said
    assert "reference: wrong_cube is wrong with respect to input 0" in said
    assert "WrongLayer()" in said
    assert "parameter weight, index (0,)" in said
    monkeypatch.setattr(checks, "EXAMPLES", [Example(cube, x)])
    monkeypatch.setattr(checks, "LAYERS", [])
    assert main(["check", "--backend", "reference"]) == 0


def test_one_that_cannot_be_judged_is_neither_right_nor_wrong(monkeypatch, capsys):
    monkeypatch.setattr(checks, "EXAMPLES", [Example(cube, np.array([0.5])), Example(absolute, np.array([0.0]))])
    monkeypatch.setattr(checks, "LOSSES", [])
    monkeypatch.setattr(checks, "LAYERS", [])
    assert main(["check", "--backend", "reference"]) == 1
    said = capsys.readouterr().out
    assert "1 right, 0 wrong, 1 undecided" in said
    assert "is at a kink or tie: slope -1 to the left, 1 to the right" in said
    assert main(["check", "--backend", "reference", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["checks"]
    assert [row["verdict"] for row in rows] == ["right", "undecided"]
