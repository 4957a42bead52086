"""A session from its settings to its files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, load, now, revision
from benchmarks.peers import PEERS, why_absent
from benchmarks.processes import WorkerError, start
from benchmarks.results import combine, save_report, save_results, to_json
from benchmarks.session import Measurement, Session, Settings
from benchmarks.subjects import describe, tasks
from benchmarks.summary import ratio
from minidl.backend import get_backend

STOPPED = 130  # what a shell reports for Ctrl-C


def run(settings: Settings, folder: Path, old: dict[str, Any]) -> int:
    """Measure, save after each case, and report; returns the exit code: 1 if a peer that is here has failed."""
    get_backend(settings.backend)  # an ImportError here says more than each worker's
    record = _record(settings)
    _look_for_peers(settings, record["versions"], record["absent"])
    if "minidl" not in record["versions"]:
        return 1
    code = 0
    with Session(settings, tuple(record["versions"]), say) as session:
        try:
            for measurement in _measure(session):
                record["notes"] = session.notes
                record["measurements"].append(to_json(measurement))
                record["load"]["end"], record["ended"] = load(), now()
                save_results(folder, combine(old, record))
                code = code or int(bool(measurement.failed))
        except KeyboardInterrupt:
            say("Stopped: what is complete has been kept.")
            code = STOPPED
    results = combine(old, record)
    save_results(folder, results)
    print(save_report(folder, results))
    say(f"Saved in {folder}")
    return code


def say(text: str) -> None:
    """Progress goes to standard error: standard output has the report alone."""
    print(text, file=sys.stderr, flush=True)


def _record(settings: Settings) -> dict[str, Any]:
    shown = asdict(settings)
    del shown["data_dir"]  # a place on this machine, which says nothing to others
    return {
        "started": now(), "ended": now(), "revision": revision(), "machine": describe_machine(settings.backend),
        "load": {"start": load(), "end": load()}, "versions": {}, "settings": shown, "absent": {}, "notes": [],
        "measurements": [],
    }  # fmt: skip


def _look_for_peers(settings: Settings, versions: dict[str, dict[str, str]], absent: dict[str, str]) -> None:
    """Sort the peers: those that can be started, with their versions, and the others, with the reason."""
    for peer in settings.peers:
        reason = why_absent(peer, settings.backend)
        if reason is None:
            try:
                with start(peer, settings.threads[-1], settings.backend) as worker:
                    versions[peer] = worker.ask("versions")
                continue
            except WorkerError as error:
                reason = str(error)
        say(f"{PEERS[peer].title} is absent: {reason}")
        absent[peer] = reason.splitlines()[0]


def _measure(session: Session) -> Iterator[Measurement]:
    chosen = tasks(session.settings)
    for number, (subject, case, measure) in enumerate(chosen, 1):
        say(f"[{number}/{len(chosen)}] {subject}: {describe(case)}, threads {case['threads']}")
        started = time.perf_counter()
        measurement = measure(session, case)
        figures = [
            f"{peer} {found.median:.2f}"
            for peer in measurement.values
            if peer != "minidl" and (found := ratio(measurement, peer))
        ]
        say(f"    {', '.join(figures) or 'no ratios'}   ({time.perf_counter() - started:.0f} s)")
        yield measurement
