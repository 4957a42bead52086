"""--json: one document on stdout, everything else on stderr; and the tables that stand there without it."""

import json
import shutil

import pytest
from command_line import RUN, run, said_by
from tiny_command import tiny

from minidl import checks, recipe
from minidl.checks import Result
from minidl.devices import devices
from minidl.summary import summarise

pytestmark = pytest.mark.usefixtures("tiny_runs")


def document(capsys, *arguments, code=0):
    """What is on stdout, which has to be JSON and nothing else, and what is on stderr."""
    out, err = run(capsys, *arguments, "--json", code=code)
    return json.loads(out, parse_constant=pytest.fail), err  # NaN is no JSON


def test_evaluate(tmp_path, finished_run, capsys):
    shutil.copytree(finished_run, tmp_path / "run")
    capsys.readouterr()
    found, err = document(capsys, "evaluate", "run")
    assert err.startswith("Data: Digits, ")
    line = said_by(capsys, "evaluate", "run").splitlines()[-1]
    assert line == f"loss {found['loss']:.4f}  accuracy {found['accuracy']:.2%}"
    assert found.keys() == {"run", "loss", "accuracy"}
    other, _ = document(capsys, "evaluate", "run", "--backend", "reference")
    assert other["loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_devices(capsys):
    found, err = document(capsys, "devices")
    assert err == ""
    assert [(row["backend"], row["usable"]) for row in found["devices"]] == [
        (device.backend, device.usable) for device in devices()
    ]


def test_check(monkeypatch, capsys):
    results = [Result("add", "cpu", 1e-9, 2e-9), Result("relu", "cpu", failure="relu is wrong")]
    monkeypatch.setattr(checks, "run_checks", lambda backend: iter(results))
    found, err = document(capsys, "check", "--backend", "cpu", code=1)
    assert err == "cpu: relu is wrong\n"
    assert (found["right"], found["wrong"]) == (1, 1)
    assert [row["name"] for row in found["checks"]] == ["add", "relu"]
    assert found["checks"][0]["second_order"] == 2e-9


@pytest.mark.parametrize("options", [[], ["--batch-size", "3"], ["--input-shape", "64", "32", "3"]])
def test_summary(monkeypatch, capsys, options):
    if "64" in options:
        monkeypatch.setitem(recipe.MODELS, "tiny", lambda: tiny()[:3])  # which takes any size
    found, err = document(capsys, "summary", "tiny", *options)
    assert err == ""
    shape = (64, 32, 3) if "64" in options else (32, 32, 3)
    batch = 3 if "3" in options[:2] else 64
    expected = summarise(recipe.MODELS["tiny"](), shape, batch)
    assert found["input_shape"] == [batch, *shape]
    assert found["total"]["parameters"] == expected.total.parameters
    assert found["total"]["multiply_adds"] == expected.total.multiply_adds
    assert [layer["name"] for layer in found["layers"]] == [row.name for row in expected.rows[1:]]
    assert [layer["activation_bytes"] for layer in found["layers"]] == [
        row.activation_bytes for row in expected.rows[1:]
    ]


def test_summary_of_a_run_knows_its_batches_and_its_optimiser(capsys):
    said_by(capsys, *RUN, "--optimiser", "adam", "--out", "run")
    found, _ = document(capsys, "summary", "run")
    expected = summarise(tiny(), (32, 32, 3), 8, memories=2)
    assert found["input_shape"] == [8, 32, 32, 3]
    assert found["total"]["parameter_bytes"] == expected.total.parameter_bytes


def test_a_table_is_plain_text_where_output_is_no_terminal(capsys):
    header, *rows, total, _, _, _ = said_by(capsys, "summary", "tiny").splitlines()
    assert header.split() == [
        "layer", "output", "parameters", "multiply-adds", "activations,", "MiB", "weights,", "MiB",
    ]  # fmt: skip
    assert [row.split("  ")[0] for row in rows] == [
        "MeanPool((8, 8))", "Conv((3, 3), (3, 4), pad=1)", "BatchNorm(4, relu)", "flatten", "Dense(64, 16, relu)",
        "Dropout(0.25)", "Dense(16, 10)",
    ]  # fmt: skip
    at = header.index("output")
    assert {row[at] for row in [*rows, total]} == {"("}
    conv = 4 * 4 * 3 * 3 * 3 * 4
    assert f"{112 + 8 + 64 * 16 + 16 + 170:,}" in total
    assert f"{conv + 64 * 16 + 160:,}" in total
    assert len({len(row.rstrip()) for row in [*rows, total]}) == 1  # aligned to the right


def test_layers_inside_others_are_indented(capsys):
    lines = said_by(capsys, "summary", "resnet18").splitlines()
    names = [line.split("  (")[0].rstrip() for line in lines[1:9]]
    assert names[2:] == ["SkipConnection", "  Chain", *names[4:9]]
    assert names[4] == "    Conv((3, 3), (64, 64), pad=1, bias=False)"
    assert names[7] == "    BatchNorm(64)"
