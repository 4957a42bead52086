"""A page for each op, and an index of them all."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from minidl.explain.atlas.benchmark import benchmark, load_sessions
from minidl.explain.atlas.checks import check
from minidl.explain.atlas.figures import figure
from minidl.explain.atlas.mistakes import mistake
from minidl.explain.atlas.optimiser_steps import compared_steps, timed_steps
from minidl.explain.atlas.sources import source, tiers
from minidl.explain.atlas.times import times
from minidl.explain.markup import markdown, sections
from minidl.explain.page import Page

EXPLANATIONS = Path(__file__).parent / "explanations"

# What `minidl explain` calls each op, in the order in which they are best read -> its folder in minidl/ops
TOPICS = {
    "dense": "dense",
    "relu": "relu",
    "conv": "conv2d",
    "maxpool": "max_pool2d",
    "meanpool": "mean_pool2d",
    "batchnorm": "batch_norm",
    "dropout": "dropout",
    "softmax": "softmax",
    "crossentropy": "softmax_cross_entropy",
    "momentum": "optimiser_steps",
    "rowsums": "sum",
}


def explain_topic(topic: str, benchmarks: Path | None = None) -> Page:
    """The page of a topic, or of an op by the name of its folder. ValueError when there is no such page.

    benchmarks: results.json of `python -m benchmarks`; by default that of the checkout, where there is one.
    """
    return _page(topic, benchmarks, trail="minidl")


def build_atlas(folder: str | Path, benchmarks: Path | None = None, say: Callable[[str], None] = print) -> list[Path]:
    """Every page and index.html in `folder`, linked to one another; returns their paths."""
    paths = []
    for name, page in atlas_pages(benchmarks):
        paths.append(page.save(Path(folder, name)))
        say(str(paths[-1]))
    return paths


def atlas_pages(benchmarks: Path | None = None) -> Iterator[tuple[str, Page]]:
    """The pages of the atlas by the names of their files, which they link to one another by."""
    for topic in TOPICS:
        yield f"{topic}.html", _page(topic, benchmarks, trail=_trail(topic))
    yield "index.html", _index()


def _page(topic: str, benchmarks: Path | None, trail: str) -> Page:
    op = TOPICS.get(topic, topic)
    if op not in TOPICS.values():
        raise ValueError(f"nothing is known of {topic!r}: choose one of {', '.join(TOPICS)}")
    if benchmarks is not None:
        load_sessions(benchmarks)  # errors at once, before all that is computed on the way
    title, lead, parts = sections(_text(op))
    page = Page(title, markdown(lead), trail)
    blocks: Mapping[str, Callable[[str], str]] = {
        "figure": partial(figure, page),
        "source": partial(source, op),
        "tiers": partial(tiers, op),
        "check": check,
        "times": times,
        "steps": compared_steps,
        "step-times": timed_steps,
        "benchmark": partial(benchmark, benchmarks),
        "mistake": mistake,
    }
    for heading, body in parts:
        page.add(heading, markdown(body, blocks))
    return page


def _index() -> Page:
    page = Page("The layer atlas", "<p>Every layer with real numbers: what it computes, how its gradient comes about, "
                "and the same work in three tiers of code.</p>")  # fmt: skip
    for topic, op in TOPICS.items():
        title, lead, _ = sections(_text(op))
        page.add(title, f'{markdown(lead)}<p><a href="{topic}.html">{html.escape(title)}: open the page</a></p>')
    return page


def _trail(topic: str) -> str:
    """Links above a page's title: to the index, and to the pages before and behind it."""
    names = list(TOPICS)
    place = names.index(topic)
    links = ['<a href="index.html">Layer atlas</a>']
    if place > 0:
        links.append(f'<a href="{names[place - 1]}.html" rel="prev">← {names[place - 1]}</a>')
    if place + 1 < len(names):
        links.append(f'<a href="{names[place + 1]}.html" rel="next">{names[place + 1]} →</a>')
    return " · ".join(links)


def _text(op: str) -> str:
    return (EXPLANATIONS / f"{op}.md").read_text(encoding="utf-8")
