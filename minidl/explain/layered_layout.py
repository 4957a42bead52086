"""Where the nodes of a computation stand in a drawing: in columns, each behind all that it was computed from.

An edge that skips columns gets a lane of its own in each of them, so that it does not run beneath a node (Sugiyama,
Tagawa and Toda 1981).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import TypeAlias

Node: TypeAlias = Hashable
Place: TypeAlias = tuple[int, float]  # column, row

SWEEPS = 4  # over the columns, to and fro


@dataclass(frozen=True)
class Layout:
    """The place of each node, and of each lane: (node, column), where the edges out of that node cross a column."""

    nodes: dict[Node, Place]
    lanes: dict[Node, Place]

    def path(self, source: Node, target: Node) -> list[Place]:
        """The lanes that an edge goes through, from the source to the column of the target."""
        first, last = self.nodes[source][0] + 1, self.nodes[target][0]
        return [self.lanes[source, column] for column in range(first, last)]


def layered_layout(inputs: Mapping[Node, Sequence[Node]]) -> Layout:
    """Places for nodes, each with its inputs; nodes come after their inputs. No two have the same place."""
    columns = _columns(inputs)
    lanes: dict[Node, int] = {
        (source, column): column
        for node in inputs
        for source in inputs[node]
        for column in range(columns[source] + 1, columns[node])
    }
    behind: dict[Node, list[Node]] = {key: [] for key in (*columns, *lanes)}  # what stands one column before it
    for node in inputs:
        for source in inputs[node]:
            through = [source, *((source, column) for column in range(columns[source] + 1, columns[node])), node]
            for left, right in pairwise(through):
                if left not in behind[right]:
                    behind[right].append(left)
    rows = _rows({**columns, **lanes}, behind)
    return Layout(
        {node: (column, rows[node]) for node, column in columns.items()},
        {lane: (column, rows[lane]) for lane, column in lanes.items()},
    )


def _columns(inputs: Mapping[Node, Sequence[Node]]) -> dict[Node, int]:
    """The length of the longest path to each node; what has no inputs stands right before its first use."""
    columns: dict[Node, int] = {}
    for node, sources in inputs.items():
        columns[node] = max((columns[source] + 1 for source in sources), default=0)
    for node, sources in inputs.items():
        uses = [columns[user] for user in inputs if node in inputs[user]]
        if not sources and uses:
            columns[node] = min(uses) - 1
    return columns


def _rows(columns: Mapping[Node, int], behind: Mapping[Node, Sequence[Node]]) -> dict[Node, float]:
    """Every node as near as it can be to the mean row of its neighbours, a row or more from the next one."""
    ahead: dict[Node, list[Node]] = {key: [] for key in columns}
    for node, sources in behind.items():
        for source in sources:
            ahead[source].append(node)
    groups: dict[int, list[Node]] = {}
    for node, column in columns.items():
        groups.setdefault(column, []).append(node)
    rows = {node: float(k) for group in groups.values() for k, node in enumerate(group)}
    order = sorted(groups)
    for sweep in range(SWEEPS):
        for column in order if sweep % 2 == 0 else reversed(order):
            neighbours = behind if sweep % 2 == 0 else ahead
            wish = {node: mean(rows[x] for x in neighbours[node] or [node]) for node in groups[column]}
            rows |= _apart(wish)
    top = min(rows.values())
    return {node: row - top for node, row in rows.items()}


def _apart(wish: Mapping[Node, float]) -> dict[Node, float]:
    """Rows in the order of the wishes, one apart at least, and around the same mean."""
    rows: dict[Node, float] = {}
    free = float("-inf")
    for node in sorted(wish, key=lambda node: wish[node]):
        rows[node] = max(free, wish[node])
        free = rows[node] + 1
    shift = mean(wish.values()) - mean(rows.values())
    return {node: row + shift for node, row in rows.items()}
