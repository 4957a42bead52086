"""Every page of the atlas in a browser: its controls work, its numbers are the engine's, everybody can use it."""

import numpy
import pytest
from figure_numbers import EXPECTED
from page_checks import PHONE, check_it_fits_a_phone, check_it_is_small_and_asks_for_nothing, serious_faults

from minidl.explain.atlas.atlas import TOPICS, build_atlas

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    build_atlas(folder, say=lambda line: None)
    return folder


@pytest.fixture(params=[*TOPICS, "index"])
def path(atlas, request):
    return atlas / f"{request.param}.html"


def test_pages_are_small_and_ask_for_nothing(path, watched):
    check_it_is_small_and_asks_for_nothing(path, watched)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_have_no_serious_accessibility_fault(path, dark, watched):
    page, _ = watched(path, dark=dark)
    for button in page.locator("[data-step]").all():
        button.click()  # marked lines must be readable, too; the last step stays
    assert serious_faults(page) == []


def test_pages_fit_a_phone(path, watched):
    check_it_fits_a_phone(path, watched)


def test_on_a_phone_numbers_are_whole_and_what_scrolls_is_reached_by_keyboard(path, watched):
    page, _ = watched(path, width=PHONE)
    for mode in page.locator(".figure .choice button").all() or [None]:
        if mode is not None:
            mode.click()
        assert page.locator(".figure").evaluate_all(CUT_OFF) == []
        assert serious_faults(page) == []


CUT_OFF = """figures => figures.flatMap(figure => [...figure.querySelectorAll(".cell")])
    .filter(cell => cell.offsetParent && cell.scrollWidth > cell.clientWidth + 1)
    .map(cell => cell.innerHTML)"""


def test_light_and_dark_can_be_switched(atlas, watched):
    page, _ = watched(atlas / "conv.html")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) != light
    page.click("#theme")
    assert page.evaluate(paper) == light


def test_pages_lead_to_one_another(atlas, watched):
    page, wrong = watched(atlas / "index.html")
    page.click("main >> text=Convolution: open the page")
    assert page.inner_text("h1") == "Convolution"
    page.click(".trail >> text=Layer atlas")
    assert page.inner_text("h1") == "The layer atlas"
    assert wrong == []


@pytest.mark.parametrize("topic", TOPICS)
def test_choosing_a_step_marks_its_lines_in_every_column_that_has_some(topic, atlas, watched):
    page, wrong = watched(atlas / f"{topic}.html")
    for button in page.locator("[data-step]").all():
        button.click()
        step = button.get_attribute("data-step")
        marked = page.locator(".line.marked")
        assert marked.count() == page.locator(f'.line[data-steps~="{step}"]').count() > 0
        for column in page.locator(".tier > div").all():
            first = column.locator(".marked").first
            if first.count():
                outer, inner = column.bounding_box(), first.bounding_box()
                assert outer["y"] <= inner["y"] <= outer["y"] + outer["height"]
    button.click()
    assert page.locator(".line.marked").count() == 0
    page.locator(".line[data-steps]").first.click()
    assert page.locator(".line.marked").count() > 0
    assert wrong == []


@pytest.mark.parametrize("topic", TOPICS)
def test_every_control_of_a_figure_works_and_its_numbers_stay_those_of_the_engine(topic, atlas, watched):
    page, wrong = watched(atlas / f"{topic}.html")
    figures = page.locator(".figure").all()
    assert figures
    for figure in figures:
        name = figure.get_attribute("id").removeprefix("figure-")
        check_numbers(figure, name, "at the start")
        for title, actions in controls(figure):
            before, changes = shown(figure), 0
            for action in actions:
                action()
                check_numbers(figure, name, title)
                changes += shown(figure) != before
            assert changes, f"{name}: {title} changes nothing"
    assert wrong == []


