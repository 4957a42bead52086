"""What must hold of every page in a browser. `watched` is the fixture of that name."""

SIZE_LIMIT = 2_000_000
PHONE = 360


def check_it_is_small_and_asks_for_nothing(path, watched):
    assert path.stat().st_size < SIZE_LIMIT
    page, wrong = watched(path)
    page.wait_for_timeout(100)
    assert wrong == []


def check_it_fits_a_phone(path, watched):
    page, _ = watched(path, width=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def serious_faults(page):
    """What axe-core finds serious or critical, each with the first element it is about."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in serious]
