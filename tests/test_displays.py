"""What notebooks show of tensors and networks."""

import numpy as np
import pytest

from minidl import Chain, Dense, Tensor, relu


def test_a_small_matrix_is_a_table():
    shown = Tensor([[1.0, 2.5], [-3.0, 1 / 3]], requires_grad=True)._repr_html_()
    assert shown.count("<tr>") == 2
    assert [part.split("<")[0] for part in shown.split("<td>")[1:]] == ["1", "2.5", "-3", "0.3333"]
    assert "(2, 2), float32, cpu, requires a gradient" in shown


def test_a_row_of_numbers_is_a_table_of_one_row():
    shown = Tensor([1.0, 2.0, 3.0])._repr_html_()
    assert shown.count("<tr>") == 1
    assert shown.count("<td>") == 3
    assert "gradient" not in shown


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 13), (13, 2), (13,), (2, 2, 2)])
def test_anything_else_is_what_print_shows(shape):
    shown = Tensor(np.zeros(shape, "float32"))._repr_html_()
    assert shown.startswith("<pre>")
    assert "<table>" not in shown


def test_a_network_is_its_code():
    shown = Chain(Dense(3, 4, relu), Dense(4, 2))._repr_html_()
    assert "<style>" in shown
    assert shown.count("Dense") == 2
