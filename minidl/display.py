"""How the command shows things: tables and pictures, on terminals and elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.color import Color
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.style import Style
from rich.table import Table
from rich.text import Text

from minidl.prediction import Prediction
from minidl.summary import Row, Summary

MIB = 2**20


def print_table(console: Console, table: Table) -> None:
    """Where output is no terminal: without lines, and as wide as it needs, so that each row is one line of text."""
    if not console.is_terminal:
        table.box, table.pad_edge = None, False
        wide = console.options.update(width=100_000)
        console.width = max(console.width, Measurement.get(console, wide, table).maximum)
    console.print(table)


def print_summary(console: Console, summary: Summary, optimiser: str) -> None:
    """A row for each layer, indented by what it is inside of, and the totals."""
    table = Table("layer", "output", box=box.SIMPLE_HEAD)
    for title in ("parameters", "multiply-adds", "activations, MiB", "weights, MiB"):
        table.add_column(title, justify="right")
    for row in summary.rows[1:]:
        table.add_row("  " * (row.depth - 1) + escape(row.name), *_figures(row))
    table.add_section()
    table.add_row("total", *_figures(summary.total), style="bold")
    print_table(console, table)
    for line in (
        f"For batches {summary.input_shape}. Layers that hold others have their sum.",
        "Multiply-adds are those of convolutions and dense layers, for one input.",
        "Memory of training: activations are what layers make and the backward pass needs; weights count with their "
        f"gradients and what {optimiser} remembers.",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _figures(row: Row) -> tuple[str, ...]:
    return (
        str(row.output_shape), f"{row.parameters:,}", "?" if row.multiply_adds is None else f"{row.multiply_adds:,}",
        f"{row.activation_bytes / MIB:,.1f}", f"{row.parameter_bytes / MIB:,.1f}",
    )  # fmt: skip


def print_prediction(console: Console, prediction: Prediction, top: int, with_picture: bool) -> None:
    """The image's name and its most probable classes; on a terminal, if asked for, what the network was given."""
    seen, (width, height) = prediction.picture, prediction.picture.size
    pixels_high, pixels_wide, _ = seen.pixels.shape
    resized = f" ({width} x {height} pixels: the square in the middle, as {pixels_wide} x {pixels_high})"
    name = seen.path + (resized if (width, height) != (pixels_wide, pixels_high) else "")
    console.print(name, markup=False, soft_wrap=True)
    if with_picture and console.is_terminal:
        console.print(picture(seen.pixels), end="")
    for name, probability in prediction.classes[:top]:
        console.print(f"  {name:<12}{probability:8.2%}", markup=False)


def picture(pixels: NDArray[np.uint8]) -> Text:
    """An image (h, w, 3) uint8 as text: each character is two pixels, its upper half in front of its background."""
    text = Text()
    for top in range(0, len(pixels), 2):
        upper, lower = pixels[top], pixels[top + 1] if top + 1 < len(pixels) else None
        for column in range(pixels.shape[1]):
            below = None if lower is None else _colour(lower[column])
            text.append("▀", Style(color=_colour(upper[column]), bgcolor=below))
        text.append("\n")
    return text


def _colour(rgb: Any) -> Color:
    return Color.from_rgb(*map(int, rgb))
