"""Drawings of computations: every tensor with its numbers and gradients, nothing on top of anything else."""

import re

import numpy as np
import pytest

from minidl import Chain, Dense, Tensor, relu, tanh
from minidl.explain.computation import BOX_HEIGHT, BOX_WIDTH


@pytest.fixture
def numbers():
    return {name: Tensor([value], requires_grad=True) for name, value in (("w", 0.5), ("x", 2.0), ("b", -0.3))}


def boxes(svg):
    """(x, y) of each box."""
    return [tuple(map(float, place)) for place in re.findall(r'<rect x="(\d+)" y="(\d+)"', svg)]


def test_values_gradients_functions_and_names_are_there(numbers):
    w, x, b = numbers.values()
    y = (w * x + b).exp()
    svg = y.graph(numbers | {"y": y}).svg
    for part in (
        'class="name" x="26" y="35">w</text>',
        ">0.5<",
        ">b<",
        ">−0.3<",
        "multiply",
        "add",
        ">exp<",
        ">y<",
        ">2.014<",
        "gradient 4.028",
        "gradient 1<",
    ):
        assert part in svg, part
    assert len(boxes(svg)) == 6


def test_gradients_are_those_of_backward_which_is_still_possible(numbers):
    w, x, b = numbers.values()
    y = (w * x + b) ** 2 * w
    y.graph()
    assert w.grad is None
    y.backward()
    assert f"gradient {w.grad.item():.4g}" in ((w * x + b) ** 2 * w).graph().svg


def test_of_several_numbers_the_gradient_is_that_of_their_sum():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert "gradient [2, 4, 6]" in (x * x).graph().svg


def test_many_numbers_are_summed_up():
    x = Tensor(np.ones((3, 4), "float32"), requires_grad=True)
    assert "3×4: 1 ± 0" in tanh(x).graph().svg


def test_what_needs_no_gradient_has_none():
    assert ">gradient" not in Tensor([1.0]).graph().svg


def test_no_box_lies_on_another():
    model, x = Chain(Dense(2, 3, relu), Dense(3, 2, tanh)), Tensor(np.ones((2, 2), "float32"), requires_grad=True)
    y = (model(x) * x + x * 2 - x).sum()
    places = boxes(y.graph(model.params()).svg)
    assert len(places) > 10
    for k, (x1, y1) in enumerate(places):
        for x2, y2 in places[:k]:
            assert abs(x1 - x2) >= BOX_WIDTH or abs(y1 - y2) >= BOX_HEIGHT


def test_an_edge_that_skips_columns_goes_around_the_boxes_between():
    w = Tensor([0.5], requires_grad=True)
    svg = (tanh(w).exp().exp() * w).graph().svg
    level = {float(y) + BOX_HEIGHT / 2 for _, y in boxes(svg)[1:3]}  # of tanh and exp, which lie between
    flat = {float(y) for y in re.findall(r"(\d+) H\d+C", svg)}  # where the long edge runs level
    assert flat
    assert all(abs(a - b) > BOX_HEIGHT / 2 for a in flat for b in level)


def test_a_drawing_is_told_in_words_too(numbers):
    w, x, b = numbers.values()
    h = w * x
    svg = (h + b).graph(numbers | {"h": h}).svg
    assert "<desc>h = multiply(w, x) = 1; tensor 5 = add(h, b) = 0.7</desc>" in svg


def test_long_names_stay_in_their_boxes(numbers):
    w = numbers["w"]
    assert ">layers.0.layers.1.lay…<" in (w * 2).graph({"layers.0.layers.1.layers.2.weight": w}).svg


def test_a_tensor_that_is_used_twice_is_drawn_once():
    x = Tensor([3.0], requires_grad=True)
    assert len(boxes((x * x + x).graph().svg)) == 3


def test_names_are_text_and_not_markup(numbers):
    w = numbers["w"]
    assert "&lt;script&gt;" in (w * 2).graph({"<script>": w}).svg


def test_what_cannot_be_drawn_is_said(numbers):
    y = w = numbers["w"]
    for _ in range(120):
        y = y * 1.01
    with pytest.raises(ValueError, match="at most 100 tensors"):
        y.graph()
    with pytest.raises(ValueError, match="x had no part in this computation"):
        (w * 2).graph({"x": numbers["x"]})
    with pytest.raises(TypeError, match=r"names as in \{'w': w\}, got a list"):
        (w * 2).graph(["w"])
    z = w * 2
    z.backward()
    with pytest.raises(RuntimeError, match="used up"):
        z.graph()


def test_notebooks_and_files_get_the_drawing(numbers, tmp_path):
    graph = (numbers["w"] * 2).graph()
    assert graph._repr_svg_() == graph.svg
    assert graph.save(tmp_path / "graph.svg").read_text(encoding="utf-8") == graph.svg
