"""How long an op takes on each tier that runs on this machine, forward and backward, measured when the page is made."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy

from minidl import functions
from minidl.explain.markup import table
from minidl.tensor import Tensor

SECONDS = 0.1  # that each measurement may take, after one call that is not measured


def times(content: str) -> str:
    """A table from TOML: `what` is computed, the `call`, and the shape of each array it names, float32."""
    settings = tomllib.loads(content)
    what, call = settings.pop("what"), settings.pop("call")
    rows = []
    for backend in ("reference", "cpu"):
        inputs = _inputs(settings, backend)
        forward = partial(eval, call, vars(functions) | inputs)
        rows.append([backend, _milliseconds(forward), _milliseconds(partial(_forward_and_backward, forward, inputs))])
    caption = f"{what}, in float32: {call}. Medians on the machine that made this page."
    return table(["tier", "forward", "forward and backward"], rows, caption)


def _inputs(shapes: dict[str, Any], backend: str) -> dict[str, Tensor]:
    random = numpy.random.default_rng(0)
    return {
        name: Tensor(random.normal(size=shape).astype("float32"), backend, requires_grad=True)
        for name, shape in shapes.items()
    }


def _forward_and_backward(forward: Callable[[], Tensor], inputs: dict[str, Tensor]) -> None:
    y = forward()
    y.backward(Tensor(numpy.ones(y.shape, "float32"), y.backend.name))
    for x in inputs.values():
        x.grad = None


def _milliseconds(call: Callable[[], object]) -> str:
    call()
    measured: list[float] = []
    while not measured or sum(measured) < SECONDS:
        start = time.perf_counter()
        call()
        measured.append(time.perf_counter() - start)
    return f"{median(measured) * 1000:.3g} ms"
