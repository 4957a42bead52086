"""A small computation as a drawing: every tensor with its numbers and its gradient, and the functions between them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path

import numpy

from minidl.explain.markup import number
from minidl.tensor import Tensor, grad, inputs_of, op_name
from minidl.training.checkpoint import replace_file

MOST = 100  # tensors in a drawing
FEW = 4  # numbers that are written out
COLUMN, ROW, BOX_WIDTH, BOX_HEIGHT, MARGIN = 250, 76, 170, 56, 16

_STYLE = """\
<style>
.graph { --ink: #1d2430; --panel: #f3f1ea; --line: #8a93a3; --accent: #1f5fbf; --chosen: #a51d5e; }
@media (prefers-color-scheme: dark) {
  .graph { --ink: #e6e8ec; --panel: #1d2229; --line: #6f7a8a; --accent: #82b4ff; --chosen: #ff8fc4; }
}
.graph text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.graph .gradient { fill: var(--chosen); }
.graph .op { font-weight: 600; }
</style>"""


class ComputationGraph:
    """The drawing of a computation; notebooks show it, save() writes it as an SVG file. `svg` is its text."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Write the drawing to a file, beside and renamed; returns its path."""
        replace_file(Path(path), lambda temporary: temporary.write_text(self.svg, encoding="utf-8"))
        return Path(path)


def computation_graph(y: Tensor, names: Mapping[str, Tensor] | None = None) -> ComputationGraph:
    """Draw what y was computed from; see Tensor.graph()."""
    tensors = _inputs_first(y)
    labels = {id(tensor): name for name, tensor in (names or {}).items()}
    unknown = [name for name, tensor in (names or {}).items() if id(tensor) not in {id(node) for node in tensors}]
    if unknown:
        raise ValueError(f"graph: {', '.join(unknown)} had no part in this computation")
    gradients = _gradients(y, tensors)
    places = _places(tensors)
    width = max(column for column, _ in places.values()) * COLUMN + BOX_WIDTH + 2 * MARGIN
    height = max(row for _, row in places.values()) * ROW + BOX_HEIGHT + 2 * MARGIN
    parts = [_edges(node, places) for node in tensors] + [
        _box(node, labels.get(id(node)), gradients.get(id(node)), places[id(node)]) for node in tensors
    ]
    return ComputationGraph(
        f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img" aria-label="A computation of {len(tensors)} tensors">{_STYLE}'
        f"<title>A computation, from its inputs on the left to its result on the right</title>{''.join(parts)}</svg>"
    )


def _inputs_first(y: Tensor) -> list[Tensor]:
    """Every tensor that y was computed from, each one after its own inputs, and y."""
    order: list[Tensor] = []
    seen: set[int] = set()
    waiting = [(y, False)]
    while waiting:
        node, inputs_done = waiting.pop()
        if inputs_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting += [(node, True), *((x, False) for x in reversed(inputs_of(node)))]
        if len(seen) > MOST:
            raise ValueError(f"graph: expected a computation of at most {MOST} tensors, got more; draw a part of it")
    return order


def _gradients(y: Tensor, tensors: list[Tensor]) -> dict[int, Tensor]:
    """d(sum of y)/d(tensor) for each; the history is kept, and .grad left alone."""
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    if not wanted:
        return {}
    total = y if y.size == 1 else y.sum()
    return {id(x): dx for x, dx in zip(wanted, grad(total, wanted, create_graph=True), strict=True)}


def _places(tensors: list[Tensor]) -> dict[int, tuple[float, float]]:
    """(column, row) of each tensor: behind its inputs, at the mean of their rows, with nothing on top of one another.

    An input of the whole computation stands right before the first function that uses it.
    """
    columns: dict[int, int] = {}
    for node in tensors:  # inputs first
        columns[id(node)] = max((columns[id(x)] + 1 for x in inputs_of(node)), default=0)
    for node in tensors:
        uses = [columns[id(user)] for user in tensors if any(x is node for x in inputs_of(user))]
        if not inputs_of(node) and uses:
            columns[id(node)] = min(uses) - 1
    rows: dict[int, float] = {}
    for column in range(max(columns.values()) + 1):
        here = [node for node in tensors if columns[id(node)] == column]
        wish = {
            id(node): float(numpy.mean([rows[id(x)] for x in inputs_of(node) if id(x) in rows]))
            if inputs_of(node)
            else k
            for k, node in enumerate(here)
        }
        free = 0.0
        for node in sorted(here, key=lambda node: wish[id(node)]):
            rows[id(node)] = max(free, wish[id(node)])
            free = rows[id(node)] + 1
    return {key: (columns[key], rows[key]) for key in columns}


def _edges(node: Tensor, places: dict[int, tuple[float, float]]) -> str:
    """Lines from a tensor's inputs to the name of the function, and on to the tensor."""
    if not inputs_of(node):
        return ""
    left, middle = _corner(places[id(node)])
    middle += BOX_HEIGHT / 2
    op_at = left - 38
    lines = []
    for x in inputs_of(node):
        corner, top = _corner(places[id(x)])
        start, level = corner + BOX_WIDTH, top + BOX_HEIGHT / 2
        bend = f"C{start + 26:.0f} {level:.0f} {op_at - 40:.0f} {middle:.0f} {op_at - 8:.0f} {middle:.0f}"
        lines.append(_line(f"M{start:.0f} {level:.0f} {bend}"))
    name = html.escape(op_name(node) or "")
    lines.append(_line(f"M{op_at - 8:.0f} {middle:.0f} H{left - 1:.0f}"))
    lines.append(f'<circle cx="{op_at:.0f}" cy="{middle:.0f}" r="5" fill="var(--accent)"/>')
    lines.append(f'<text class="op" x="{op_at:.0f}" y="{middle - 10:.0f}" text-anchor="middle">{name}</text>')
    return "".join(lines)


def _line(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="var(--line)" stroke-width="1.5"/>'


def _box(node: Tensor, label: str | None, gradient: Tensor | None, place: tuple[float, float]) -> str:
    x, y = _corner(place)
    lines = [f'<text x="{x + 10:.0f}" y="{y + 22:.0f}">{_told(node, label)}</text>']
    if gradient is not None:
        lines.append(f'<text class="gradient" x="{x + 10:.0f}" y="{y + 42:.0f}">gradient {_numbers(gradient)}</text>')
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="var(--panel)" '
        f'stroke="var(--{"accent" if node.requires_grad else "line"})"/>{"".join(lines)}'
    )


def _told(node: Tensor, label: str | None) -> str:
    name = f"{html.escape(label)} = " if label else ""
    return name + _numbers(node)


def _numbers(x: Tensor) -> str:
    """A few numbers themselves; of many, the shape, and their mean and deviation."""
    array = x.numpy()
    if array.size == 1:
        return number(array.item())
    if array.ndim == 1 and array.size <= FEW:
        return f"[{', '.join(number(value, 3) for value in array)}]"
    return f"{'×'.join(map(str, array.shape))}: {number(array.mean(), 3)} ± {number(array.std(), 2)}"


def _corner(place: tuple[float, float]) -> tuple[float, float]:
    column, row = place
    return MARGIN + column * COLUMN, MARGIN + row * ROW
