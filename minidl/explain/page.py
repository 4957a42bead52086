"""The one template of every page: a file of HTML that needs nothing but a browser, no network and no other file."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from minidl.explain.markup import highlighting_style
from minidl.training.checkpoint import replace_file

FOLDER = Path(__file__).parent

_TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · minidl</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header>
<p class="trail">{trail}</p>
<button id="theme" type="button" aria-label="Light or dark"></button>
</header>
<main id="content">
<h1>{title}</h1>
{lead}
{contents}
{sections}
</main>
<footer><p>Made by minidl from its own code. What is measured, checked and drawn was computed for it.</p></footer>
<script>
{script}
</script>
</body>
</html>
"""


class Page:
    """Sections under a title, which become one file of HTML: light and dark, for a screen of any width.

        page = Page("Convolution", "<p>Slide filters over images.</p>")
        page.add("Shapes", "<p>...</p>")
        page.save("conv.html")

    title is plain text; lead and the bodies of sections are HTML. `trail` is what stands above the title, HTML as well.
    """

    def __init__(self, title: str, lead: str = "", trail: str = "minidl") -> None:
        self.title, self.lead, self.trail = title, lead, trail
        self.sections: list[tuple[str, str]] = []
        self.scripts: list[str] = []

    def add(self, heading: str, body: str) -> None:
        """A section: its heading as plain text, its body as HTML."""
        self.sections.append((heading, body))

    def script(self, javascript: str) -> None:
        """JavaScript that runs when the page has been read; the same text twice is put in once."""
        if javascript not in self.scripts:
            self.scripts.append(javascript)

    def html(self) -> str:
        """The whole page."""
        names = _anchors([heading for heading, _ in self.sections])
        sections = [
            f'<section id="{name}" aria-labelledby="{name}-heading">\n'
            f'<h2 id="{name}-heading">{html.escape(heading)}</h2>\n{body}\n</section>'
            for name, (heading, body) in zip(names, self.sections, strict=True)
        ]
        links = [
            f'<li><a href="#{name}">{html.escape(heading)}</a></li>'
            for name, (heading, _) in zip(names, self.sections, strict=True)
        ]
        contents = f'<nav aria-label="On this page"><ul>{"".join(links)}</ul></nav>' if links else ""
        return _TEMPLATE.format(
            title=html.escape(self.title),
            trail=self.trail,
            lead=self.lead,
            contents=contents,
            sections="\n".join(sections),
            style=_read("page.css") + highlighting_style(),
            script="\n".join([_read("page.js"), *self.scripts]),
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, beside and renamed; returns its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.html().encode("utf-8", "backslashreplace")  # names of files may have any characters
        replace_file(path, lambda temporary: temporary.write_bytes(text))
        return path

    def _repr_html_(self) -> str:
        """The page inside a notebook, in a frame of its own, so that neither changes the other's style."""
        title, page = html.escape(self.title), html.escape(self.html())
        return f'<iframe title="{title}" srcdoc="{page}" style="width:100%;height:640px;border:0"></iframe>'


def as_json(value: Any) -> str:
    """`value` as JSON that may stand inside a <script>: no text in it can end the script."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _anchors(headings: list[str]) -> list[str]:
    """A name for each heading that links can point to; each once."""
    names: list[str] = []
    for heading in headings:
        name = "-".join("".join(c if c.isalnum() else " " for c in heading.lower()).split()) or "section"
        names.append(name if name not in names else f"{name}-{len(names)}")
    return names


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
