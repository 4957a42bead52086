"""Tables, verdicts and pictures from results that are written down here."""

import copy
import json

import pytest

from benchmarks.report import METHOD, make_report, quantity, targets_table
from benchmarks.results import combine, load_results, save_report, save_results
from benchmarks.session import Measurement
from benchmarks.summary import Ratio, best, ratio, typical
from benchmarks.targets import EITHER, TARGETS, Target, judge

LAYER = {"batch": 64, "pixels": 4, "inputs": 512, "outputs": 512}


def rounds(*medians):
    return [[median, 0.9 * median, 1.1 * median] for median in medians]


def step(network="vgg19-plain", batch=64, threads=2, minidl=0.5, pytorch=1.3):
    values = {"minidl": rounds(minidl, minidl), "pytorch": rounds(pytorch, 1.2 * pytorch), "keras": rounds(3.6, 3.6)}
    return Measurement("step", {"network": network, "batch": batch, "threads": threads}, values=values)


def layer(direction, seconds):
    values = {"minidl": rounds(0.01), "pytorch": rounds(seconds), "pytorch-channels-last": rounds(seconds + 0.001)}
    return Measurement("layers", {"layer": LAYER, "direction": direction, "threads": 2}, values=values)


def session(*measurements):
    return {
        "started": "2030-01-02T03:04:05+00:00", "ended": "2030-01-02T04:04:05+00:00", "revision": "0123456789",
        "machine": {
            "cpu": "A CPU", "cores": 2, "vector_features": ["avx2"], "memory_gb": 16.0, "system": "Linux x86_64",
        },
        "load": {"start": [0.25, 0.2, 0.1], "end": [2.0, 1.0, 0.5]}, "versions": {"minidl": {"minidl": "0.1.0"}},
        "settings": {"tiny": False}, "absent": {"pytorch-compile": "torch.compile needs a C++ compiler"},
        "notes": ["images are random numbers"], "measurements": [vars(one) for one in measurements],
    }  # fmt: skip


@pytest.fixture
def results():
    memory = Measurement(
        "memory", {"network": "vgg19", "batch": 16, "threads": 2}, "MB", {"minidl": [[900.0]], "pytorch": [[1000.0]]},
        extra={"MB after the import": {"minidl": 100.0, "pytorch": 200.0}},
    )  # fmt: skip
    accuracy = Measurement(
        "accuracy", {"network": "vgg19", "batch": 64, "images": 1280, "threads": 2, "accuracy": 0.5},
        values={"minidl": [[30.0], [31.0]]}, extra={"test accuracy": {"minidl": [0.4, 0.55]}},
    )  # fmt: skip
    broken = step("vgg19")
    broken.failed["keras"] = "MISMATCH: scores\nand more"
    broken.checks["keras"] = {"scores": 0.5}
    broken.extra["processor share while waiting"] = {"minidl": 0.02}
    return {"sessions": [session(step(), broken, layer("forward", 0.013), layer("backward", 0.011), memory, accuracy)]}


def test_ratios_are_taken_within_rounds():
    measurement = step()
    assert typical(measurement, "pytorch") == pytest.approx(1.43)
    found = ratio(measurement, "pytorch")
    assert (found.median, found.low, found.high) == pytest.approx((2.86, 2.6, 3.12))
    assert ratio(measurement, "pytorch-compile") is None
    assert best(measurement, EITHER) == "pytorch"
    assert best(measurement, ("keras",)) == "keras"


def test_a_round_that_one_peer_did_not_finish_has_no_ratio():
    measurement = Measurement("step", {}, values={"minidl": rounds(1.0, 2.0), "pytorch": rounds(3.0)})
    assert ratio(measurement, "pytorch") == Ratio(3.0, 3.0, 3.0)


def test_targets_are_met_or_missed(results):
    lines = {line.split("|")[1].strip(): line for line in make_report(results).splitlines() if line.startswith("|")}
    assert "2.86 (2.60 to 3.12), PyTorch | met |" in lines["Training step, VGG19, batch 64"]
    assert "1.30 (1.30 to 1.30), PyTorch | met |" in lines["Every convolution, forward"]
    assert "1.10 (1.10 to 1.10), PyTorch | **missed** |" in lines["Every convolution, backward"]
    assert "1.11 (1.11 to 1.11), PyTorch | met |" in lines["Peak memory of training"]
    assert "not measured" in lines["Inference, batch 1"]


def test_the_worst_case_decides_and_with_the_most_threads():
    target = Target("", "step", {"batch": 64}, EITHER, 2.0)
    slower = step("vgg19", minidl=1.0)
    verdict = judge(target, [step(), slower, step(threads=1, minidl=3.0)])
    assert verdict.met is False
    assert "worst of 2: VGG19 with batch norm, batch 64" in verdict.found
    slower.values.pop("minidl")
    assert judge(target, [step(), slower]).met is None