def test_a_figure_goes_on_by_itself_until_it_is_paused(atlas, watched):
    page, _ = watched(atlas / "conv.html")
    figure = page.locator(".figure")
    before = shown(figure)
    page.clock.install()
    page.get_by_text("Play").click()
    page.clock.run_for(2000)
    moved = shown(figure)
    assert "Pause" in moved
    assert figure.locator('[aria-selected="true"]').first.inner_text() != ""
    assert moved.replace("Pause", "Play") != before
    page.get_by_text("Pause").click()
    stopped = shown(figure)
    page.clock.run_for(2000)
    assert shown(figure) == stopped


def test_a_figure_can_be_walked_with_the_arrow_keys(atlas, watched):
    page, _ = watched(atlas / "conv.html")
    output = page.get_by_role("grid", name="Output y")
    output.locator('[tabindex="0"]').focus()
    for key, place in [
        ("ArrowRight", "y[0, 1]"),
        ("ArrowDown", "y[1, 1]"),
        ("ArrowLeft", "y[1, 0]"),
        ("ArrowUp", "y[0, 0]"),
    ]:
        page.keyboard.press(key)
        assert page.locator(".figure .sum b").inner_text().startswith(place)
    page.keyboard.press("ArrowUp")  # the edge: nothing happens
    assert page.locator(".figure .sum b").inner_text().startswith("y[0, 0]")


@pytest.mark.parametrize("topic", ["maxpool", "meanpool"])
def test_a_pixel_of_a_pooled_image_can_be_chosen_to_see_its_gradient(topic, atlas, watched):
    page, _ = watched(atlas / f"{topic}.html")
    page.get_by_role("button", name="Gradient", exact=True).click()
    page.get_by_role("grid", name="Image x").get_by_role("gridcell").nth(8 + 3).click()
    assert page.locator(".figure .sum b").inner_text().startswith("dx[1, 3]")
    windows = page.get_by_role("grid", name="Image x").locator(".used, .partner")
    assert windows.count() == 2 * 2


def controls(figure):
    """Each control by its name, with what can be done to it; later ones are used as the earlier ones left things."""
    choices = figure.locator(".choice button").all()
    choices.sort(key=lambda button: button.get_attribute("aria-pressed") == "true")  # that one last, for a change
    for chosen in [None, *choices]:  # in each mode, everything else that can be seen then
        if chosen is not None:
            yield chosen.inner_text(), [chosen.click]
        for slider in figure.locator("input[type=range]:visible").all():
            low, high = (float(slider.get_attribute(end)) for end in ("min", "max"))
            yield label(slider), [lambda s=slider, v=v: set_slider(s, v) for v in (high, low, (low + high) / 2)]
        for menu in figure.locator("select:visible").all():
            options = menu.locator("option").evaluate_all("options => options.map(option => option.value)")
            yield label(menu), [lambda m=menu, o=o: m.select_option(o) for o in [*options[1:], options[0]]]
        for field in figure.locator("input[type=number]:visible").all()[:3]:
            yield label(field), [lambda f=field, v=v: f.fill(v) for v in ("-1.5", "2")]
        for name in ("First", "Forward", "Back"):  # from wherever the place is
            for button in figure.locator(".steps button", has_text=name).all():
                forward = figure.locator(".steps button", has_text="Forward")
                yield name, [forward.click, forward.click, button.click]
        for cell in figure.locator('[role="gridcell"]:visible').all()[-1:]:
            yield "the last cell", [cell.click, lambda c=cell: c.press("ArrowUp")]


def set_slider(slider, value):
    slider.evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def label(control):
    return control.get_attribute("aria-label")


def shown(figure):
    """Everything a reader can see of the figure."""
    return figure.evaluate("box => box.innerHTML + [...box.querySelectorAll('input, select')].map(i => i.value).join()")


def check_numbers(figure, name, when):
    numbers = figure.evaluate("box => box.numbers")
    expected = EXPECTED[name](numbers)
    assert expected
    for key, value in expected.items():
        came = numpy.array(numbers[key], "float64")
        numpy.testing.assert_allclose(came, value, rtol=1e-9, atol=1e-9, err_msg=f"{name}: {key}, {when}")
