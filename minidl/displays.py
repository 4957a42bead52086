"""How tensors and networks show themselves: Tensor.graph(), Chain.explain(), and what notebooks print.

They need nearly all of the framework, and tensors and layers come first; so they are added to both here.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidl.layers.chain import Chain
from minidl.tensor import Tensor, attach

if TYPE_CHECKING:
    from minidl.explain.computation import ComputationGraph
    from minidl.explain.page import Page

ROWS, COLUMNS = 12, 12  # of a matrix that a notebook shows


def graph(self: Tensor, names: Mapping[str, Tensor] | None = None) -> ComputationGraph:
    """Draw the computation that led to this tensor, with all numbers and gradients: y.graph({"w": w, "x": x}).

    A box for each tensor, with its name where `names` has one, and below its gradient: d(this tensor)/d(that one), of
    the sum where this one has several numbers. The history is kept and `.grad` left alone. Notebooks show what comes
    back; .save("graph.svg") writes it. ValueError for more than 100 tensors, or a name of a tensor that had no part.
    """
    from minidl.explain.computation import computation_graph

    return computation_graph(self, names)


def explain(self: Chain, x: Any, labels: Any | None = None) -> Page:
    """A page on this network and a batch x (n, ...) of two inputs or more: its layers, how the signal fares on its way
    forward and the gradient on its way back, and, for images, what it looks at and gets wrong.

    labels (n,) are the right classes, whole numbers from 0; without them, those that the network chooses. Notebooks
    show the page; .save("network.html") writes it. Leaves the network as it was.
    """
    from minidl.explain.network.pages import explain_model

    return explain_model(self, x, labels)


def _tensor_as_html(self: Tensor) -> str:
    """A small matrix as a table; of anything else what print() shows."""
    array = self.numpy()
    if array.ndim not in (1, 2) or array.size == 0 or array.shape[-1] > COLUMNS or len(array) > max(ROWS, COLUMNS):
        return f"<pre>{html.escape(repr(self))}</pre>"
    rows = "".join(
        f"<tr>{''.join(f'<td>{value:.4g}</td>' for value in row)}</tr>" for row in array.reshape(-1, array.shape[-1])
    )
    gradient = ", requires a gradient" if self.requires_grad else ""
    return f"<table>{rows}</table><small>{self.shape}, {self.dtype}, {self.backend.name}{gradient}</small>"


def _chain_as_html(self: Chain) -> str:
    """The code of the network, coloured."""
    from minidl.explain.markup import highlighted, highlighting_style

    return f"<style>{highlighting_style()}</style>{highlighted(repr(self), 'python')}"


attach(graph=graph, _repr_html_=_tensor_as_html)
Chain.explain = explain  # type: ignore[method-assign]
Chain._repr_html_ = _chain_as_html  # type: ignore[method-assign]
