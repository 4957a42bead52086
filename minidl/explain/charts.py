"""Small pictures for pages: lines as SVG, and arrays as PNG inside the page. Colours are those of the page."""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from minidl.explain.markup import number

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 300, 64, 40, 14, 16
COLOURS = ("var(--accent)", "var(--positive)", "var(--chosen)", "var(--muted)", "var(--negative)")
DASHES = ("", "6 4", "2 3", "10 3 2 3", "1 4")  # so that lines differ without colour, too


def line_chart(
    title: str,
    lines: Mapping[str, Points],
    across: str,
    up: str,
    log: bool = False,
    level: tuple[float, str] | None = None,
) -> str:
    """Named lines through points (x, y), as a figure of HTML. With `log`, up is in powers of ten; 0 counts as none.

    across and up say what the axes are. level, (y, what it means), is drawn as a line right across.
    """
    kept = {
        name: [(x, y) for x, y in points if math.isfinite(y) and (y > 0 or not log)] for name, points in lines.items()
    }
    every = [point for points in kept.values() for point in points]
    if not every:
        return f'<p class="quiet">{html.escape(title)}: nothing to show.</p>'
    from_x, to_x = min(x for x, _ in every), max(x for x, _ in every)
    ticks_x = [x for x in _ticks(from_x, to_x, whole=True) if from_x <= x <= to_x]
    sizes = [y for _, y in every] + ([level[0]] if level else [])
    ticks_y = _powers(sizes) if log else _ticks(min(sizes), max(sizes))

    def place(x: float, y: float) -> tuple[float, float]:
        low, high = (math.log10(ticks_y[0]), math.log10(ticks_y[-1])) if log else (ticks_y[0], ticks_y[-1])
        part = ((math.log10(y) if log else y) - low) / (high - low)
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * ((x - from_x) / (to_x - from_x) if to_x > from_x else 0.5),
            HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * part,
        )

    parts = [_axis(ticks_x, ticks_y, place)]
    if level:
        parts.append(_level(place(from_x, level[0])[1], level[1]))
    for k, points in enumerate(kept.values()):
        places = [place(x, y) for x, y in points]
        path = " ".join(f"{right:.1f},{down:.1f}" for right, down in places)
        dash = f' stroke-dasharray="{DASHES[k % len(DASHES)]}"' if DASHES[k % len(DASHES)] else ""
        colour = COLOURS[k % len(COLOURS)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.2"{dash}/>')
        if len(points) < 30:
            parts += [f'<circle cx="{right:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>' for right, down in places]
    described = html.escape(f"{title}: {', '.join(kept)}", quote=True)
    legend = "".join(
        f'<li><svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true"><line x1="0" x2="28" y1="4" y2="4" '
        f'stroke="{COLOURS[k % len(COLOURS)]}" stroke-width="3" stroke-dasharray="{DASHES[k % len(DASHES)]}"/></svg> '
        f"{html.escape(name)}</li>"
        for k, name in enumerate(kept)
    )
    picture = (
        f'<div class="wide" tabindex="0" role="region" aria-label="{html.escape(title, quote=True)}">'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{described}">'
        f'{"".join(parts)}<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">{html.escape(across)}</text>'
        "</svg></div>"
    )
    heading = f'{html.escape(title)} <span class="quiet">({html.escape(up)})</span>'
    return f'<figure class="chart"><figcaption>{heading}</figcaption><ul class="legend">{legend}</ul>{picture}</figure>'


def image(pixels: NDArray[Any], description: str, width: int, height: int | None = None) -> str:
    """Pixels (h, w, 3 or 4) uint8 as an <img> of that width on the page, with sharp edges; height by default to fit."""
    described, high = html.escape(description, quote=True), height or width * pixels.shape[0] // pixels.shape[1]
    return f'<img class="pixels" src="{png(pixels)}" alt="{described}" width="{width}" height="{high}">'


def as_bytes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Colours from 0 to 1 as bytes; one channel becomes grey, of more than three the first three are shown."""
    if pixels.shape[2] < 3:
        pixels = pixels[..., :1].repeat(3, axis=2)
    return (pixels[..., :3].clip(0, 1) * 255).round().astype(numpy.uint8)


def png(pixels: NDArray[Any]) -> str:
    """Pixels (h, w, 3 or 4) uint8 as a PNG in a data URI (PNG specification, W3C 2003: 8 bits, no filter)."""
    h, w, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in numpy.ascontiguousarray(pixels, numpy.uint8))
    header = struct.pack(">IIBBBBB", w, h, 8, 6 if channels == 4 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()


def heat(values: NDArray[Any], colour: tuple[int, int, int] = (217, 119, 6)) -> NDArray[Any]:
    """Numbers (h, w) from 0 to 1 as pixels (h, w, 4): one colour, the more opaque the larger, on any ground."""
    pixels = numpy.empty((*values.shape, 4), numpy.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = (values.clip(0, 1) * 255).round()
    return pixels


def _axis(ticks_x: Sequence[float], ticks_y: Sequence[float], place: Any) -> str:
    parts = []
    digits = _digits(ticks_y)
    for y in ticks_y:
        _, up = place(ticks_x[0], y)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up:.1f}" y2="{up:.1f}" stroke="var(--line)"/>'
                     f'<text x="{LEFT - 8}" y="{up + 4:.1f}" text-anchor="end">{number(y, digits)}</text>')  # fmt: skip
    for x in ticks_x:
        across, _ = place(x, ticks_y[0])
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number(x)}</text>')
    return "".join(parts)


def _level(up: float, meaning: str) -> str:
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up:.1f}" y2="{up:.1f}" stroke="var(--negative)" '
        f'stroke-dasharray="3 3"/><text x="{WIDTH - RIGHT}" y="{up - 6:.1f}" text-anchor="end">'
        f"{html.escape(meaning)}</text>"
    )


def _digits(ticks: Sequence[float]) -> int:
    """How many significant digits tell the ticks apart."""
    return next((digits for digits in range(4, 16) if len({number(y, digits) for y in ticks}) == len(ticks)), 16)


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Round numbers that reach from at most `low` to at least `high`, at most nine of them."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2, 5) if span / (step * part) <= 7)
    step = max(1.0, round(step)) if whole else step
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * k for k in range(first, max(last, first + 1) + 1)]


def _powers(values: Sequence[float]) -> list[float]:
    """Powers of ten around the values, at most nine of them."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    step = max(1, math.ceil((high - low) / 8))
    return [10.0**power for power in range(low, max(high, low + 1) + step, step)]
