"""The workers of the peers, seen from the process that measures: starting, asking, ending."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peers import PEERS

ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LOG_LINES = 15


class WorkerError(Exception):
    """A peer could not do what it was asked to."""


class WorkerProcess:
    """One peer's process. `cache`: the folder for its compiled code, instead of the user's own."""

    def __init__(
        self,
        module: str,
        option: str,
        threads: int,
        backend: str = "cpu",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - close() closes it
        self.idle = {"seconds": 0.0, "cpu": 0.0}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", module, option, str(threads), backend],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=ROOT,
            env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **(environment or {})},
            start_new_session=True,  # so that Ctrl-C reaches only the process that measures, which ends this one
        )  # fmt: skip

    def ask(self, do: str, **arguments: Any) -> Any:
        """The result of one command of worker.py; WorkerError if it fails or its process ends."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            *_, last = words = self._last_words() or ["no word"]
            code = self.process.wait()
            raise WorkerError(f"its process ended with exit code {code}: {last.strip()}\n{''.join(words)}")
        answer = json.loads(line)
        for name in self.idle:
            self.idle[name] += answer["idle"][name]
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["result"]

    @property
    def spins(self) -> float:
        """How much of one processor it used while it waited."""
        return self.idle["cpu"] / self.idle["seconds"] if self.idle["seconds"] else 0.0

    def close(self) -> None:
        """End the process, and with it those that it started itself: compilers, for one."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.log):
            if file is not None:
                with suppress(BrokenPipeError):  # a command may be left that nobody reads any more
                    file.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last_words(self) -> list[str]:
        self.process.wait()
        self.log.seek(0)
        return self.log.readlines()[-LOG_LINES:]


def start(peer: str, threads: int, backend: str, cache: Path | None = None) -> WorkerProcess:
    """The worker of a peer; with `cache`, compiled code is looked for and kept in that folder alone."""
    entry = PEERS[peer]
    environment = {} if cache is None else dict.fromkeys(entry.cache, str(cache))
    return WorkerProcess(f"benchmarks.peers.{entry.module}", entry.option, threads, backend, environment)


class Pool:
    """The workers of several peers with one number of threads, each started when it is first asked for."""

    def __init__(self, threads: int, backend: str) -> None:
        self.threads, self.backend = threads, backend
        self.workers: dict[str, WorkerProcess] = {}

    def __getitem__(self, peer: str) -> WorkerProcess:
        if peer not in self.workers:
            self.workers[peer] = start(peer, self.threads, self.backend)
        return self.workers[peer]

    def ask(self, peer: str, do: str, **arguments: Any) -> Any:
        return self[peer].ask(do, **arguments)

    def drop(self, peer: str) -> None:
        """End a worker; the next time it is asked for, it is a new one."""
        if peer in self.workers:
            self.workers.pop(peer).close()

    def close(self) -> None:
        for peer in list(self.workers):
            self.drop(peer)