def test_a_limit_is_in_seconds():
    target = Target("", "startup", {"cache": "warm"}, limit=3.0)
    case = {"network": "vgg19", "batch": 64, "cache": "warm", "threads": 2}
    for seconds, met in ((2.9, True), (3.1, False)):
        assert judge(target, [Measurement("startup", case, values={"minidl": [[seconds]]})]).met is met
    assert judge(target, []).met is None


def test_a_tiny_network_reaches_no_target(results):
    results["sessions"][0]["settings"]["tiny"] = True
    assert make_report(results).count("not measured |") == len(TARGETS) == targets_table([]).count("not measured |")


def test_tables(results):
    text = make_report(results)
    assert "A CPU, 2 cores, avx2, 16.0 GB, Linux x86_64 | minidl 0.1.0 | 0.2 / 2.0 |" in text
    assert "| VGG19, batch 64 | 2 | 500 ms | 3.6 s; **7.20** | 1430 ms; **2.86** (2.60 to 3.12) |".replace(
        "3.6 s", "3.60 s").replace("1430", "1,430") in text  # fmt: skip
    assert "| VGG19 with batch norm, batch 64 | 2 | 500 ms | failed |" in text
    assert "| 4 x 4, 512 to 512, backward | 2 | 10.0 ms | 11.0 ms; **1.10** | 12.0 ms; **1.20** |" in text
    assert "| 900 MB (100) | 1,000 MB (200); **1.11** |" in text
    assert "| minidl | 2 | 61 s | 55.0% | yes |" in text
    assert "- PyTorch, torch.compile: torch.compile needs a C++ compiler" in text
    assert "- images are random numbers" in text
    assert "- Training step, VGG19 with batch norm, batch 64: Keras (TensorFlow): MISMATCH: scores\n" in text
    assert "| scores | 5.0e-01 |" in text
    assert "no process used more than 2.0% of one processor" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.00123, "s", "1.23 ms"), (0.0123, "s", "12.3 ms"), (1.234, "s", "1,234 ms"), (12.34, "s", "12.3 s"),
     (123.4, "s", "123 s"), (1234.5, "MB", "1,234 MB")],
)  # fmt: skip
def test_quantities(value, unit, text):
    assert quantity(value, unit) == text


def test_files_survive_a_round_trip(results, tmp_path):
    pytest.importorskip("matplotlib")
    save_results(tmp_path, results)
    assert load_results(tmp_path) == json.loads(json.dumps(results))
    text = save_report(tmp_path, results)
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == text
    names = {"results.json", "results.md", "steps.png", "layers.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in names if name.endswith(".png"))


def test_foreign_results_are_refused(tmp_path):
    for text in ("{", "[]", '{"sessions": [{"measurements": [{"subject": "step"}]}]}'):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(ValueError, match="not results of these benchmarks"):
            load_results(tmp_path)


def test_what_is_measured_again_replaces_what_was(results):
    old = copy.deepcopy(results)
    new = session(step(minidl=0.4))
    sessions = combine(old, new)["sessions"]
    assert [len(one["measurements"]) for one in sessions] == [5, 1]
    assert len(combine({"sessions": [new]}, new)["sessions"]) == 1


def texts(value, path=()):
    """The path to each text inside, and to each name of a dict, which stands as (..., None, name)."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(inner, (*path, key))


def test_no_text_of_the_file_is_more_than_text_in_the_report(results):
    """Each in turn: a tag, a link, an attribute, code or another cell would make something of it on a page."""
    hostile = "x<script>alert(1)</script>[y](javascript:alert(2)){ onclick=alert(3) }`z`|w\r\n# heading\u2028\\"
    shown, lines = 0, len(make_report(results).splitlines())
    for path in texts(results):
        changed = copy.deepcopy(results)
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = hostile
        try:
            text = make_report(changed)
        except (KeyError, ValueError):  # of a name that has to be a known one
            continue
        found = text.replace(METHOD, "")
        assert not set("<[{`\\") & set(found), path
        assert len(text.splitlines()) <= lines
        shown += "x&#60;script&#62;" in text
    assert shown >= 8


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("started",), 7),
        (("machine",), []),
        (("machine", "vector_features"), None),
        (("load", "start"), ["x"]),
        (("absent",), {"nobody": ""}),
        (("measurements", 0, "values"), {"minidl": [[-1.0]]}),
        (("measurements", 0, "values"), {"minidl": [["1"]]}),
        (("measurements", 0, "case"), {}),
        (("measurements", 0, "case", "network"), "none"),
        (("measurements", 1, "failed"), {"keras": ""}),
        (("measurements",), {"x": 1}),
    ],
    ids=str,
)
def test_a_file_of_which_no_report_can_be_made_is_named(tmp_path, results, place, value):
    changed = copy.deepcopy(results)
    inner = changed["sessions"][0]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    save_results(tmp_path, changed)
    with pytest.raises(ValueError, match=r"results\.json: not results of these benchmarks: ") as caught:
        load_results(tmp_path)
    assert "\n" not in str(caught.value)
