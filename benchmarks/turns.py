"""Measuring in turns: every peer has a process that stays, and one after the other they compute for a while."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.checks import compare, mismatch
from benchmarks.networks import Array
from benchmarks.processes import Pool
from benchmarks.session import Case, Measurement, Session
from benchmarks.worker import load_arrays

LAYER_PEERS = ("minidl", "pytorch", "pytorch-channels-last")


def step_in_turns(session: Session, case: Case) -> Measurement:
    return _in_turns(session, Measurement("step", case), session.peers)


def inference_in_turns(session: Session, case: Case) -> Measurement:
    return _in_turns(session, Measurement("inference", case), session.peers)


def layer_in_turns(session: Session, case: Case) -> Measurement:
    peers = tuple(peer for peer in session.peers if peer in LAYER_PEERS)
    return _in_turns(session, Measurement("layers", case), peers)


def op_in_turns(session: Session, case: Case) -> Measurement:
    peers = tuple(peer for peer in session.peers if peer in LAYER_PEERS)
    return _in_turns(session, Measurement("ops", case), peers)


def fit_in_turns(session: Session, case: Case) -> Measurement:
    """A turn is one epoch. It is long, so none is thrown away to warm up."""
    return _in_turns(session, Measurement("fit", case), session.peers, seconds=0.0, least=1, warm_up=False)


def _in_turns(session: Session, measurement: Measurement, peers: tuple[str, ...], **turn: Any) -> Measurement:
    turn = {"seconds": session.settings.seconds, "least": session.settings.least} | turn
    pool = _prepared(session, measurement, peers)
    for _ in range(session.settings.rounds):
        for peer in able(measurement, peers):
            times = session.attempt(measurement, peer, pool.ask, peer, "turn", **turn)
            if times is not None:
                measurement.add(peer, times)
    for peer in able(measurement, peers):
        measurement.note("processor share while waiting", peer, pool[peer].spins)
    return measurement


def accuracy_in_turns(session: Session, case: Case) -> Measurement:
    """Epoch by epoch, until a peer gets enough of the test images right; only training is timed."""
    measurement = Measurement("accuracy", case)
    session.data(case["images"])
    if session.notes:  # there is nothing to learn in random images
        measurement.failed = dict.fromkeys(session.peers, "needs CIFAR-10: name its folder with --data-dir")
        return measurement
    pool = _prepared(session, measurement, session.peers)
    running = able(measurement, session.peers)
    for peer in running:
        measurement.note("test accuracy", peer, [])
    for _ in range(session.settings.epochs):
        reached = {
            peer: session.attempt(measurement, peer, _epoch, session, pool, measurement, peer) for peer in running
        }
        running = [peer for peer, share in reached.items() if share is not None and share < session.settings.accuracy]
    return measurement


def _epoch(session: Session, pool: Pool, measurement: Measurement, peer: str) -> float:
    """Train for one epoch; returns the accuracy behind it."""
    times = pool.ask(peer, "turn", seconds=0.0, least=1, warm_up=False)
    accuracy: float = pool.ask(peer, "accuracy", data=session.data(measurement.case["images"]))
    measurement.add(peer, times)
    measurement.extra["test accuracy"][peer].append(accuracy)
    return accuracy


def able(measurement: Measurement, peers: tuple[str, ...]) -> list[str]:
    """Those that have not failed so far."""
    return [peer for peer in peers if peer not in measurement.failed]


def _prepared(session: Session, measurement: Measurement, peers: tuple[str, ...]) -> Pool:
    """The workers of these peers, their outputs compared, ready to be timed."""
    kind, case = measurement.subject, measurement.case
    pool = session.pool(kind, case["threads"])
    files = {"weights": session.weights(case["network"])} if "network" in case else {}
    _check(session, pool, measurement, peers, kind=kind, case=case, **files)
    if kind in ("fit", "accuracy"):
        files["data"] = session.data(case["images"])
    for peer in able(measurement, peers):
        started = time.perf_counter()
        session.attempt(measurement, peer, pool.ask, peer, "prepare", kind=kind, case=case, **files)
        measurement.note("seconds to build, compile and call once", peer, time.perf_counter() - started)
    return pool


def _check(session: Session, pool: Pool, measurement: Measurement, peers: tuple[str, ...], **question: Any) -> None:
    """Compare what the peers compute with what minidl does; one that differs has failed."""
    path = str(session.scratch / "outputs.npz")
    outputs: dict[str, dict[str, Array]] = {}
    for peer in peers:
        session.attempt(measurement, peer, pool.ask, peer, "check", out=path, **question)
        if peer not in measurement.failed:
            outputs[peer] = load_arrays(path)
    ours = outputs.pop("minidl", None)
    for peer, theirs in outputs.items():
        if ours is None:
            measurement.failed[peer] = "nothing to compare with, since minidl failed"
            continue
        measurement.checks[peer] = compare(ours, theirs)
        if problem := mismatch(measurement.checks[peer]):
            measurement.failed[peer] = problem
            session.say(f"    {peer}: {problem}")
