"""Pictures of the results. The colours are those of Okabe and Ito, which differ for the colour-blind too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.networks import TITLES, ConvCase
from benchmarks.peers import PEERS
from benchmarks.report import measurements_of
from benchmarks.session import Measurement
from benchmarks.summary import best, ratio, typical
from benchmarks.targets import PYTORCH

COLOURS = {
    "minidl": "#D55E00", "keras": "#56B4E9", "pytorch": "#009E73", "pytorch-channels-last": "#0072B2",
    "pytorch-compile": "#CC79A7", "keras-jax": "#E69F00", "keras-torch": "#999999",
}  # fmt: skip
FORWARD, BACKWARD = "#0072B2", "#E69F00"
FULL = 0.8  # of the space between two groups


def draw_pictures(results: dict[str, Any]) -> dict[str, Figure]:
    """File name -> figure, of the subjects that were measured."""
    measurements = measurements_of(results["sessions"])
    most = max((one.case["threads"] for one in measurements), default=0)
    chosen = [one for one in measurements if one.case["threads"] == most and one.values]
    steps = [one for one in chosen if one.subject == "step"]
    layers = [one for one in chosen if one.subject == "layers"]
    pictures = {}
    if steps:
        pictures["steps.png"] = draw_steps(steps)
    if layers:
        pictures["layers.png"] = draw_layers(layers)
    return pictures


def draw_steps(steps: Sequence[Measurement]) -> Figure:
    """Images that are trained on in a second: a group of bars for each case, a bar for each peer."""
    peers = [peer for peer in PEERS if any(typical(one, peer) for one in steps)]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots()
    for k, peer in enumerate(peers):
        places = [i + (k - (len(peers) - 1) / 2) * FULL / len(peers) for i in range(len(steps))]
        speeds = [one.case["batch"] / seconds if (seconds := typical(one, peer)) else 0.0 for one in steps]
        bars = axes.bar(places, speeds, FULL / len(peers), label=PEERS[peer].title, color=COLOURS[peer])
        axes.bar_label(bars, [f"{speed:.0f}" if speed else "" for speed in speeds], fontsize=8)
    names = [f"{TITLES[one.case['network']]}\nbatch {one.case['batch']}".replace(" with ", "\nwith ") for one in steps]
    axes.set_xticks(range(len(steps)), names)
    axes.set_ylabel("images per second")
    axes.set_title(f"Training, {steps[0].case['threads']} threads: more is better")
    _finish(axes, "y")
    return figure


def draw_layers(layers: Sequence[Measurement]) -> Figure:
    """How many times as long as minidl the better PyTorch takes: two bars for each convolution."""
    cases = list(dict.fromkeys(ConvCase(**one.case["layer"]) for one in layers))
    figure = Figure(figsize=(9, 1.5 + 0.55 * len(cases)), layout="constrained")
    axes = figure.subplots()
    for direction, colour, shift in (("forward", FORWARD, -FULL / 4), ("backward", BACKWARD, FULL / 4)):
        found = {ConvCase(**one.case["layer"]): _ratio(one) for one in layers if one.case["direction"] == direction}
        ratios = [found.get(case, 0.0) for case in cases]
        places = [i + shift for i in range(len(cases))]
        bars = axes.barh(places, ratios, FULL / 2, label=direction, color=colour)
        axes.bar_label(bars, [f"{value:.2f}" if value else "" for value in ratios], fontsize=8, padding=2)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(cases)), [f"{c.pixels} x {c.pixels}, {c.inputs} to {c.outputs}" for c in cases])
    axes.invert_yaxis()
    axes.set_xlabel("time of PyTorch, the better layout / time of minidl")
    axes.set_title("Convolutions of VGG19, batch 64: beyond the line, minidl is faster")
    _finish(axes, "x")
    return figure


def _ratio(measurement: Measurement) -> float:
    peer = best(measurement, PYTORCH)
    found = ratio(measurement, peer) if peer else None
    return found.median if found else 0.0


def _finish(axes: Any, direction: str) -> None:
    axes.grid(axis=direction, alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.legend(loc="outside lower center", ncols=len(axes.containers), frameon=False)
