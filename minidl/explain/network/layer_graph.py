"""The layers of a network as a drawing: shapes, parameters and multiply-adds, from the input down to the scores."""

from __future__ import annotations

import html

from minidl.explain.markup import number
from minidl.summary import Row, Summary

BOX, GAP, INDENT, WIDTH, BAR = 34, 12, 22, 980, 120


def layer_graph(summary: Summary) -> str:
    """SVG: a box for each layer, one below the other; layers inside of others stand in their frame."""
    rows = summary.rows[1:]
    most = max((row.multiply_adds or 0 for row in rows if not row.is_container), default=0)
    parts, y = [_input(summary.input_shape)], BOX + GAP
    frames: list[tuple[int, int, str]] = []  # of containers that are open: depth, where they begin, name
    for row in rows:
        while frames and frames[-1][0] >= row.depth:
            parts.append(_frame(*frames.pop(), y))
        if row.is_container:
            frames.append((row.depth, y, row.name))
            y += GAP + 14
        else:
            parts.append(_arrow(y) + _box(row, y, most))
            y += BOX + GAP
    while frames:
        parts.append(_frame(*frames.pop(), y))
    total = summary.total
    adds = "" if total.multiply_adds is None else f", {_count(total.multiply_adds)} multiply-adds for one input"
    sentence = f"{total.parameters:,} parameters{adds}."
    return (
        f'<p>{sentence} The bars show where the multiplications are.</p><div class="layers" tabindex="0" role="region" '
        f'aria-label="Graph of the layers"><svg viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" role="img" '
        f'aria-label="{len(rows)} layers; {sentence}">{"".join(parts)}</svg></div>'
    )


def _input(shape: tuple[int, ...]) -> str:
    return (
        f'<rect x="1" y="1" width="420" height="{BOX}" rx="8" fill="none" stroke="var(--muted)"/>'
        f'<text x="14" y="22">input {_shape(shape)}</text>'
    )


def _box(row: Row, y: int, most: int) -> str:
    x = 1 + INDENT * (row.depth - 1)
    weight = (row.multiply_adds or 0) / most if most else 0
    figures = [f"{row.parameters:,} parameters"] if row.parameters else []
    figures += [f"{_count(row.multiply_adds)} multiply-adds"] if row.multiply_adds else []
    return (
        f'<rect x="{x}" y="{y}" width="420" height="{BOX}" rx="8" fill="var(--panel)" stroke="var(--accent)"/>'
        f'<text x="{x + 13}" y="{y + 22}">{html.escape(_short(row.name))}</text>'
        f'<text x="470" y="{y + 22}">{_shape(row.output_shape)}</text>'
        f'<text x="610" y="{y + 22}">{" · ".join(figures)}</text>'
        f'<rect x="470" y="{y + 28}" width="{max(0.0, BAR * weight):.1f}" height="4" rx="2" fill="var(--positive)"/>'
    )


def _arrow(y: int) -> str:
    return f'<path d="M30 {y - GAP + 1} v{GAP - 4} m-4 -4 l4 4 l4 -4" fill="none" stroke="var(--muted)"/>'


def _frame(depth: int, start: int, name: str, end: int) -> str:
    x = 1 + INDENT * (depth - 1) - 6
    return (
        f'<rect x="{x}" y="{start - 2}" width="448" height="{end - start - 4}" rx="10" fill="none" '
        f'stroke="var(--muted)" stroke-dasharray="4 4"/><text x="{x + 10}" y="{start + 12}">{html.escape(name)}</text>'
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape[1:]))


def _short(name: str) -> str:
    return name if len(name) <= 54 else f"{name[:51]}..."


def _count(count: int) -> str:
    for size, word in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if count >= size:
            return f"{number(count / size, 3)} {word}"
    return str(count)
