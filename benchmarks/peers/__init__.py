"""The libraries that are compared, one file each, all with the methods of Peer.

Only the file of one peer is imported into a process, so that no library carries another's memory or threads.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from benchmarks.networks import Array, ConvCase, Network, Weights
from benchmarks.op_cases import OpCase


class Differentiable(Protocol):
    """One convolution with its relu, or one op, forward and backward."""

    def forward(self) -> Any:
        """The result, with what backward() needs."""

    def backward(self, result: Any) -> None:
        """From dy to the gradients of all inputs that have one."""

    def arrays(self, result: Any) -> dict[str, Array]:
        """y and, after backward(), the gradients, shaped as in minidl: "y", "dx", "dweight", "dbias"."""


class Peer(Protocol):
    """A library. Peer(...) is made once in a process; option chooses between its ways to compute."""

    def __init__(self, threads: int, option: str, backend: str) -> None: ...

    def wait(self) -> None:
        """Until all work is done that was asked for: a GPU has a queue."""

    def versions(self) -> dict[str, str]:
        """Of the libraries that compute."""

    def build(self, network: Network, weights: Weights | None) -> None:
        """Make the network and its optimiser; without weights, start from those that the library draws itself."""

    def take(self, images: Array, labels: Array) -> None:
        """Turn a batch, images (n, h, w, c) and labels (n,), into the library's own form, for the next calls."""

    def forward(self) -> Array:
        """Scores (n, classes) of the batch, in evaluation mode, as a NumPy array."""

    def step(self) -> float:
        """One training step with the batch, dropout included; returns its loss."""

    def weight(self, layer: int) -> Array:
        """A copy of the weight of that layer of the network, shaped as in minidl."""

    def fit(self, images: Array, labels: Array, batch: int) -> None:
        """Train one epoch, shuffled, in the way the library's users do."""

    def convolution(self, case: ConvCase) -> Differentiable:
        """That convolution on case.arrays()."""

    def op(self, case: OpCase, dropout: bool = True) -> Differentiable:
        """That op on case.arrays(); without `dropout`, nothing is dropped: every library draws its own masks."""


@dataclass(frozen=True)
class Entry:
    """How a peer is called and what it needs; `cache` are the variables that move its compiled code elsewhere."""

    title: str
    module: str
    option: str = ""
    packages: tuple[str, ...] = ()
    needs_compiler: bool = False
    cache: tuple[str, ...] = ()
    by_default: bool = True
    backends: tuple[str, ...] = ("cpu",)


BOTH = ("cpu", "gpu")
PEERS = {
    "minidl": Entry("minidl", "minidl", cache=("MINIDL_CACHE_DIR", "NUMBA_CACHE_DIR", "CUPY_CACHE_DIR"), backends=BOTH),
    "minidl-keras": Entry("minidl, Keras's way", "keras", "minidl", by_default=False),
    "keras": Entry("Keras (TensorFlow)", "keras", "tensorflow", ("keras", "tensorflow")),
    "keras-jax": Entry("Keras (JAX)", "keras", "jax", ("keras", "jax"), by_default=False),
    "keras-torch": Entry("Keras (PyTorch)", "keras", "torch", ("keras", "torch"), by_default=False),
    "pytorch": Entry("PyTorch", "pytorch", "eager", ("torch",), backends=BOTH),
    "pytorch-channels-last": Entry("PyTorch, channels_last", "pytorch", "channels-last", ("torch",), backends=BOTH),
    "pytorch-compile": Entry(
        "PyTorch, torch.compile",
        "pytorch",
        "compile",
        ("torch",),
        True,
        cache=("TORCHINDUCTOR_CACHE_DIR",),
        backends=BOTH,
    ),
}
INSTALL = {"jax": "pip install jax"}
EXTRA = 'pip install -e ".[bench]"'


def why_absent(name: str, backend: str = "cpu") -> str | None:
    """Why that peer cannot be measured here, and what would help; None if it can."""
    entry = PEERS[name]
    if backend not in entry.backends:
        return f"it is compared on {' and '.join(entry.backends)} only"
    for package in entry.packages:
        if find_spec(package) is None:
            return f"{package} is not installed: {INSTALL.get(package, EXTRA)}"
    if entry.needs_compiler and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        return "torch.compile needs a C++ compiler: install g++, or name one in the environment variable CXX"
    return None
