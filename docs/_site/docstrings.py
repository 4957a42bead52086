"""Docstrings as Markdown: they are written to be read in the code, and need little to look well on a page."""

import re
import textwrap
from typing import Any

import griffe

# "data       an array, or ..." and "inputs: tensors or ...": an argument to a line, with what it means behind it
ARGUMENT = re.compile(r"(?P<name>[a-z]\w*)(?::| {2,}) *(?P<meaning>\S.*)")


class ReadableDocstrings(griffe.Extension):
    """Hands mkdocstrings the docstrings of minidl in Markdown."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """The paragraphs of a docstring: code blocks as they are, lists of arguments as lists, all else escaped."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text):
        paragraphs.append(_code(paragraph) or _list(paragraph) or _prose(paragraph))
    return "\n\n".join(paragraphs)


def _code(paragraph: str) -> str | None:
    """A block of code for examples, with comments behind them, and formulas, whose second line is indented."""
    lines = paragraph.splitlines()
    if not any(line.startswith("    ") or "  # " in line for line in lines):
        return None
    return "\n".join(["```python", *textwrap.dedent(paragraph).splitlines(), "```"])


def _list(paragraph: str) -> str | None:
    """A list where each line begins with the name of an argument, or goes on with the line before."""
    items: list[tuple[str, str]] = []
    for line in paragraph.splitlines():
        argument = ARGUMENT.fullmatch(line)
        if argument:
            items.append((argument["name"], argument["meaning"]))
        elif items:
            name, meaning = items[-1]
            items[-1] = name, f"{meaning} {line.strip()}"
        else:
            return None
    if len(items) < 2:
        return None
    return "\n".join(f"- `{name}`: {_prose(meaning)}" for name, meaning in items)


def _prose(text: str) -> str:
    """Stars and underscores stand for themselves, but not inside `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[\]|])", r"\\\1", part) for part in parts)
