"""The live result of an op's checks: its gradients, and whether the tiers agree."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

from minidl.checks import check_example
from minidl.explain.markup import code, number, table
from minidl.gradient_examples import EXAMPLES, Example
from minidl.tensor import Tensor

HEADER = ["function", "gradient", "gradient of the gradient", "cpu against reference"]


def check(content: str) -> str:
    """A table of the examples of some functions, named with commas between; ValueError for one without example."""
    rows = []
    for name in content.replace("\n", ",").split(","):
        if name.strip():
            rows += [_row(example) for example in _examples(name.strip())]
    caption = ("Largest error of a number, relative to itself, in float64: the gradient that is "
               "computed against what the numbers do when the inputs are moved a little.")  # fmt: skip
    return table(HEADER, rows, caption)


def _examples(name: str) -> list[Example]:
    found = [example for example in EXAMPLES if example.op == name]
    if not found:
        raise ValueError(f"there is no example of {name!r} in minidl/gradient_examples.py")
    return found


def _row(example: Example) -> list[str]:
    results = [check_example(example, backend) for backend in ("reference", "cpu")]
    errors = [
        " and ".join(
            result.verdict if (error := getattr(result, order)) is None else number(error, 1) for result in results
        )
        for order in ("first_order", "second_order")
    ]
    return [code(example.name), *errors, number(_distance(example), 1)]


def _distance(example: Example) -> float:
    """The largest difference between what the two CPU backends compute, relative to the largest number."""
    on = partial(_output, example)
    expected, came = on("reference"), on("cpu")
    return float(numpy.abs(came - expected).max() / max(1e-300, numpy.abs(expected).max()))


def _output(example: Example, backend: str) -> Any:
    return example(*(Tensor(x, backend) for x in example.inputs)).numpy()
