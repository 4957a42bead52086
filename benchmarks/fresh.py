"""Measuring whole processes: from their start to the first training step, and the memory that they take."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from benchmarks.peers import PEERS
from benchmarks.processes import start
from benchmarks.session import Case, Measurement, Session
from benchmarks.turns import able

MEMORY_STEPS = 3


def start_up(session: Session, case: Case) -> Measurement:
    """From the start of a process to the end of its first training step, with weights that the library draws itself.

    With an empty cache only the peers that keep compiled code are measured: the others have nothing to lose.
    """
    measurement = Measurement("startup", case)
    session.end_workers()
    empty = case["cache"] == "empty"
    peers = tuple(peer for peer in session.peers if PEERS[peer].cache or not empty)
    for _ in range(session.settings.rounds):
        for peer in able(measurement, peers):
            folder = session.scratch / f"cache-{peer}"
            if empty:
                shutil.rmtree(folder, ignore_errors=True)
            elif not folder.exists():
                session.attempt(measurement, peer, _first_step, session, peer, case, folder)
            seconds = session.attempt(measurement, peer, _first_step, session, peer, case, folder)
            if seconds is not None:
                measurement.add(peer, [seconds])
    return measurement


def _first_step(session: Session, peer: str, case: Case, cache: Path) -> float:
    cache.mkdir(exist_ok=True)
    started = time.perf_counter()
    with start(peer, case["threads"], session.settings.backend, cache) as worker:
        worker.ask("prepare", kind="step", case=case)
        return time.perf_counter() - started


def memory(session: Session, case: Case) -> Measurement:
    """The peak of a process that takes a few training steps, nothing taken off. Once, since it hardly varies."""
    measurement = Measurement("memory", case, unit="MB")
    session.end_workers()
    for peer in session.peers:
        figures = session.attempt(measurement, peer, _memory, session, peer, case)
        if figures is not None:
            measurement.note("MB after the import", peer, figures[0])
            measurement.add(peer, [figures[1]])
    return measurement


def _memory(session: Session, peer: str, case: Case) -> tuple[float, float]:
    with start(peer, case["threads"], session.settings.backend) as worker:
        imported = worker.ask("memory")
        worker.ask("prepare", kind="step", case=case)
        worker.ask("turn", seconds=0.0, least=MEMORY_STEPS)
        return imported, worker.ask("memory")
