"""The page of a run in a browser: everybody can use it, and it needs nothing else."""

import pytest
from page_checks import check_it_fits_a_phone, check_it_is_small_and_asks_for_nothing, serious_faults

from minidl.explain.network.pages import explain_run

pytestmark = pytest.mark.browser


@pytest.fixture
def path(finished_run, tiny_runs, tmp_path):
    return explain_run(finished_run, images=60).save(tmp_path / "run.html")


def test_the_page_is_small_and_asks_for_nothing(path, watched):
    check_it_is_small_and_asks_for_nothing(path, watched)


def test_the_page_fits_a_phone(path, watched):
    check_it_fits_a_phone(path, watched)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_has_no_serious_accessibility_fault(path, dark, watched):
    page, _ = watched(path, dark=dark)
    assert serious_faults(page) == []


def test_every_picture_is_shown(path, watched):
    page, _ = watched(path)
    sizes = page.locator("img").evaluate_all("images => images.map(image => [image.naturalWidth, image.alt])")
    assert len(sizes) > 20
    assert all(width > 0 and alt for width, alt in sizes)


def test_a_drawing_of_a_computation_can_be_read_in_the_dark(tmp_path, watched):
    from minidl import Tensor

    x = Tensor([2.0], requires_grad=True)
    (x * x).graph({"x": x}).save(tmp_path / "graph.svg")
    colours = set()
    for dark in (False, True):
        page, wrong = watched(tmp_path / "graph.svg", dark=dark)
        colours.add(page.evaluate("getComputedStyle(document.querySelector('text')).fill"))
        assert wrong == []
    assert len(colours) == 2
