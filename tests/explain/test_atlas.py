"""The texts of the atlas keep up with the code: every op has one, and what it points to is there."""

import json
import re
from pathlib import Path

import pytest
from figure_numbers import EXPECTED

from minidl import cli
from minidl.explain.atlas import atlas, times
from minidl.explain.atlas.atlas import EXPLANATIONS, TOPICS, explain_topic
from minidl.explain.atlas.benchmark import benchmark
from minidl.explain.atlas.checks import check
from minidl.explain.atlas.figures import FIGURES
from minidl.explain.atlas.mistakes import mistake
from minidl.explain.atlas.sources import find_lines, source, tiers
from minidl.explain.markup import sections
from minidl.gradient_examples import EXAMPLES

ROOT = Path(__file__).parents[2]
OP_FOLDERS = sorted(path.parent.name for path in (ROOT / "minidl" / "ops").glob("*/op.py"))
HEADINGS = ["Try it", "Formula", "Shapes", "The gradient", "Three tiers", "Checked", "Measured", "Common mistakes"]


def blocks(op, word):
    text = (EXPLANATIONS / f"{op}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{word}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_op_with_kernels_is_a_topic():
    assert sorted(TOPICS.values()) == OP_FOLDERS


@pytest.mark.parametrize("op", TOPICS.values())
def test_every_explanation_has_the_same_sections(op):
    _, lead, parts = sections((EXPLANATIONS / f"{op}.md").read_text(encoding="utf-8"))
    assert lead.strip()
    assert [heading for heading, _ in parts] == HEADINGS


@pytest.mark.parametrize("op", TOPICS.values())
def test_every_explanation_has_a_figure_code_and_mistakes(op):
    assert {name.strip() for name in blocks(op, "figure")} <= FIGURES.keys()
    for word in ("figure", "source", "tiers", "mistake"):
        assert blocks(op, word), word


def test_every_figure_is_compared_with_the_engine():
    assert FIGURES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("op", TOPICS.values())
def test_what_is_said_of_the_code_is_there(op):
    for content in blocks(op, "source"):
        assert source(op, content)
    for content in blocks(op, "tiers"):
        assert "data-steps" in tiers(op, content)


@pytest.mark.parametrize(
    ("op", "number"), [(op, number) for op in TOPICS.values() for number in range(len(blocks(op, "mistake")))]
)
def test_mistakes_still_are_mistakes(op, number):
    assert 'class="error"' in mistake(blocks(op, "mistake")[number])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("print('so')", "so"),
        ("relu(numpy.zeros(2), 3)", "TypeError"),
        ("Chain(Dense(2, 3))(numpy.zeros((1, 5), 'float32'))", "layer 0"),
        ("import warnings; warnings.warn('mind this')", "UserWarning: mind this"),
    ],
)
def test_a_mistake_shows_what_comes_of_it(code, expected):
    assert expected in mistake(code)


def test_what_is_no_mistake_is_refused():
    with pytest.raises(ValueError, match="no mistake any more"):
        mistake("relu(numpy.zeros(2))")


LINES = ["def one():", "    x = 1", "    return x", "def two():", "    x = 2", "    return x"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("x = 1", [1]),
        ("x =", [1]),
        ("def two > x =", [4]),
        ("def one … return", [0, 1, 2]),
        ("two > x … return", [4, 5]),
    ],
)
def test_lines_are_found_by_what_stands_in_them(where, expected):
    assert list(find_lines(LINES, where)) == expected


@pytest.mark.parametrize("where", ["x = 3", "def two > x = 1", "def three > x =", "def two … def one"])
def test_lines_that_are_not_there_are_an_error(where):
    with pytest.raises(ValueError, match="the code has changed"):
        find_lines(LINES, where)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: source("relu", "op.py: no_such_function"), "relu/op.py defines no 'no_such_function'"),
        (lambda: tiers("relu", '[[step]]\nwhat = "x"\n"other.py" = "y"\n'), "which is in no column"),
        (lambda: check("no_such_function"), "no example of 'no_such_function'"),
        (lambda: explain_topic("no_such_op"), "choose one of"),
    ],
)
def test_what_is_not_there_is_named(call, expected):
    with pytest.raises(ValueError, match=expected):
        call()


def test_a_wrong_gradient_shows_on_the_page(monkeypatch):
    from minidl.ops.relu import reference

    assert "wrong" not in check("relu")
    right = reference.gradient
    monkeypatch.setattr(reference, "gradient", lambda *arrays: right(*arrays) * 1.5)
    assert "wrong" in check("relu")


def test_every_example_of_a_function_is_checked():
    assert check("power").count("<code>power(") == sum(example.op == "power" for example in EXAMPLES)


def test_times_are_measured_on_both_tiers(monkeypatch):
    monkeypatch.setattr(times, "SECONDS", 0.0)
    made = times.times('what = "three numbers"\ncall = "relu(x)"\nx = [3]\n')
    assert made.count(" ms</td>") == 4


def test_measurements_are_read_where_they_are(tmp_path):
    assert "64 images of 32 × 32, 3 → 64 channels, forward" in benchmark(None, "layers")
    case = {"op": "relu", "direction": "forward<script>"}
    others = [{"op": "dense", "direction": "forward"}, {"op": "relu", "direction": "backward"}]
    measurements = [
        {"subject": "ops", "case": one, "values": {"minidl": [[0.001], [0.002]], "pytorch": [[0.002], [0.003]]}}
        for one in [case, *others]
    ]
    machine = {"cpu": "a processor", "cores": 2}
    session = {"started": "2026-01-02T03:04", "machine": machine, "measurements": measurements}
    (tmp_path / "results.json").write_text(json.dumps({"sessions": [session]}))
    made = benchmark(tmp_path / "results.json", "ops relu")
    assert made.count("relu, ") == 2
    assert "dense" not in made
    assert "<script>" not in made
    assert "2.5 ms (1.75)" in made
    assert "Nothing of layers has been measured" in benchmark(tmp_path / "results.json", "layers")


def test_without_measurements_a_page_says_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setattr("minidl.explain.atlas.benchmark.CHECKOUT_RESULTS", tmp_path / "none.json")
    assert "python -m benchmarks layers" in benchmark(None, "layers")


@pytest.mark.parametrize("content", ["", "[]", "{}", "not JSON"])
def test_a_file_of_something_else_is_named(content, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"results\.json: expected the results\.json of python -m benchmarks"):
        benchmark(path, "layers")


def test_a_file_that_was_named_must_be_there(tmp_path, capsys):
    assert cli.main(["explain", "conv", "--benchmarks", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


def test_the_command_writes_a_page_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(atlas, "TOPICS", {"relu": "relu"})
    monkeypatch.setattr(times, "SECONDS", 0.0)
    assert cli.main(["explain", "relu"]) == 0
    assert capsys.readouterr().out.strip() == "relu.html"
    assert cli.main(["atlas", "--out", "pages"]) == 0
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["index.html", "relu.html"]
    text = (tmp_path / "relu.html").read_text(encoding="utf-8")
    assert all(f'<h2 id="{heading.lower().replace(" ", "-")}-heading">' in text for heading in HEADINGS)


def test_an_unknown_topic_is_wrong_usage(capsys):
    assert cli.main(["explain", "no_such_op"]) == 2
    assert "choose one of" in capsys.readouterr().err
