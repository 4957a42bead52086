"""A small computation as a drawing: every tensor with its numbers and its gradient, and the functions between them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path

from minidl.explain.layered_layout import Layout, Place, layered_layout
from minidl.explain.markup import number
from minidl.tensor import Tensor, grad, inputs_of, op_name
from minidl.training.checkpoint import replace_file

MOST = 100  # tensors in a drawing
FEW = 4  # numbers that are written out
ROW, BOX_WIDTH, BOX_HEIGHT, MARGIN = 88, 190, 68, 16
LETTER = 7.5  # pixels that a letter of a function's name is wide, at most

_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2

_STYLE = """\
<style>
.graph { --paper: #fdfcf8; --ink: #1d2430; --panel: #f3f1ea; --line: #8a93a3; --accent: #1f5fbf; --chosen: #a51d5e; }
@media (prefers-color-scheme: dark) {
  .graph { --paper: #14181d; --ink: #e6e8ec; --panel: #1d2229; --line: #6f7a8a; --accent: #82b4ff; --chosen: #ff8fc4; }
}
.graph text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.graph .gradient { fill: var(--chosen); }
.graph .op, .graph .name { font-weight: 600; }
.graph .op { paint-order: stroke; stroke: var(--paper); stroke-width: 4; }
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
    if not isinstance(names or {}, Mapping):
        raise TypeError(f"graph: expected names as in {{'w': w}}, got a {type(names).__name__}")
    tensors = _inputs_first(y)
    labels = {id(tensor): _for_xml(name) for name, tensor in (names or {}).items()}
    unknown = [name for name, tensor in (names or {}).items() if id(tensor) not in {id(node) for node in tensors}]
    if unknown:
        raise ValueError(f"graph: {', '.join(unknown)} had no part in this computation")
    gradients = _gradients(y, tensors)
    layout = layered_layout({id(node): [id(x) for x in inputs_of(node)] for node in tensors})
    column_width = BOX_WIDTH + 50 + LETTER * max(len(op_name(node) or "") for node in tensors)
    width, height = _size(layout, column_width)
    parts = [_edges(node, layout, column_width) for node in tensors] + [
        _box(node, labels.get(id(node)), gradients.get(id(node)), _corner(layout.nodes[id(node)], column_width))
        for node in tensors
    ]
    return ComputationGraph(
        f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img" aria-label="A computation of {len(tensors)} tensors">{_STYLE}'
        f"<title>A computation, from its inputs on the left to its result on the right</title>"
        f"<desc>{_in_words(tensors, labels)}</desc>"
        f'<rect width="100%" height="100%" rx="8" fill="var(--paper)"/>{"".join(parts)}</svg>'
    )


def _for_xml(name: str) -> str:
    """A name with the characters that no document of XML can have as Python writes them, such as \\x00."""
    return _NOT_IN_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


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


def _in_words(tensors: list[Tensor], labels: Mapping[int, str]) -> str:
    """Each step as text, for those who cannot see it: h = add(b, tensor 3) = 0.5."""
    called = {id(node): labels.get(id(node), f"tensor {k}") for k, node in enumerate(tensors, start=1)}
    steps = [
        f"{called[id(node)]} = {op_name(node)}({', '.join(called[id(x)] for x in inputs_of(node))}) = {_numbers(node)}"
        for node in tensors
        if inputs_of(node)
    ]
    return html.escape("; ".join(steps) or "One tensor, not computed from others")


def _edges(node: Tensor, layout: Layout, column_width: float) -> str:
    """Lines from a tensor's inputs to the name of the function, and on to the tensor."""
    if not inputs_of(node):
        return ""
    name = op_name(node) or ""
    left, middle = _corner(layout.nodes[id(node)], column_width)
    middle += BOX_HEIGHT / 2
    op_at = left - 20 - LETTER * len(name) / 2
    lines = []
    for key in dict.fromkeys(id(x) for x in inputs_of(node)):
        x, y = _corner(layout.nodes[key], column_width)
        x, y = x + BOX_WIDTH, y + BOX_HEIGHT / 2
        path = f"M{x:.0f} {y:.0f}"
        for lane in layout.path(key, id(node)):
            start, level = _corner(lane, column_width)
            level += BOX_HEIGHT / 2
            path += f"{_bend(x, y, start, level)} H{start + BOX_WIDTH:.0f}"
            x, y = start + BOX_WIDTH, level
        lines.append(_line(path + _bend(x, y, op_at - 5, middle)))
    lines.append(_line(f"M{op_at:.0f} {middle:.0f} H{left - 1:.0f}"))
    lines.append(f'<circle cx="{op_at:.0f}" cy="{middle:.0f}" r="5" fill="var(--accent)"/>')
    lines.append(
        f'<text class="op" x="{op_at:.0f}" y="{middle - 10:.0f}" text-anchor="middle">{html.escape(name)}</text>'
    )
    return "".join(lines)


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (x + to_x) / 2
    return f"C{half:.0f} {y:.0f} {half:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"


def _line(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="var(--line)" stroke-width="1.5"/>'


def _box(node: Tensor, label: str | None, gradient: Tensor | None, corner: tuple[float, float]) -> str:
    x, y = corner
    texts = [("name", _fitting(label))] if label else []
    texts.append(("value", _numbers(node)))
    if gradient is not None:
        texts.append(("gradient", f"gradient {_numbers(gradient)}"))
    start = y + BOX_HEIGHT / 2 + 4 - 9.5 * (len(texts) - 1)
    lines = [
        f'<text class="{kind}" x="{x + 10:.0f}" y="{start + 19 * k:.0f}">{html.escape(text)}</text>'
        for k, (kind, text) in enumerate(texts)
    ]
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="var(--panel)" '
        f'stroke="var(--{"accent" if node.requires_grad else "line"})"/>{"".join(lines)}'
    )


def _fitting(label: str) -> str:
    most = int((BOX_WIDTH - 20) / LETTER)
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _numbers(x: Tensor) -> str:
    """A few numbers themselves; of many, the shape, and their mean and deviation."""
    array = x.numpy()
    if array.size == 1:
        return number(array.item())
    if array.ndim == 1 and array.size <= FEW:
        return f"[{', '.join(number(value, 3) for value in array)}]"
    mean, deviation = array.mean(dtype="float64"), array.std(dtype="float64")
    return f"{'×'.join(map(str, array.shape))}: {number(mean, 3)} ± {number(deviation, 2)}"


def _corner(place: Place, column_width: float) -> tuple[float, float]:
    column, row = place
    return MARGIN + column * column_width, MARGIN + row * ROW


def _size(layout: Layout, column_width: float) -> tuple[float, float]:
    """Width and height of the drawing."""
    corners = [_corner(place, column_width) for place in (*layout.nodes.values(), *layout.lanes.values())]
    return max(x for x, _ in corners) + BOX_WIDTH + MARGIN, max(y for _, y in corners) + BOX_HEIGHT + MARGIN
