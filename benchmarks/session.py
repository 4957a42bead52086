"""One session of measuring: its settings, the files that the workers read, and the workers themselves."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from benchmarks.networks import CLASSES, NETWORKS, Array, initial_weights
from benchmarks.processes import Pool, WorkerError
from benchmarks.worker import save_arrays
from minidl.data import CIFAR10, to_float
from minidl.data.cifar10 import DataNotFoundError

Case: TypeAlias = dict[str, Any]
T = TypeVar("T")

TEST_IMAGES = 1024


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    subjects: tuple[str, ...]
    peers: tuple[str, ...]
    threads: tuple[int, ...]
    backend: str = "cpu"  # or "gpu", of all peers
    rounds: int = 5
    seconds: float = 1.0  # how long a turn lasts, at least
    least: int = 2  # how many calls a turn times, at least
    images: int | None = None  # of an epoch, unless the subject shall choose
    accuracy: float = 0.5  # of the test images: where the subject `accuracy` ends its epochs,
    epochs: int = 20  # and how many it may take at most
    data_dir: str | None = None
    tiny: bool = False

    @property
    def networks(self) -> tuple[str, str]:
        return ("tiny-plain", "tiny") if self.tiny else ("vgg19-plain", "vgg19")


@dataclass
class Measurement:
    """What came out for one case.

    values   peer -> a list for each round -> the times, or whatever `unit` says, of that round
    checks   peer -> output -> how far it is from minidl's, relative to its size
    failed   peer -> why it has no values
    extra    name -> peer -> a figure, or a list of them, shown beside
    """

    subject: str
    case: Case
    unit: str = "s"
    values: dict[str, list[list[float]]] = field(default_factory=dict)
    checks: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, peer: str, values: list[float]) -> None:
        self.values.setdefault(peer, []).append(values)

    def note(self, name: str, peer: str, figure: Any) -> None:
        self.extra.setdefault(name, {})[peer] = figure


class Session:
    """Holds what the subjects share; `with` ends the workers and deletes the files."""

    def __init__(self, settings: Settings, peers: tuple[str, ...], say: Callable[[str], object]) -> None:
        self.settings, self.peers, self.say = settings, peers, say
        self.notes: list[str] = []
        self.scratch = Path(tempfile.mkdtemp(prefix="benchmarks-"))
        self.weights, self.data = cache(self._write_weights), cache(self._write_data)  # paths of files, made once
        self._pool: Pool | None = None
        self._pool_key: tuple[str, int] | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.end_workers()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def pool(self, subject: str, threads: int) -> Pool:
        """Workers for this subject. The last one's are ended: what is left over from it shall not matter."""
        if self._pool is None or self._pool_key != (subject, threads):
            self.end_workers()
            self._pool, self._pool_key = Pool(threads, self.settings.backend), (subject, threads)
        return self._pool

    def end_workers(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def attempt(
        self, measurement: Measurement, peer: str, call: Callable[..., T], *args: Any, **named: Any
    ) -> T | None:
        """The result of call(*args, **named); None if the peer fails, which is noted, and the others go on."""
        try:
            return call(*args, **named)
        except WorkerError as error:
            measurement.failed[peer] = str(error)
            self.say(f"    {peer}: {error}")
            if self._pool is not None:
                self._pool.drop(peer)
            return None

    def _write_data(self, images: int) -> str:
        """A slice of CIFAR-10; where it is not, random images, and a note."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # says where it is found
                parts = {split: CIFAR10(split, self.settings.data_dir, download=False) for split in ("train", "test")}
            arrays = {
                f"{split}_{name}": array
                for split, count in (("train", images), ("test", TEST_IMAGES))
                for name, array in zip(("images", "labels"), parts[split][:count], strict=True)
            }
        except DataNotFoundError as error:
            self.notes = [f"CIFAR-10 is not here ({error.reason}): images and labels are random numbers"]
            self.say(f"Note: {self.notes[0]}")
            arrays = random_data(images)
        for split in ("train", "test"):
            arrays[f"{split}_images"] = to_float(arrays[f"{split}_images"])
            arrays[f"{split}_labels"] = arrays[f"{split}_labels"].astype(np.int64)
        path = str(self.scratch / f"data-{images}.npz")
        save_arrays(path, arrays)
        return path

    def _write_weights(self, network: str) -> str:
        path = str(self.scratch / f"{network}.npz")
        save_arrays(path, initial_weights(NETWORKS[network]))
        return path


def random_data(images: int) -> dict[str, Array]:
    """Stands in for CIFAR-10: there is nothing to learn in it, but a step takes as long."""
    random = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for split, count in (("train", images), ("test", TEST_IMAGES)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
        arrays[f"{split}_labels"] = random.integers(0, CLASSES, count, np.uint8)
    return arrays
