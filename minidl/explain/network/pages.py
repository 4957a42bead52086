"""The page of a run folder, and that of a network in memory."""

from __future__ import annotations

import html
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray
from rich.console import Console

from minidl.data import DataLoader, load_data, to_float
from minidl.explain.charts import line_chart
from minidl.explain.markup import highlighted, table
from minidl.explain.network.attribution import attribution_maps, first_filters
from minidl.explain.network.layer_graph import layer_graph
from minidl.explain.network.predictions import confusion_matrix, most_confidently_wrong
from minidl.explain.network.signal_charts import dead_units, histories, parameter_sizes, signal_charts
from minidl.explain.page import Page
from minidl.layers import Chain
from minidl.prediction import probabilities
from minidl.recipe import EVALUATION_BATCH, build, loss_for, read_settings, say
from minidl.summary import summarise
from minidl.training.run_folder import RunFolder
from minidl.training.signals import look_inside

IMAGES = 500  # of the test images
EXPLAINED = 6  # of them, with maps


def explain_run(
    path: str | Path, data_dir: str | None = None, images: int = IMAGES, console: Console | None = None
) -> Page:
    """The page of the run in folder `path`: its network, how it learned, and what it makes of test images.

    images: how many test images are looked at. FileNotFoundError and ValueError for what is no run folder.
    """
    folder = RunFolder(path)
    settings = read_settings(folder, "cpu")
    records, model = folder.load_signals(), build(settings)
    history = folder.load_history(folder.load_checkpoint(model))
    _, test = load_data(settings.data, data_dir or settings.data_dir, say(console or Console(quiet=True)))
    pixels, labels = test[:images]
    x, names = to_float(pixels), [str(name) for name in test.classes]
    believed = probabilities(model, DataLoader(x, EVALUATION_BATCH))

    page = Page(f"{settings.model} on {settings.data}", f"<p>The run in {html.escape(str(path))}.</p>")
    page.add("The network", layer_graph(summarise(model, x.shape[1:])))
    page.add("Learning curves", _curves(history))
    if records:
        page.add("The signal, layer by layer", signal_charts(records))
        page.add("Activations and gradients over training", histories(records))
        page.add("Dead units", dead_units(records))
        page.add("Parameters", parameter_sizes(records))
    else:
        page.add("The signal, layer by layer", "<p>This run kept no signals.json.</p>")
    page.add("First filters", first_filters(model))
    page.add("What it looks at", attribution_maps(model, x[:EXPLAINED], believed[:EXPLAINED], names))
    page.add("Right and wrong", confusion_matrix(believed, labels, names))
    page.add("Most confidently wrong", most_confidently_wrong(x, believed, labels, names))
    rows = [[name, str(value)] for name, value in vars(settings).items()]
    page.add("Settings", table(["setting", "value"], rows))
    return page


def explain_model(model: Chain, x: NDArray[Any], labels: NDArray[Any] | None = None) -> Page:
    """The page of a network and a batch x (n, ...) of at least two inputs; see Chain.explain()."""
    x = numpy.asarray(x)
    if not len(model):
        raise ValueError("explain: expected a network with layers, got an empty Chain")
    if x.ndim < 2 or len(x) < 2:
        raise ValueError(f"explain: expected a batch (n, ...) of at least two inputs, got {x.shape}")
    believed = probabilities(model, DataLoader(x, EVALUATION_BATCH))
    if believed.ndim != 2:
        raise ValueError(f"explain: expected a network that gives scores (n, classes), got {believed.shape}")
    page = Page(type(model).__name__, highlighted(repr(model), "python"))
    page.add("The network", layer_graph(summarise(model, x.shape[1:])))
    classes = believed.shape[1]
    targets = believed.argmax(axis=1) if labels is None else numpy.asarray(labels)
    if (
        targets.shape != (len(x),)
        or targets.dtype.kind not in "iu"
        or not 0 <= targets.min() <= targets.max() < classes
    ):
        came = f", from {targets.min()} to {targets.max()}" if targets.size else ""
        raise ValueError(f"explain: expected labels ({len(x)},) of whole numbers from 0 to {classes - 1}, got shape "
                         f"{targets.shape}, {targets.dtype}{came}")  # fmt: skip
    signals = look_inside(model, x, numpy.eye(classes, dtype=x.dtype)[targets], loss_for(model))
    record = asdict(signals) | {"step": None}  # of no training
    page.add("The signal, layer by layer", signal_charts([record]))
    page.add("Activations and gradients", histories([record]))
    if x.ndim == 4:
        names = [str(k) for k in range(classes)]
        page.add("First filters", first_filters(model))
        page.add("What it looks at", attribution_maps(model, x[:EXPLAINED], believed[:EXPLAINED], names))
        if labels is not None:
            page.add("Right and wrong", confusion_matrix(believed, targets, names))
            page.add("Most confidently wrong", most_confidently_wrong(x, believed, targets, names))
    return page


def _curves(history: list[dict[str, float]]) -> str:
    if not history:
        return "<p>No epoch is finished yet.</p>"
    charts = []
    for name in ("loss", "accuracy"):
        lines = {
            label: [(row["epoch"], row[key]) for row in history]
            for label, key in (("training", name), ("test", f"validation_{name}"))
            if key in history[0]
        }
        charts.append(
            line_chart(name.capitalize(), lines, "epoch", "cross-entropy" if name == "loss" else "share right")
        )
    return f'<div class="charts">{"".join(charts)}</div>'
