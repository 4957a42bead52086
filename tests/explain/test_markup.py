"""Markdown, formulas, code and tables as HTML."""

import pytest

from minidl.explain.markup import (
    Html,
    code,
    highlighted,
    highlighted_lines,
    highlighting_style,
    markdown,
    number,
    sections,
    table,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*so* it is", "<em>so</em>"),
        ("with $x^2$ inside", '<msup><mi>x</mi><mn>2</mn></msup>'),
        ("$$\\frac{a}{b}$$", 'display="block"'),
        ("| a |\n|---|\n| 1 |", "<td>1</td>"),
        ("```python\nx = 1\n```", '<span class="mi">1</span>'),
        ("```\nx < 1\n```", "x &lt; 1"),
        ("<script>alert(1)</script>", "&lt;script&gt;"),
        ("```loud\nhush\n```", "<b>HUSH</b>"),
    ],
)  # fmt: skip
def test_markdown(text, expected):
    assert expected in markdown(text, {"loud": lambda content: f"<b>{content.strip().upper()}</b>"})


def test_sections_are_cut_at_their_headings_and_not_inside_of_code():
    title, lead, parts = sections("# Title\n\nThe lead.\n\n## One\n\n```python\n## no heading\n```\n\n## Two\n\nEnd.\n")
    assert title == "Title"
    assert lead.strip() == "The lead."
    assert [heading for heading, _ in parts] == ["One", "Two"]
    assert "## no heading" in parts[0][1]


@pytest.mark.parametrize("text", ["", "no heading", "## Two\n\nfirst", "# One\n\n# Another\n"])
def test_a_text_without_one_title_is_refused(text):
    with pytest.raises(ValueError, match="begins with one heading #"):
        sections(text)


@pytest.mark.parametrize(
    ("code", "language"), [('"""Two\nlines."""\nx = 1\n', "py"), ("/* Two\nlines. */\nint x;\n", "cu")]
)
def test_lines_of_code_are_whole_each_by_itself(code, language):
    lines = highlighted_lines(code, language)
    assert len(lines) == 3
    for line in lines:
        assert line.count("<span") == line.count("</span>")


def test_code_keeps_its_first_lines_and_escapes():
    assert highlighted_lines("\n\nx", "py")[:2] == ["", ""]
    assert "&lt;" in highlighted("a < b", "python")


def test_every_colour_is_one_for_light_and_one_for_dark():
    rules = [line for line in highlighting_style().splitlines() if line]
    assert len(rules) > 10
    assert all("light-dark(" in rule for rule in rules)


def test_tables_head_their_columns_and_rows():
    made = table(["a<b", "c"], [["<i>row</i>", "1"]], "What it is")
    for part in ("<caption>What it is", '<th scope="col">a&lt;b', '<th scope="row">&lt;i&gt;row', "<td>1</td>"):
        assert part in made


def test_cells_of_tables_are_escaped_unless_they_are_html():
    made = table(["a"], [["<script>", "<b>", Html("<i>x</i>"), code("a < b")]], "<script>")
    for part in ("&lt;script&gt;</th>", "<td>&lt;b&gt;", "<td><i>x</i>", "<td><code>a &lt; b</code>"):
        assert part in made
    assert "<script>" not in made


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, "1"), (-0.25, "−0.25"), (2.3e-8, "2.3e−8"), (1e12, "1e12"), (123.456, "123.5")]
)
def test_numbers(value, expected):
    assert number(value) == expected
