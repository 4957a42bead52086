"""What a network gets right and wrong: the confusion matrix, and the images it is most sure about, wrongly."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from minidl.explain.charts import as_bytes, image

WRONG = 12  # images that are shown


def confusion_matrix(believed: NDArray[Any], labels: NDArray[Any], names: Sequence[str]) -> str:
    """A table: how many images of each class (rows) were taken for which (columns).

    believed (n, classes) are probabilities, labels (n,) the right classes.
    """
    counts = numpy.zeros((len(names), len(names)), int)
    numpy.add.at(counts, (labels, believed.argmax(axis=1)), 1)
    right = counts.trace() / max(1, counts.sum())
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{"".join(_cell(count, row.sum()) for count in row)}</tr>'
        for name, row in zip(names, counts, strict=True)
    )
    return (
        f"<p>{right:.1%} of {counts.sum():,} images are right. A row is what an image shows, a column what it was "
        f'taken for.</p><div class="wide" tabindex="0" role="region" aria-label="Confusion matrix"><table>'
        f'<thead><tr><th scope="col">is \\ taken for</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def most_confidently_wrong(
    images: NDArray[Any], believed: NDArray[Any], labels: NDArray[Any], names: Sequence[str]
) -> str:
    """The wrong images (n, h, w, c) of which the network was surest, with both probabilities."""
    taken_for = believed.argmax(axis=1)
    wrong = numpy.flatnonzero(taken_for != labels)
    if not len(wrong):
        return "<p>Every image is right.</p>"
    worst = wrong[numpy.argsort(-believed[wrong, taken_for[wrong]], kind="stable")][:WRONG]
    items = []
    for k in worst:
        said, true = names[taken_for[k]], names[labels[k]]
        picture = image(as_bytes(images[k]), f"Is {true}, taken for {said}", 96)
        said, true = html.escape(said), html.escape(true)
        items.append(f"<li>{picture}<br>taken for <b>{said}</b>, {believed[k, taken_for[k]]:.0%}<br>"
                     f"is {true}, {believed[k, labels[k]]:.1%}</li>")  # fmt: skip
    return f'<ul class="gallery">{"".join(items)}</ul>'


def _cell(count: int, total: int) -> str:
    share = count / total if total else 0.0
    tint = f"background:color-mix(in oklab, var(--accent) {share * 45:.0f}%, var(--paper))"
    return f'<td class="share" style="{tint}">{count}</td>'
