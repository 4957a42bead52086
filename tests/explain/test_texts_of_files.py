"""Texts that a page takes from a file are texts on it, whatever they hold: no field of any file can be a script."""

import json
import shutil

import numpy as np
import pytest

from minidl import data
from minidl.explain.atlas.benchmark import benchmark
from minidl.explain.network import pages
from minidl.explain.network.pages import explain_run
from minidl.explain.network.predictions import confusion_matrix, most_confidently_wrong
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


def assert_no_script(html):
    assert "<script>alert" not in html
    assert "alert(1)" not in html or "&lt;script&gt;alert(1)" in html


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
    html = explain_run(folder, images=8).html()
    assert_no_script(html)
    assert html.count("&lt;script&gt;alert(1)") > 10


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
            html = explain_run(folder, images=2).html()
        except (ValueError, OSError) as error:
            assert name in str(error) or "backend" in str(error)  # noqa: PT017
        else:
            assert_no_script(html)


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
            html = benchmark(tmp_path / "results.json", content)
            assert_no_script(html)
            shown += "&lt;script" in html
    assert shown >= 4


def test_names_of_classes():
    images, believed = np.zeros((2, 4, 4, 3), np.float32), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    names, labels = [SCRIPT, "b & c"], np.array([1, 0])
    assert_no_script(confusion_matrix(believed, labels, names))
    html = most_confidently_wrong(images, believed, labels, names)
    assert_no_script(html)
    assert "b &amp; c" in html
    assert "&amp;amp;" not in html


@pytest.mark.usefixtures("tiny_runs")
def test_names_of_classes_on_the_page_of_a_run(finished_run, monkeypatch):
    def named(*arguments):
        train, test = data.load_data("digits", None, lambda text: None)
        test.classes = tuple(SCRIPT + str(k) for k in range(10))
        return train, test

    monkeypatch.setattr(pages, "load_data", named)
    assert_no_script(explain_run(finished_run, images=40).html())
