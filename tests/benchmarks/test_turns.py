"""The order of turns, and what happens to a peer that fails or computes something else."""

import numpy as np
import pytest

from benchmarks.checks import compare, distance, mismatch
from benchmarks.processes import WorkerError
from benchmarks.session import Session, Settings
from benchmarks.turns import LAYER_PEERS, accuracy_in_turns, fit_in_turns, layer_in_turns, step_in_turns

CASE = {"network": "tiny", "batch": 8, "threads": 1}
PEERS = ("minidl", "pytorch", "keras")


class FakeWorker:
    spins = 0.01


class FakePool:
    """Notes what the peers are asked. `fails`: peer -> a command that it cannot do; `wrong`: who computes nonsense."""

    def __init__(self, fails=None, wrong=()):
        self.fails, self.wrong = fails or {}, wrong
        self.asked, self.dropped, self.epochs = [], [], 0

    def __getitem__(self, peer):
        return FakeWorker()

    def ask(self, peer, do, **arguments):
        if self.fails.get(peer) == do:
            raise WorkerError(f"{peer} cannot {do}")
        self.asked.append((do, peer))
        if do == "check":
            np.savez(arguments["out"], scores=np.ones(3) + (peer in self.wrong))
        if do == "accuracy":
            self.epochs += 1
            return {"minidl": 0.2, "pytorch": 0.1, "keras": 0.6}[peer] * (1 + self.epochs // 4)
        return [0.1, 0.3, 0.2] if do == "turn" else None

    def drop(self, peer):
        self.dropped.append(peer)

    def close(self):
        pass


def measure(how, pool, monkeypatch, peers=PEERS, **settings):
    said = []
    with Session(Settings((), peers, (1,), rounds=2, tiny=True, **settings), peers, said.append) as session:
        monkeypatch.setattr(session, "pool", lambda subject, threads: pool)
        session._pool = pool
        return how(session, CASE | {"accuracy": 0.5, "images": 64}), said


def test_peers_take_turns(monkeypatch):
    pool = FakePool()
    measurement, _ = measure(step_in_turns, pool, monkeypatch)
    assert pool.asked == [(do, peer) for do in ("check", "prepare", "turn", "turn") for peer in PEERS]
    assert measurement.values == dict.fromkeys(PEERS, [[0.1, 0.3, 0.2]] * 2)
    assert measurement.extra["processor share while waiting"] == dict.fromkeys(PEERS, 0.01)
    assert measurement.checks == {"pytorch": {"scores": 0.0}, "keras": {"scores": 0.0}}


def test_layers_are_for_peers_that_have_them(monkeypatch):
    measurement, _ = measure(layer_in_turns, FakePool(), monkeypatch)
    assert set(measurement.values) == set(PEERS) & set(LAYER_PEERS)


@pytest.mark.parametrize("command", ["check", "prepare", "turn"])
def test_the_others_go_on_without_one_that_fails(command, monkeypatch):
    pool = FakePool(fails={"pytorch": command})
    measurement, said = measure(step_in_turns, pool, monkeypatch)
    assert set(measurement.values) == {"minidl", "keras"}
    assert measurement.failed == {"pytorch": f"pytorch cannot {command}"}
    assert pool.dropped == ["pytorch"]
    assert said == [f"    pytorch: pytorch cannot {command}"]


def test_a_mismatch_is_an_error_and_not_a_number(monkeypatch):
    pool = FakePool(wrong=["keras"])
    measurement, said = measure(step_in_turns, pool, monkeypatch)
    assert set(measurement.values) == {"minidl", "pytorch"}
    assert measurement.failed["keras"].startswith("MISMATCH")
    assert "MISMATCH" in said[0]


def test_without_minidl_there_is_nothing_to_compare_with(monkeypatch):
    measurement, _ = measure(step_in_turns, FakePool(fails={"minidl": "check"}), monkeypatch)
    assert measurement.values == {}
    assert set(measurement.failed) == set(PEERS)


def test_fit_falls_back_to_random_images_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.delenv("MINIDL_CACHE_DIR", raising=False)
    measurement, said = measure(fit_in_turns, FakePool(), monkeypatch, peers=("minidl",))
    assert len(measurement.values["minidl"]) == 2
    assert said[0].startswith("Note: CIFAR-10 is not here")
    measurement, _ = measure(accuracy_in_turns, FakePool(), monkeypatch)
    assert set(measurement.failed) == set(PEERS)


def test_a_peer_that_is_accurate_enough_stops(monkeypatch):
    monkeypatch.setattr(Session, "_write_data", lambda session, images: "data.npz")
    measurement, _ = measure(accuracy_in_turns, FakePool(), monkeypatch, epochs=3)
    assert measurement.extra["test accuracy"] == {"minidl": [0.2, 0.4, 0.4], "pytorch": [0.1, 0.2, 0.2], "keras": [0.6]}
    assert {peer: len(epochs) for peer, epochs in measurement.values.items()} == {"minidl": 3, "pytorch": 3, "keras": 1}


def test_distances():
    ones = np.ones(4)
    assert distance(ones, ones) == 0
    assert distance(ones * 1.1, ones) == pytest.approx(0.1)
    assert distance(ones, np.ones(3)) == distance(ones, ones * np.nan) == float("inf")
    assert compare({"y": ones}, {"dx": ones}) == {"y": float("inf"), "dx": float("inf")}


def test_tolerances():
    assert mismatch({"scores": 1e-6, "loss of step 1": 1e-5, "loss of step 2": 5e-3}) is None
    assert "scores by 2.0e-02, allowed 1e-04" in mismatch({"scores": 0.02})
    assert mismatch({"dx": float("nan")})
