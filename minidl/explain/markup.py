"""Markdown, formulas and code as HTML, by libraries: markdown-it, latex2mathml and Pygments."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.styles import get_style_by_name

Block = Callable[[str], str]  # from what stands in a fenced block to HTML


def markdown(text: str, blocks: Mapping[str, Block] | None = None) -> str:
    """Markdown as HTML. $...$ and $$...$$ are formulas in LaTeX; fenced blocks are code of the language they name.

    `blocks` says what becomes of fenced blocks by the word behind the fence, before it is taken for a language.
    """
    return str(_parser(blocks or {}).render(text))


def sections(text: str) -> tuple[str, str, list[tuple[str, str]]]:
    """A Markdown text cut at its headings: the title behind #, the lead under it, and (heading, body) for each ##."""
    tokens = MarkdownIt("commonmark").parse(text)
    lines = text.splitlines(keepends=True)
    cuts = [
        (token.tag, token.map[0], token.map[1], tokens[i + 1].content)
        for i, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag in ("h1", "h2") and token.map
    ]
    if not cuts or cuts[0][0] != "h1" or any(tag == "h1" for tag, *_ in cuts[1:]):
        raise ValueError("expected a text that begins with one heading #, and sections under headings ##")
    ends = [start for _, start, _, _ in cuts[1:]] + [len(lines)]
    bodies = ["".join(lines[first:end]) for (_, _, first, _), end in zip(cuts, ends, strict=True)]
    return cuts[0][3], bodies[0], [(cut[3], body) for cut, body in zip(cuts[1:], bodies[1:], strict=True)]


def formula(latex: str, display: bool = False) -> str:
    """LaTeX as MathML, which browsers draw themselves."""
    return convert(latex, display="block" if display else "inline")


def highlighted(code: str, language: str) -> str:
    """Code with its words marked for colour; it scrolls in a box of its own when it is wide."""
    lines = "\n".join(highlighted_lines(code, language))
    return f'<pre class="code" tabindex="0"><code>{lines}</code></pre>'


def highlighted_lines(code: str, language: str) -> list[str]:
    """The same line by line: each is HTML of its own, for a page that has to point at lines."""
    lexer = get_lexer_by_name({"cu": "cuda", "cuh": "cuda", "py": "python"}.get(language, language), stripnl=False)
    return str(highlight(code.rstrip("\n"), lexer, HtmlFormatter(nowrap=True))).rstrip("\n").split("\n")


class Html(str):
    """Text that is HTML already. Where plain text is expected too, everything else is escaped."""

    __slots__ = ()


def code(text: str) -> Html:
    """Text in the type of code, on its line."""
    return Html(f"<code>{html.escape(text)}</code>")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Rows under a header; the first cell of a row is its heading. Scrolls when it is wide.

    Cells are plain text, or Html.
    """
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{_escaped(row[0])}</th>{"".join(f"<td>{_escaped(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    start = _start_of_table(caption or "Table")
    return f"{start}{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{_END_OF_TABLE}"


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(text)


def _start_of_table(name: str) -> str:
    """In a box that scrolls where the table is too wide."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{html.escape(name, quote=True)}"><table>'


_END_OF_TABLE = "</table></div>"


def number(value: float, digits: int = 4) -> str:
    """A number as people read it: no more digits than say something, and a real minus sign."""
    written, e, exponent = f"{value:.{digits}g}".partition("e")
    return (written + e + (str(int(exponent)) if e else "")).replace("-", "−")


@cache
def highlighting_style() -> str:
    """The colours of code: for each kind of word one on light and one on dark ground, as the browser asks for."""
    light, dark = dict(get_style_by_name("xcode")), dict(get_style_by_name("github-dark"))
    rules = []
    for kind, name in HtmlFormatter().ttype2class.items():
        day, night = light.get(kind), dark.get(kind)
        if not name or day is None or night is None or not (day["color"] or night["color"]):
            continue
        colours = [f"#{style['color']}" if style["color"] else "var(--ink)" for style in (day, night)]
        bold = "font-weight:600" if day["bold"] else ""
        rules.append(f".code .{name}{{color:light-dark({colours[0]},{colours[1]});{bold}}}")
    return "\n".join(rules)


def _parser(blocks: Mapping[str, Block]) -> MarkdownIt:
    def fence(renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
        word, content = tokens[index].info.strip(), tokens[index].content
        if word in blocks:
            return blocks[word](content)
        return highlighted(content, word) if word else f'<pre tabindex="0"><code>{html.escape(content)}</code></pre>'

    def formula_in_a_box(renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
        # where it is too wide it scrolls: tabindex, so that the arrow keys can do it
        return (
            f'<div class="math block" tabindex="0">\n{formula(tokens[index].content.strip(), display=True)}\n</div>\n'
        )

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.use(dollarmath_plugin, renderer=lambda latex, options: formula(latex, options["display_mode"]))
    parser.add_render_rule("fence", fence)
    parser.add_render_rule("math_block", formula_in_a_box)
    parser.add_render_rule("table_open", lambda *_: _start_of_table("Table"))
    parser.add_render_rule("table_close", lambda *_: _END_OF_TABLE)
    return parser
