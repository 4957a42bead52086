"""How the signal fares from layer to layer, forward and backward, and over the time of training."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy

from minidl.explain.charts import heat, image, line_chart
from minidl.explain.markup import code, number, table
from minidl.training.diagnosis import DEAD, died
from minidl.training.signals import HIGHEST, LOWEST

Record = dict[str, Any]  # Signals, as signals.json holds it
MAP = (110, 110)  # pixels on the page
SHOWN = 4  # moments in a chart of lines


def signal_charts(records: Sequence[Record]) -> str:
    """The picture that shows why a network does not learn: signal forward, gradient backward, layer by layer."""
    shown = _some(records)
    forward = {_moment(one): [(-1, one["input_signal"]), *_points(one, "signal")] for one in shown}
    backward = {_moment(one): _points(one, "gradient") for one in shown}
    dead = DEAD * records[-1]["input_signal"]
    return (
        f'<p>{html.escape(_verdict(records[-1]))}</p><div class="charts">'
        + line_chart(
            "Signal, from the images to the scores",
            forward,
            "layer k, model[k]; before layer 0, the images themselves",
            "difference from image to image",
            log=True,
            level=(dead, f"{DEAD:.0%} of the images' own: below, the signal is dead") if dead else None,
        )
        + line_chart("Gradient, on its way back", backward, "layer k, model[k]", "root mean square", log=True)
        + "</div>"
        + _over_time(records)
    )


def histories(records: Sequence[Record]) -> str:
    """For each layer with numbers of its own, activations and gradients over training, as two small maps."""
    items = []
    for k, layer in enumerate(records[-1]["layers"]):
        if layer["name"] in ("flatten",) or (k and _same_numbers(records[-1]["layers"][k - 1], layer)):
            continue
        maps = "".join(
            f"<div>{image(_map(records, k, key), f'{what} of layer {k} over training', *MAP)}<br>{what}</div>"
            for key, what in (("magnitudes", "activations"), ("gradient_magnitudes", "gradients"))
        )
        dead = f", {layer['dead']:.0%} of its units dead" if _dead(layer) else ""
        items.append(f"<li><b>{k}</b> {html.escape(layer['name'])}{dead}<div class='pair'>{maps}</div></li>")
    across = "From left to right: before training, early on, and each epoch. " if len(records) > 1 else ""
    return (
        f"<p>{across}From bottom to top: sizes from "
        f"2<sup>{LOWEST}</sup> to 2<sup>{HIGHEST}</sup>. The stronger the colour, the more numbers of that "
        "size. Zeros are not shown.</p>"
        f'<ul class="gallery maps">{"".join(items)}</ul>'
    )


def dead_units(records: Sequence[Record]) -> str:
    """The share of units that give 0 for every image, over training; a sentence where no layer has any."""
    lines = {
        f"{k} {layer['name']}": [(i, _dead(record["layers"][k])) for i, record in enumerate(records)]
        for k, layer in enumerate(records[-1]["layers"])
        if any(_dead(record["layers"][k]) > 0 for record in records)
    }
    if not lines:
        return "<p>No unit has been 0 for all images that were looked at.</p>"
    worst = dict(sorted(lines.items(), key=lambda item: -max(share for _, share in item[1]))[:5])
    return line_chart("Dead units, the layers with the most", worst, "moment of training", "share of the units")


def _dead(layer: Record) -> float:
    """The share of its units; flatten and Dropout have none, though older records count the zeros of Dropout."""
    return 0.0 if layer["name"] == "flatten" or layer["name"].startswith("Dropout(") else layer["dead"] or 0.0


def parameter_sizes(records: Sequence[Record]) -> str:
    """A table: how large each parameter and its gradient are, at the first and at the last moment."""
    first, last = records[0]["parameters"], records[-1]["parameters"]
    rows = [
        [code(after["name"])] + [number(one[key], 3) for key in ("weight", "gradient") for one in (before, after)]
        for before, after in zip(first, last, strict=True)
    ]
    header = ["parameter", "at first", "at last", "gradient at first", "gradient at last"]
    return "<p>Root mean squares, of the parameters and of the loss's gradient with respect to them.</p>" + table(
        header, rows, f"Parameters, {_moment(records[0])} and {_moment(records[-1])}"
    )


def _verdict(record: Record) -> str:
    """In which layer the signal has died, if in any."""
    layers = record["layers"]
    if record["input_signal"] == 0:
        return "All inputs are the same, so nothing can differ between them: look at others."
    for k, layer in enumerate(layers):
        if layer["name"] == "softmax":
            continue  # of many classes, each has a small probability
        if not math.isfinite(layer["signal"]):
            return f"Layer {k}, {layer['name']}, gives numbers that are not finite, and so do the layers behind it."
        if layer["signal"] < DEAD * record["input_signal"]:
            what = died(k, layer["name"], layer["signal"] / record["input_signal"])
            first = layers[0]["gradient"] / layers[-1]["gradient"] if layers[-1]["gradient"] else 0.0
            return (
                f"{what[0].upper()}{what[1:]}. On the way back, the first layer gets {number(first, 2)} of the "
                f"gradient that the scores get. The loss is {record['loss']:.4f}."
            )
    return "The signal arrives: the outputs of every layer differ from image to image."


def _over_time(records: Sequence[Record]) -> str:
    if len(records) < 2:
        return ""
    count = len(records[0]["layers"])
    chosen = sorted({0, count // 2, count - 1})
    lines = {
        f"{k} {records[0]['layers'][k]['name']}": [(i, one["layers"][k]["gradient"]) for i, one in enumerate(records)]
        for k in chosen
    }
    return line_chart("Gradient over training: first, middle and last layer", lines, "moment of training",
                      "root mean square", log=True)  # fmt: skip


def _points(record: Record, key: str) -> list[tuple[float, float]]:
    return [(k, layer[key]) for k, layer in enumerate(record["layers"])]


def _moment(record: Record) -> str:
    if record["step"] is None:
        return "now"
    if record["step"] == 0:
        return "before training"
    return f"step {record['step']}" + (f", epoch {record['epoch']}" if record["epoch"] else "")


def _some(records: Sequence[Record]) -> list[Record]:
    """The first, the last, and some between."""
    places = numpy.linspace(0, len(records) - 1, min(SHOWN, len(records))).round().astype(int)
    return [records[place] for place in dict.fromkeys(places.tolist())]


def _map(records: Sequence[Record], layer: int, key: str) -> Any:
    """A column for each record, a row for each power of two, the largest on top."""
    counts = numpy.array([record["layers"][layer][key] for record in records], float).T[::-1]
    return heat(
        counts / counts.max() if counts.max() else counts, (31, 95, 191) if key == "magnitudes" else (180, 35, 107)
    )


def _same_numbers(before: Record, layer: Record) -> bool:
    """Whether a layer passed on what it got, as dropout of rate 0 and reshaping do."""
    return bool(before["magnitudes"] == layer["magnitudes"] and before["mean"] == layer["mean"])
