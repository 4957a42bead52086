"""Where nodes stand: behind their inputs, nothing on top of anything, and little crossing."""

import pytest

from minidl.explain.layered_layout import layered_layout

CHAIN = {"a": [], "b": ["a"], "c": ["b"]}
SKIP = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"]}
LATE = {"a": [], "b": ["a"], "w": [], "c": ["b", "w"]}
CROSSED = {"a": [], "b": [], "c": ["b"], "d": ["a"], "e": ["c", "d"]}
FAN = {"a": [], **{f"b{k}": ["a"] for k in range(5)}, "c": [f"b{k}" for k in range(5)]}
TWICE = {"a": [], "b": ["a", "a"]}


@pytest.mark.parametrize("inputs", [CHAIN, SKIP, LATE, CROSSED, FAN, TWICE, {"a": []}])
def test_nodes_stand_behind_their_inputs_and_a_row_apart(inputs):
    layout = layered_layout(inputs)
    for node, sources in inputs.items():
        assert all(layout.nodes[source][0] < layout.nodes[node][0] for source in sources)
    places = [*layout.nodes.values(), *layout.lanes.values()]
    assert min(row for _, row in places) == 0
    for k, (column, row) in enumerate(places):
        assert all(column != other or abs(row - another) > 0.999 for other, another in places[:k])


def test_the_column_is_the_longest_path():
    assert {node: column for node, (column, _) in layered_layout(SKIP).nodes.items()} == {
        "a": 0,
        "b": 1,
        "c": 2,
        "d": 3,
    }


def test_what_has_no_inputs_stands_before_its_first_use():
    assert layered_layout(LATE).nodes["w"][0] == layered_layout(LATE).nodes["b"][0] == 1


def test_an_edge_that_skips_columns_has_a_lane_in_each():
    layout = layered_layout(SKIP)
    assert [column for column, _ in layout.path("a", "d")] == [1, 2]
    assert layout.path("a", "b") == []


def test_edges_that_need_not_cross_do_not():
    rows = {node: row for node, (_, row) in layered_layout(CROSSED).nodes.items()}
    assert (rows["a"] < rows["b"]) == (rows["d"] < rows["c"])


def test_one_input_and_one_output_of_many_stand_in_the_middle():
    rows = {node: row for node, (_, row) in layered_layout(FAN).nodes.items()}
    assert rows["a"] == pytest.approx(2)
    assert rows["c"] == pytest.approx(2)
