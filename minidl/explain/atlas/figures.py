"""The interactive figures: which small arrays they start from. What they draw and compute is in figures/NAME.js."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidl.data import Digits
from minidl.explain.atlas.optimiser_steps import RULES
from minidl.explain.page import Page, as_json

FOLDER = Path(__file__).parent / "figures"


def figure(page: Page, content: str) -> str:
    """A figure by its name; puts its script into the page."""
    name = content.strip()
    data = FIGURES[name]()
    page.script(_script("figure"))
    page.script(_script(FILES.get(name, name)))
    page.script(f'figures.{name}(document.getElementById("figure-{name}"), {as_json(data)});')
    title = html.escape(name.replace("_", " "))
    return f'<div class="figure" id="figure-{name}" role="group" aria-label="Figure: {title}"></div>'


def _convolution() -> dict[str, Any]:
    return {
        "x": _digit(),
        "filters": {
            "vertical edges": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
            "horizontal edges": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
            "sum of all": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
            "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
            "leave as it is": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        },
    }


def _channel() -> dict[str, Any]:
    return {"x": [3, 5, 4, 8, 2, 6, 9, 3], "dy": [1, 0, 0, 2, 0, -1, 0, 0], "eps": 1e-5, "momentum": 0.1}


def _dense() -> dict[str, Any]:
    return {
        "x": [[1, 2, 0, -1], [0.5, -1, 2, 1], [-2, 0, 1, 3]],
        "weight": [[0.5, -1, 0], [1, 0.5, -0.5], [0, 2, 1], [-1, 0, 0.25]],
        "bias": [0, 1, -1],
    }


def _units() -> dict[str, Any]:
    return {"x": [-3, -1, -0.5, 1, 2, 4], "dy": [1, -2, 3, 0.5, -1, 2]}


def _rows() -> dict[str, Any]:
    return {"x": [[1, 0, -2], [3, 2, 1], [0, -1, 1], [2, 2, 0], [-1, 4, 3]], "dy": [1, -2, 0.5]}


def _pixels() -> dict[str, Any]:
    return {"x": _digit()}


def _valley() -> dict[str, Any]:
    return {"rules": list(RULES), "length": 60, "beta2": 0.999, "eps": 1e-8}


def _scores() -> dict[str, Any]:
    return {"classes": ["cat", "dog", "ship", "truck"], "x": [2, 1, 0, -1], "dy": [1, 0, 0, 0]}


def _digit() -> list[list[int]]:
    """A handwritten 0 of 8 x 8 pixels, from 0 to 16."""
    images, _ = Digits("test")[:1]
    return [[round(float(pixel[0]) * 16 / 255) for pixel in row[::4]] for row in images[0][::4]]


FIGURES: dict[str, Callable[[], dict[str, Any]]] = {
    "batch_norm": _channel,
    "dense": _dense,
    "dropout": _pixels,
    "max_pool2d": _pixels,
    "mean_pool2d": _pixels,
    "optimiser_steps": _valley,
    "conv2d": _convolution,
    "relu": _units,
    "sum": _rows,
    "softmax": _scores,
    "softmax_cross_entropy": _scores,
}

FILES = {"max_pool2d": "pooling", "mean_pool2d": "pooling"}  # of figures that share one


def _script(name: str) -> str:
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")
