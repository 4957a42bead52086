"""The blocks of the page on optimisers, which have no gradient to check: one step of each rule, compared and timed."""

from __future__ import annotations

from typing import Any

import numpy

from minidl.explain.atlas.times import milliseconds
from minidl.explain.markup import number, table
from minidl.optimisers import Adam, Descent, Momentum, Nesterov, Optimiser, RMSProp
from minidl.tensor import Tensor

RULES: dict[str, type[Optimiser]] = {
    "descent": Descent, "momentum": Momentum, "nesterov": Nesterov, "rmsprop": RMSProp, "adam": Adam,
}  # fmt: skip
COMPARED, TIMED = (64, 32), (1024, 4096)


def compared_steps(content: str) -> str:
    """A table of the largest difference between cpu and reference after one step of each rule, float64."""
    rows = []
    for name in _names(content):
        expected, came = (_after_a_step(name, backend) for backend in ("reference", "cpu"))
        distance = max(numpy.abs(ours - theirs).max() for ours, theirs in zip(expected, came, strict=True))
        rows.append([name, ", ".join(RULES[name].memories) or "nothing", number(float(distance), 1)])
    return table(["rule", "remembers", "cpu against reference"], rows, "The largest difference of any number.")


def timed_steps(content: str) -> str:
    """A table of how long a step takes on both tiers, for a quarter of such a matrix, float32."""
    rows = []
    for name in _names(content):
        row = [name]
        for backend in ("reference", "cpu"):
            w = Tensor(numpy.ones(TIMED, "float32"), backend, requires_grad=True)
            gradient, optimiser = Tensor(numpy.ones(TIMED, "float32"), backend), RULES[name](0.001)

            def step(w: Tensor = w, gradient: Tensor = gradient, optimiser: Optimiser = optimiser) -> None:
                w.grad = gradient
                optimiser.step({"w": w})

            row.append(milliseconds(step))
        rows.append(row)
    caption = f"A step of {TIMED[0]} x {TIMED[1]} parameters, a quarter of the matrix. Medians on this machine."
    return table(["rule", "reference", "cpu"], rows, caption)


def _names(content: str) -> list[str]:
    return [name.strip() for name in content.split(",")]


def _after_a_step(name: str, backend: str) -> list[Any]:
    """The parameter and what the rule remembers, behind a step from random numbers."""
    random = numpy.random.default_rng(0)
    w = Tensor(random.normal(size=COMPARED), backend, requires_grad=True)
    w.grad = Tensor(random.normal(size=COMPARED), backend)
    optimiser = RULES[name](0.01)
    for memory in optimiser.memories:
        optimiser.state[memory]["w"] = w.backend.asarray(random.random(COMPARED))
    optimiser.step({"w": w})
    return [w.numpy(), *(optimiser.state[memory]["w"] for memory in optimiser.memories)]
