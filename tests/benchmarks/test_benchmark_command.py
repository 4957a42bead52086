"""python -m benchmarks: from the command line to the files, with minidl alone and a tiny network."""

import json
import sys
from importlib.util import find_spec

import pytest

from benchmarks import peers, run
from benchmarks.__main__ import main, make_parser, make_settings
from benchmarks.session import Measurement
from benchmarks.subjects import SUBJECTS, tasks
from minidl.backend import get_backend

TINY = ["--tiny", "--quick", "--rounds", "1", "--seconds", "0", "--peers", "minidl", "--threads", "1"]


def settings(*arguments):
    return make_settings(make_parser().parse_args(arguments))


def test_a_tiny_run_from_start_to_report(tmp_path, capsys):
    assert main(["inference", *TINY, "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "| tiny with batch norm, batch 1 | 1 |" in out
    assert "[4/4] inference: tiny with batch norm, batch 1, threads 1" in err
    (session,) = json.loads((tmp_path / "results.json").read_text())["sessions"]
    assert [one["case"]["batch"] for one in session["measurements"]] == [64, 1, 64, 1]
    assert all(len(one["values"]["minidl"]) == 1 for one in session["measurements"])
    assert session["versions"]["minidl"].keys() == {"minidl", "numba", "numpy"}
    assert "data_dir" not in session["settings"]
    assert (tmp_path / "results.md").read_text(encoding="utf-8").startswith("# minidl against")

    assert main(["--report", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == out


def test_ctrl_c_keeps_what_has_been_measured(tmp_path, monkeypatch, capsys):
    def measure(session):
        yield Measurement("inference", {"network": "tiny", "batch": 1, "threads": 1}, values={"minidl": [[0.1]]})
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_measure", measure)
    monkeypatch.setattr(run, "_look_for_peers", lambda settings, versions, absent: versions.update(minidl={}))
    assert main(["inference", *TINY, "--out", str(tmp_path)]) == run.STOPPED
    assert "100 ms" in capsys.readouterr().out
    assert main(["inference", *TINY, "--add", "--out", str(tmp_path)]) == run.STOPPED
    assert len(json.loads((tmp_path / "results.json").read_text())["sessions"]) == 1


def test_a_failure_is_in_the_exit_code(tmp_path, monkeypatch):
    failed = Measurement("step", {"network": "tiny", "batch": 16, "threads": 1}, failed={"pytorch": "MISMATCH"})
    monkeypatch.setattr(run, "_measure", lambda session: iter([failed]))
    monkeypatch.setattr(run, "_look_for_peers", lambda settings, versions, absent: versions.update(minidl={}))
    assert main(["step", *TINY, "--out", str(tmp_path)]) == 1


@pytest.mark.parametrize("wrong", [["speed"], ["--peers", "caffe"], ["--threads", "0"], ["--images", "63"]])
def test_wrong_usage(wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(wrong)
    assert stopped.value.code == 2
    assert f"'{wrong[-1]}'" in capsys.readouterr().err


def test_a_gpu_that_is_missing_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(run, "get_backend", get_backend.__wrapped__)
    assert main(["step", *TINY, "--backend", "gpu", "--out", str(tmp_path)]) == 1
    assert "benchmarks: backend 'gpu' cannot be used: CuPy is missing" in capsys.readouterr().err


def test_keras_is_compared_on_the_cpu_only():
    assert settings("--backend", "gpu").backend == "gpu"
    assert peers.why_absent("keras", "gpu") == "it is compared on cpu only"


def test_a_report_of_nothing_is_an_error(tmp_path, capsys):
    assert main(["--report", "--out", str(tmp_path)]) == 1
    assert "results.json" in capsys.readouterr().err


def test_everything_but_accuracy_unless_named():
    assert settings().subjects == tuple(name for name in SUBJECTS if name != "accuracy")
    assert settings("accuracy", "step").subjects == ("accuracy", "step")


def test_options_become_settings():
    chosen = settings("--peers", "pytorch,minidl", "--threads", "2,1", "--quick", "--rounds", "7", "--images", "200")
    assert chosen.peers == ("minidl", "pytorch")
    assert chosen.threads == (1, 2)
    assert (chosen.rounds, chosen.least) == (7, 1)
    assert [case["images"] for _, case, _ in tasks(chosen) if "images" in case] == [192, 192]


def test_the_cases_of_all_subjects():
    found = tasks(settings("--threads", "2"))
    counts = {name: sum(task[0] == name for task in found) for name in dict.fromkeys(task[0] for task in found)}
    assert counts == {"step": 6 + 2, "inference": 4, "fit": 1, "layers": 18, "ops": 22, "startup": 2, "memory": 6}
    assert len(tasks(settings("threads", "--threads", "1,2"))) == 4


def test_a_missing_peer_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda package: None)
    assert peers.why_absent("pytorch") == 'torch is not installed: pip install -e ".[bench]"'
    assert peers.why_absent("minidl") is None
    monkeypatch.setattr(peers, "find_spec", find_spec)
    monkeypatch.setattr(peers.shutil, "which", lambda program: None)
    if find_spec("torch"):
        assert "C++ compiler" in peers.why_absent("pytorch-compile")
