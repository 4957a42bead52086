"""Texts that a page takes from a file are texts on it, whatever they hold: no field of any file can be a script."""

import html
import json
import shutil

import numpy as np
import pytest
from hostile_texts import HOSTILE, assert_drawing_of_text, assert_only_text

import minidl
from minidl import data
from minidl.explain.atlas.benchmark import benchmark
from minidl.explain.charts import image, line_chart
from minidl.explain.markup import code, markdown, table
from minidl.explain.network import pages
from minidl.explain.network.pages import explain_run
from minidl.explain.network.predictions import confusion_matrix, most_confidently_wrong
from minidl.explain.page import Page, as_json
from minidl.training.run_schemas import digest

SCRIPT = '"><script>alert(1)</script>'


def fields(value, path=()):
    """The path to each text inside of what JSON can hold."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from fields(inner, (*path, key))


def with_script(value, path, script=SCRIPT):
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = script
    return copy


def assert_no_script(page):
    assert "<script>alert" not in page
    assert "alert(1)" not in page or "&lt;script&gt;alert(1)" in page
    assert_only_text(page, shown=False)


@pytest.mark.usefixtures("tiny_runs")
def test_a_run(tmp_path, finished_run):
    """Every text of config.json and signals.json at once, where the file may hold any text there."""
    folder = tmp_path / "<script>alert(1)<" / "script>"
    shutil.copytree(finished_run, folder)
    records = json.loads((folder / "signals.json").read_text())["records"]
    for path in list(fields(records)):
        records = with_script(records, path, f"{SCRIPT}{path[-2]}")
    (folder / "signals.json").write_text(json.dumps({"records": records, "sha256": digest(records)}))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"weights": SCRIPT, "data_dir": SCRIPT}))
    page = explain_run(folder, images=8).html()
    assert_no_script(page)
    assert page.count("&lt;script&gt;alert(1)") > 10


@pytest.mark.usefixtures("tiny_runs")
@pytest.mark.parametrize("name", ["config.json", "signals.json"])
def test_each_text_of_a_run_is_refused_or_escaped(tmp_path, finished_run, name):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    document = json.loads((folder / name).read_text())
    paths = [path for path in fields(document) if path[:2] in {("records", 0), path[:1]} or path[1] == 0]
    assert paths
    for path in paths[:: max(1, len(paths) // 12)]:
        (folder / name).write_text(json.dumps(with_script(document, path)))
        try:
            page = explain_run(folder, images=2).html()
        except (ValueError, OSError) as error:
            assert name in str(error) or "backend" in str(error)  # noqa: PT017
        else:
            assert_no_script(page)


def test_results_of_benchmarks(tmp_path):
    case = {"op": "relu", "direction": "forward", "threads": 1}
    layer = {"layer": {"batch": 1, "pixels": 8, "inputs": 3, "outputs": 4}, "direction": "forward", "threads": 1}
    session = {
        "started": "2026-01-01", "machine": {"cpu": "a cpu", "cores": 2},
        "measurements": [{"subject": "ops", "case": case, "values": {"minidl": [[1.0]], "keras": [[2.0]]}},
                         {"subject": "layers", "case": layer, "values": {"minidl": [[1.0]]}}],
    }  # fmt: skip
    document = {"sessions": [session]}
    shown = 0
    for path in fields(document):
        (tmp_path / "results.json").write_text(json.dumps(with_script(document, path)))
        for content in ("ops", "layers", "ops relu"):
            shown_table = benchmark(tmp_path / "results.json", content)
            assert_no_script(shown_table)
            shown += "&lt;script" in shown_table
    assert shown >= 4


def test_names_of_classes():
    images, believed = np.zeros((2, 4, 4, 3), np.float32), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    names, labels = [SCRIPT, "b & c"], np.array([1, 0])
    assert_no_script(confusion_matrix(believed, labels, names))
    gallery = most_confidently_wrong(images, believed, labels, names)
    assert_no_script(gallery)
    assert "b &amp; c" in gallery
    assert "&amp;amp;" not in gallery


@pytest.mark.usefixtures("tiny_runs")
def test_names_of_classes_on_the_page_of_a_run(finished_run, monkeypatch):
    def named(*arguments):
        train, test = data.load_data("digits", None, lambda text: None)
        test.classes = tuple(SCRIPT + str(k) for k in range(10))
        return train, test

    monkeypatch.setattr(pages, "load_data", named)
    assert_no_script(explain_run(finished_run, images=40).html())


class Layer(minidl.Layer):
    """A layer of the user's, which says any text of itself."""

    def __init__(self):
        super().__init__()
        self.weight = minidl.Tensor(np.ones((3,), np.float32), requires_grad=True)

    def __call__(self, x):
        return x * self.weight

    def code(self):
        return HOSTILE

    def __repr__(self):
        return HOSTILE


def hostile_chain():
    """Class names and parameters are the user's, too."""
    named = type(HOSTILE, (Layer,), {})
    return type(HOSTILE, (minidl.Chain,), {})(named(), minidl.flatten, minidl.Dense(48, 3))


def test_a_network_of_the_users():
    model = hostile_chain()
    x = np.random.default_rng(0).random((4, 4, 4, 3), np.float32)
    page = model.explain(x, np.array([0, 1, 2, 0]))
    assert_only_text(page.html())
    assert_only_text(model._repr_html_())
    assert_only_text(html.unescape(page._repr_html_().partition('srcdoc="')[2].rpartition('" style')[0]))


def test_a_drawing_of_a_computation(tmp_path):
    name = f"{HOSTILE[:12]}<b>\x00\x1b\udcff\ufffe"
    x = minidl.Tensor(np.ones(2, np.float32), requires_grad=True)
    graph = (x * 2).sum().graph({name: x})
    assert_drawing_of_text(graph.svg, "hostile")
    assert_drawing_of_text(graph.save(tmp_path / "graph.svg").read_bytes(), "hostile")


@pytest.mark.parametrize(
    "place", ["title", "heading", "header", "cell", "caption", "code", "chart", "image", "markdown"]
)
def test_every_place_that_takes_plain_text(place):
    """All that pages are made of; a cell is text unless it is Html."""
    made = {
        "title": lambda: Page(HOSTILE).html(),
        "heading": lambda: _page_with_heading().html(),
        "header": lambda: table([HOSTILE], [["x"]]),
        "cell": lambda: table(["x", "y"], [[HOSTILE, HOSTILE]]),
        "caption": lambda: table(["x"], [["y"]], HOSTILE),
        "code": lambda: table(["x"], [[code(HOSTILE)]]),
        "chart": lambda: line_chart(HOSTILE, {HOSTILE: [(1, 1.0), (2, 2.0)]}, HOSTILE, HOSTILE, level=(1.0, HOSTILE)),
        "image": lambda: image(np.zeros((2, 2, 3), np.uint8), HOSTILE, 9),
        "markdown": lambda: markdown(f"```\n{HOSTILE}\n```\n"),
    }  # fmt: skip
    assert_only_text(made[place]())


def _page_with_heading():
    page = Page("x")
    page.add(HOSTILE, "<p>x</p>")
    page.script(f"show({as_json({HOSTILE.replace('alert', 'say'): [HOSTILE.replace('alert', 'say')]})})")
    return page
