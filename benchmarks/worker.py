"""The process of one peer: `python -m benchmarks.worker MODULE OPTION THREADS BACKEND`, started by processes.py.

It reads commands from standard input and answers on standard output, one JSON object a line:

    {"do": "turn", "seconds": 1.0, "least": 2}   ->   {"result": [0.51, 0.49], "idle": {"seconds": 3.1, "cpu": 0.0}}
                                                 ->   {"error": "ValueError: ..."}

"idle" is how long it waited for the command and how much processor time its threads used up meanwhile: a library whose
threads spin while they wait disturbs the peer whose turn it is.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.networks import NETWORKS, Array, ConvCase, ends, random_batch, without_dropout
from benchmarks.op_cases import OpCase
from benchmarks.peers import Differentiable, Peer

PREDICTION_BATCH = 256
ALONE = ("layers", "ops")  # what is measured without a network around it
MOST_TIMES = 50  # of a turn
CHECKED_STEPS = 2  # the second feels the momentum of the first


def nothing() -> None:
    pass


@dataclass
class Timed:
    """A call whose time is taken; `before` makes its argument while the clock stands."""

    call: Callable[[Any], object]
    before: Callable[[], Any] = nothing


class Worker:
    """The commands: each public method is one, its arguments and its result JSON."""

    def __init__(self, module: str, option: str, threads: int, backend: str = "cpu") -> None:
        self.peer: Peer = import_module(module).Peer(threads, option, backend)
        self.timed = Timed(lambda _: None)

    def versions(self) -> dict[str, str]:
        return self.peer.versions()

    def memory(self) -> float:
        """The most memory this process has had so far, in MB."""
        return peak_memory() / 1e6

    def prepare(self, kind: str, case: dict[str, Any], weights: str | None = None, data: str | None = None) -> None:
        """Get ready for turn(): build what the case asks for, and call once what will be timed."""
        if kind in ALONE:
            self.timed = self._passes(self._alone(kind, case), case["direction"])
        else:
            self.peer.build(NETWORKS[case["network"]], load_arrays(weights) if weights else None)
        if data:
            self._prepare_fit(data, case["batch"])
            return
        if kind not in ALONE:
            self.peer.take(*random_batch(case["batch"]))
            self.timed = Timed(lambda _: self.peer.forward() if kind == "inference" else self._step())
        self._call()

    def turn(self, seconds: float, least: int, warm_up: bool = True) -> list[float]:
        """Times of calls one after the other, at least so many and for so long, after one that is not timed.

        Of very many times, as of calls that take microseconds, a part is returned, at equal distances.
        """
        if warm_up:
            self._call()
        times: list[float] = []
        while len(times) < least or sum(times) < seconds:
            argument = self.timed.before()
            self.peer.wait()
            started = time.perf_counter()
            result = self.timed.call(argument)
            self.peer.wait()
            times.append(time.perf_counter() - started)
            del argument, result  # before the clock starts again
        return [round(one, 9) for one in times[:: -(-len(times) // MOST_TIMES)]]

    def check(self, kind: str, case: dict[str, Any], out: str, weights: str = "") -> None:
        """Compute what all peers must agree on, and leave it in the file `out`."""
        if kind in ALONE:
            layer = self._alone(kind, case, dropout=False)
            result = layer.forward()
            layer.backward(result)
            save_arrays(out, layer.arrays(result))
        else:
            save_arrays(
                out, self._outputs(case, load_arrays(weights), steps=0 if kind == "inference" else CHECKED_STEPS)
            )

    def accuracy(self, data: str) -> float:
        """The share of the test images that the network as it is now gets right."""
        images, labels = load_data(data, "test")
        right = 0
        for i in range(0, len(labels), PREDICTION_BATCH):
            part = slice(i, i + PREDICTION_BATCH)
            self.peer.take(images[part], labels[part])
            right += int((self.peer.forward().argmax(1) == labels[part]).sum())
        return right / len(labels)

    def _call(self) -> None:
        self.timed.call(self.timed.before())

    def _prepare_fit(self, data: str, batch: int) -> None:
        images, labels = load_data(data, "train")
        self.timed = Timed(lambda _: self.peer.fit(images, labels, batch))
        self.peer.fit(images[:batch], labels[:batch], batch)  # an epoch of one batch, to have everything compiled

    def _step(self) -> None:
        loss = self.peer.step()
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}, so this is not a step that anybody would wait for")

    def _alone(self, kind: str, case: dict[str, Any], dropout: bool = True) -> Differentiable:
        if kind == "layers":
            return self.peer.convolution(ConvCase(**case["layer"]))
        return self.peer.op(OpCase(case["op"]), dropout)

    def _passes(self, layer: Differentiable, direction: str) -> Timed:
        if direction == "forward":
            return Timed(lambda _: layer.forward())
        return Timed(layer.backward, before=layer.forward)

    def _outputs(self, case: dict[str, Any], weights: dict[str, Array], steps: int) -> dict[str, Array]:
        network = without_dropout(NETWORKS[case["network"]])
        self.peer.build(network, weights)
        self.peer.take(*random_batch(case["batch"]))
        outputs = {"scores": self.peer.forward()}
        before = {layer: weights[f"layers.{layer}.weight"] for layer in ends(network).values()}
        for step in range(1, steps + 1):
            outputs[f"loss of step {step}"] = np.array(self.peer.step())
            for name, layer in ends(network).items():
                after = self.peer.weight(layer)
                outputs[f"change of the {name} weight in step {step}"] = after - before[layer]
                before[layer] = after
        return outputs


def peak_memory() -> int:
    """In bytes. On Linux not ru_maxrss, which in a new process begins with the memory of the one that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def load_arrays(path: str) -> dict[str, Array]:
    with np.load(path) as arrays:
        return dict(arrays)


def save_arrays(path: str, arrays: dict[str, Array]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # an array cannot be its allow_pickle


def load_data(path: str, part: str) -> tuple[Array, Array]:
    arrays = load_arrays(path)
    return arrays[f"{part}_images"], arrays[f"{part}_labels"]


def answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    name = request.pop("do")
    try:
        return {"result": getattr(worker, name)(**request)}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def serve(requests: IO[str], answers: IO[str], make_worker: Callable[[], Worker]) -> None:
    """Answer line by line until the requests end."""
    worker = make_worker()
    while True:
        seconds, cpu = time.perf_counter(), time.process_time()
        line = requests.readline()
        if not line:
            return
        idle = {"seconds": time.perf_counter() - seconds, "cpu": time.process_time() - cpu}
        print(json.dumps(answer(worker, json.loads(line)) | {"idle": idle}), file=answers, flush=True)


def main() -> None:
    module, option, threads, backend = sys.argv[1:]
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    # From here on whatever a library reads or prints passes the two pipes by
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    serve(requests, answers, lambda: Worker(module, option, int(threads), backend))


if __name__ == "__main__":
    main()
