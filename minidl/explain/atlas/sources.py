"""The code of an op on its page: functions of one file, and the same work in three tiers with its lines linked."""

from __future__ import annotations

import ast
import html
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from minidl import ops
from minidl.explain.markup import highlighted, highlighted_lines

OPS = Path(ops.__file__).parent
TIERS = {"reference.py": "Reference: NumPy", "cpu.py": "CPU: Numba", "gpu.cu": "GPU: CUDA"}


def source(op: str, content: str) -> str:
    """Functions out of a file of the op's folder, written as "op.py: first, second"."""
    file, _, names = content.strip().partition(": ")
    text = _read(op, file)
    parts = [_function(text, name.strip(), f"{op}/{file}") for name in names.split(",")]
    return f'<p class="quiet">minidl/ops/{op}/{file}</p>' + highlighted("\n\n\n".join(parts), "python")


def tiers(op: str, content: str) -> str:
    """Columns of code and, above them, the steps of the work: choosing one marks the lines that do it in every column.

    `content` is TOML: `files`, the files of each column (by default the three tiers), and for each `[[step]]` a name,
    `what`, and its lines in each file; see find_lines().
    """
    settings = tomllib.loads(content)
    columns: list[list[str]] = settings.get("files", [[file] for file in TIERS])
    marks: dict[str, dict[int, list[int]]] = {file: defaultdict(list) for column in columns for file in column}
    for number, step in enumerate(settings["step"]):
        _mark(op, number, step, marks)
    buttons = "".join(
        f'<li><button type="button" data-step="{number}" aria-pressed="false">{html.escape(step["what"])}</button></li>'
        for number, step in enumerate(settings["step"])
    )
    inside = "".join(_column(op, title, column, marks) for title, column in zip(TIERS.values(), columns, strict=True))
    return f'<div class="work"><ul class="work-steps">{buttons}</ul><div class="tiers">{inside}</div></div>'


def find_lines(lines: list[str], where: str) -> range:
    """Which lines `where` means: "A" the first with A in it; "A … B" up to the next with B; "X > A" A at or behind X.

    ValueError when there are no such lines: the code has changed, and what is said of it must follow.
    """
    *before, place = where.split(" > ")
    first_text, _, last_text = place.partition(" … ")
    at = 0
    for text in before:
        at = _next_line(lines, text, at, where)
    first = _next_line(lines, first_text, at, where)
    last = _next_line(lines, last_text, first, where) if last_text else first
    return range(first, last + 1)


def _mark(op: str, number: int, step: dict[str, Any], marks: dict[str, dict[int, list[int]]]) -> None:
    for file, places in step.items():
        if file == "what":
            continue
        if file not in marks:
            raise ValueError(f"step {step['what']!r} points into {file}, which is in no column")
        lines = _read(op, file).splitlines()
        for where in [places] if isinstance(places, str) else places:
            for line in find_lines(lines, where):
                if number not in marks[file][line]:
                    marks[file][line].append(number)


def _column(op: str, title: str, files: list[str], marks: dict[str, dict[int, list[int]]]) -> str:
    parts = []
    for file in files:
        lines = highlighted_lines(_read(op, file), file.rpartition(".")[2])
        code = "".join(_line(line, marks[file].get(number, [])) for number, line in enumerate(lines))
        parts.append(f'<p class="file">{file}</p><pre class="code"><code>{code}</code></pre>')
    name = html.escape(title)
    return (
        f'<div class="tier"><h3>{name}</h3>'
        f'<div tabindex="0" role="region" aria-label="{name}, code">{"".join(parts)}</div></div>'
    )


def _line(line: str, steps: list[int]) -> str:
    linked = f' data-steps="{" ".join(map(str, steps))}"' if steps else ""
    return f'<span class="line"{linked}>{line}</span>'


def _next_line(lines: list[str], text: str, start: int, where: str) -> int:
    for number in range(start, len(lines)):
        if text.strip() in lines[number]:
            return number
    raise ValueError(f"no line with {text.strip()!r} for {where!r}: the code has changed, so change the explanation")


def _function(text: str, name: str, file: str) -> str:
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise ValueError(f"{file} defines no {name!r}: the code has changed, so change the explanation")


def _read(op: str, file: str) -> str:
    return (OPS / op / file).resolve().read_text(encoding="utf-8")
