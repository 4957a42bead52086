"""The one template of every page."""

import re

import pytest

from minidl.explain.page import Page, as_json


@pytest.fixture
def page():
    page = Page("Less < more", "<p>What it is about.</p>")
    page.add("First & last", "<p>one</p>")
    page.add("First & last", "<p>two</p>")
    return page


def test_a_page_has_its_title_its_sections_and_links_to_them(page):
    text = page.html()
    assert "<h1>Less &lt; more</h1>" in text
    assert "<p>What it is about.</p>" in text
    names = re.findall(r'<section id="([^"]*)"', text)
    assert len(set(names)) == 2
    assert [text.count(f'href="#{name}"') for name in names] == [1, 1]


def test_a_page_needs_no_other_file(page):
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page.html())
    assert "@import" not in page.html()
    assert "url(" not in page.html()


def test_a_script_is_put_in_once(page):
    for _ in range(2):
        page.script("let once = 1;")
    assert page.html().count("let once = 1;") == 1


def test_saving_makes_folders_and_leaves_nothing_beside(page, tmp_path):
    path = page.save(tmp_path / "new" / "page.html")
    assert path.read_text(encoding="utf-8") == page.html()
    assert list(path.parent.iterdir()) == [path]


def test_in_a_notebook_a_page_has_a_frame_of_its_own(page):
    frame = page._repr_html_()
    assert frame.startswith("<iframe")
    assert "<h1>" not in frame  # it is inside, escaped


def test_data_cannot_end_the_script_it_stands_in():
    assert "</script>" not in as_json({"text": "</script>"})
    with pytest.raises(ValueError, match="JSON"):
        as_json(float("nan"))
