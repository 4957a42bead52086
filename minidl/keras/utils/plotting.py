"""plot_model(): a picture of a network, drawn with matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minidl.keras.layers.layer import Layer
from minidl.keras.symbolic import Node
from minidl.training.checkpoint import replace_file

WIDTH, HEIGHT = 2.6, 0.75  # inches that a box has for itself


def plot_model(
    model: Any,
    to_file: str | Path = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> None:
    """Draw the layers as boxes, one row for each step from the inputs, and what goes where as straight lines.

    The ending of to_file decides the format: png, svg or pdf. A model inside is one box.
    """
    if find_spec("matplotlib") is None:
        raise ImportError("plot_model needs matplotlib; install it with: pip install 'minidl[plot]'")
    if expand_nested:
        raise NotImplementedError("plot_model: expand_nested is not supported; draw the model inside by itself")
    if splines != "ortho":
        raise NotImplementedError(f"plot_model: splines={splines!r} is not supported; lines are straight")
    if rankdir != "TB":
        raise NotImplementedError(
            f"plot_model: rankdir {rankdir!r} is not supported; networks are drawn downwards, 'TB'"
        )
    if not model.built or model._graph is None:
        raise ValueError(
            f"plot_model: {model.name} is not built, or defines call() in Python; there is no graph to draw"
        )
    shown = {"names": show_layer_names, "shapes": show_shapes, "dtype": show_dtype,
             "activations": show_layer_activations, "trainable": show_trainable}  # fmt: skip
    nodes = [x.node for x in model.inputs] + model._calls
    texts = {id(node): _text(node, shown) for node in nodes}
    path = Path(to_file)
    replace_file(path, lambda temporary: _draw(nodes, texts, temporary, path.suffix.lstrip(".") or "png", dpi))


def places(nodes: list[Node]) -> dict[int, tuple[float, int]]:
    """(column, row) of each call: behind all that it takes, and the calls of one row side by side around the middle."""
    rows: dict[int, int] = {}
    for node in nodes:
        rows[id(node)] = 1 + max((rows[id(x.node)] for x in node.inputs), default=-1)
    in_row: dict[int, list[int]] = defaultdict(list)
    for node in nodes:
        in_row[rows[id(node)]].append(id(node))
    return {call: (column - (len(calls) - 1) / 2, row) for row, calls in in_row.items()
            for column, call in enumerate(calls)}  # fmt: skip


def _text(node: Node, shown: dict[str, bool]) -> str:
    layer: Layer = node.layer
    lines = [f"{layer.name} ({type(layer).__name__})" if shown["names"] else type(layer).__name__]
    if shown["activations"] and "activation" in layer.configured:
        lines[0] += f", {layer.get_config()['activation']}"
    if shown["shapes"]:
        lines.append(str(node.output.shape))
    if shown["dtype"]:
        lines.append(node.output.dtype)
    if shown["trainable"] and layer.weights:
        lines.append("trained" if layer.trainable else "not trained")
    return "\n".join(lines)


def _draw(nodes: list[Node], texts: dict[int, str], path: Path, form: str, dpi: int) -> None:
    from matplotlib.figure import Figure

    at = places(nodes)
    columns = 1 + 2 * max(abs(column) for column, _ in at.values())
    rows = 1 + max(row for _, row in at.values())
    high = HEIGHT + 0.18 * max(text.count("\n") for text in texts.values())
    figure = Figure((WIDTH * columns, high * rows))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-columns / 2, columns / 2), ylim=(rows - 0.5, -0.5))
    axes.axis("off")
    boxes = {}
    for call, (column, row) in at.items():
        look = {"boxstyle": "round,pad=0.4", "facecolor": "aliceblue", "edgecolor": "steelblue"}
        text = axes.text(column, row, texts[call], ha="center", va="center", fontsize=8, bbox=look)
        boxes[call] = text.get_bbox_patch()
    for node in nodes:
        for x in node.inputs:
            ends = {"patchA": boxes[id(x.node)], "patchB": boxes[id(node)], "shrinkA": 1, "shrinkB": 1}
            arrow = {"arrowstyle": "-|>", "color": "gray", **ends}
            axes.annotate("", at[id(node)], at[id(x.node)], arrowprops=arrow)
    figure.savefig(path, format=form, dpi=dpi)
