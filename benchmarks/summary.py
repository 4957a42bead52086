"""From raw times to the figures of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers import PEERS
from benchmarks.session import Measurement


@dataclass(frozen=True)
class Ratio:
    """peer / minidl: above 1, minidl is the better one. Of the ratios of all rounds the median and the extremes."""

    median: float
    low: float
    high: float


def round_medians(measurement: Measurement, peer: str) -> list[float]:
    return [median(values) for values in measurement.values.get(peer, []) if values]


def typical(measurement: Measurement, peer: str) -> float | None:
    """The median over the rounds of each round's median; None without values."""
    medians = round_medians(measurement, peer)
    return median(medians) if medians and peer not in measurement.failed else None


def ratio(measurement: Measurement, peer: str) -> Ratio | None:
    """Within a round both met the same machine; so ratios are taken there, before any median over rounds."""
    if typical(measurement, peer) is None or typical(measurement, "minidl") is None:
        return None
    rounds = zip(round_medians(measurement, peer), round_medians(measurement, "minidl"), strict=False)
    ratios = [theirs / ours for theirs, ours in rounds]
    return Ratio(median(ratios), min(ratios), max(ratios))


def best(measurement: Measurement, modules: Sequence[str]) -> str | None:
    """The peer with the smallest typical value among the ways of these libraries to compute."""
    found = {
        peer: value
        for peer in measurement.values
        if PEERS[peer].module in modules and (value := typical(measurement, peer)) is not None
    }
    return min(found, key=found.__getitem__) if found else None
