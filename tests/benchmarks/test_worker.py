"""The process of a peer: commands and answers through pipes, whatever the library prints."""

import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.processes import Pool, WorkerError, WorkerProcess
from benchmarks.worker import MOST_TIMES, load_arrays

CASE = {"network": "tiny", "batch": 8, "threads": 1}
HERE = {"PYTHONPATH": str(Path(__file__).parent)}


def make_worker(option=""):
    return WorkerProcess("fake_peer", option, 1, "cpu", HERE)


@pytest.fixture(scope="module")
def worker():
    with make_worker() as process:
        yield process


def test_answers_are_not_disturbed_by_what_is_printed(worker):
    assert worker.ask("versions") == {"fake": "1.0"}
    worker.ask("prepare", kind="step", case=CASE)
    times = worker.ask("turn", seconds=0.0, least=3)
    assert len(times) == 3
    assert all(seconds >= 0 for seconds in times)


def test_a_turn_lasts_as_long_as_asked(worker):
    worker.ask("prepare", kind="inference", case=CASE)
    started = time.perf_counter()
    times = worker.ask("turn", seconds=0.05, least=1)
    assert time.perf_counter() - started >= 0.05
    assert sum(times) < 0.05  # not all of the times of calls as short as these
    assert MOST_TIMES / 2 < len(times) <= MOST_TIMES


def test_memory_and_idle_time_are_measured(worker):
    assert 5 < worker.ask("memory") < 10_000
    assert worker.idle["seconds"] > 0
    assert 0 <= worker.spins <= 1


def test_outputs_for_the_check(worker, tmp_path):
    weights, out = str(tmp_path / "weights.npz"), str(tmp_path / "out.npz")
    np.savez(weights, **{f"layers.{layer}.weight": np.ones(3, np.float32) for layer in (0, 8)})
    worker.ask("check", kind="step", case=CASE, weights=weights, out=out)
    outputs = load_arrays(out)
    assert outputs["scores"].shape == (8, 10)
    assert [outputs[f"loss of step {step}"] for step in (1, 2)] == [1.0, 0.5]
    assert (outputs["change of the last weight in step 1"] == -1).all()
    assert (outputs["change of the last weight in step 2"] == 0).all()
    worker.ask("check", kind="inference", case=CASE, weights=weights, out=out)
    assert load_arrays(out).keys() == {"scores"}


def test_fit_and_accuracy_take_their_images_from_a_file(worker, tmp_path):
    path = str(tmp_path / "data.npz")
    images, labels = np.zeros((300, 32, 32, 3), np.float32), np.arange(300) % 10
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    worker.ask("prepare", kind="fit", case=CASE, data=path)
    assert len(worker.ask("turn", seconds=0.0, least=1, warm_up=False)) == 1
    assert worker.ask("accuracy", data=path) == 1.0


def test_an_error_is_an_answer_and_the_worker_goes_on(worker):
    with pytest.raises(WorkerError, match="KeyError: 'no network'"):
        worker.ask("prepare", kind="step", case=CASE | {"network": "no network"})
    assert worker.ask("versions")


def test_a_loss_that_is_not_finite_is_an_error():
    with make_worker("diverges") as worker, pytest.raises(WorkerError, match="the loss is nan"):
        worker.ask("prepare", kind="step", case=CASE)


def test_a_process_that_ends_is_an_error_with_its_last_words():
    with (
        make_worker("dies") as worker,
        pytest.raises(WorkerError, match=r"exit code 7: a step\n(?s:.*)a program that greets"),
    ):
        worker.ask("prepare", kind="step", case=CASE)


def test_a_library_that_cannot_be_imported_is_an_error():
    with WorkerProcess("no_such_peer", "", 1) as worker, pytest.raises(WorkerError, match="No module named"):
        worker.ask("versions")


def test_a_dropped_worker_is_started_again(monkeypatch):
    monkeypatch.setattr("benchmarks.processes.start", lambda peer, threads, backend: make_worker())
    pool = Pool(1, "cpu")
    first = pool["fake"]
    assert pool["fake"] is first
    pool.drop("fake")
    assert first.process.poll() is not None
    assert pool.ask("fake", "versions") == {"fake": "1.0"}
    pool.close()
    assert pool.workers == {}
