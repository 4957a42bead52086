"""Take the pictures of README.md: python docs/pictures/take.py (needs the extra `test` and Chromium).

What they show is made anew: two pages of the atlas, and the page of a short run of the article's network.
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from minidl import cli
from minidl.explain.atlas.atlas import explain_topic

HERE = Path(__file__).parent


def take(page: Page, path: Path, section: str, name: str, prepare: str = "") -> None:
    """A picture of one section, after some JavaScript that brings the page to where it should be."""
    page.goto(path.as_uri())
    if prepare:
        page.evaluate(f"() => {{ {prepare} }}")
    page.locator(f"#{section}").screenshot(path=HERE / f"{name}.png")


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        forward = "document.querySelectorAll('.steps button')[2].click();"
        conv = explain_topic("conv").save(Path(folder, "conv.html"))
        take(page, conv, "try-it", "convolution", forward * 14)
        step = "document.querySelectorAll('[data-step]')[2].click();"
        pool = explain_topic("maxpool").save(Path(folder, "maxpool.html"))
        take(page, pool, "three-tiers", "three-tiers", step.replace("[2]", "[1]"))
        run, out = str(Path(folder, "run")), str(Path(folder, "run.html"))
        cli.main(["train", "article_keras", "--data", "digits", "--limit", "640", "--epochs", "1", "--out", run])
        cli.main(["explain", "run", run, "--images", "20", "--out", out])
        take(page, Path(out), "the-signal-layer-by-layer", "dead-signal")
        browser.close()


if __name__ == "__main__":
    main()
