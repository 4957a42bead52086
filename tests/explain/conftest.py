"""A browser, where there is one: Chromium, driven by Playwright; where MINIDL_REQUIRE_BROWSER is set, there must be."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def chromium():
    missing = _missing()
    if missing:
        (pytest.fail if os.environ.get("MINIDL_REQUIRE_BROWSER") else pytest.skip)(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_executable(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def watched(chromium):
    """watched(path, width=..., dark=...) -> a page in the browser, and the list of all that went wrong on it so far."""
    contexts = []

    def open_page(path, width=1280, dark=False):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", offline=True
        )
        contexts.append(context)
        page, wrong = context.new_page(), []
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
        )
        page.goto(path.as_uri())
        return page, wrong

    yield open_page
    for context in contexts:
        context.close()


def _executable():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _missing():
    try:
        import axe_playwright_python
        import playwright  # noqa: F401
    except ImportError as error:
        return f"looks at pages in a browser: {error}"
    return None if _executable() else f"looks at pages in a browser: no Chromium here (axe {axe_playwright_python})"
