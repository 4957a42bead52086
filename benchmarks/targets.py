"""What minidl wants to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.peers import PEERS
from benchmarks.session import Case, Measurement
from benchmarks.subjects import describe
from benchmarks.summary import Ratio, best, ratio, typical

EITHER, PYTORCH = ("keras", "pytorch"), ("pytorch",)


@dataclass(frozen=True)
class Target:
    """All measurements of `subject` whose case contains `where` must reach it, with the largest number of threads.

    Against libraries, the best of their ways to compute must need `ratio` times as much as minidl; without, `limit` is
    in the unit of the measurement.
    """

    what: str
    subject: str
    where: Case = field(default_factory=dict)
    against: tuple[str, ...] = ()
    ratio: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """met is None where it was not measured."""

    what: str
    wanted: str
    found: str
    met: bool | None


TARGETS = [
    Target("Training step, VGG19, batch 64", "step", {"network": "vgg19-plain", "batch": 64}, EITHER, 2.5),
    Target("Training step, VGG19 with batch norm, batch 64", "step", {"network": "vgg19", "batch": 64}, EITHER, 2.0),
    *[
        Target(f"Training step, {title}, batch {batch}", "step", {"network": network, "batch": batch}, EITHER, 2.0)
        for batch in (16, 256)
        for network, title in (("vgg19-plain", "VGG19"), ("vgg19", "VGG19 with batch norm"))
    ],
    Target("Inference, batch 64", "inference", {"batch": 64}, EITHER, 2.0),
    Target("Inference, batch 1", "inference", {"batch": 1}, EITHER, 1.0),
    Target("Every convolution, forward", "layers", {"direction": "forward"}, PYTORCH, 1.2),
    Target("Every convolution, backward", "layers", {"direction": "backward"}, PYTORCH, 1.2),
    Target("Peak memory of training", "memory", {}, PYTORCH, 1.0),
    Target("From start to the end of the first step, empty cache", "startup", {"cache": "empty"}, limit=20.0),
    Target("From start to the end of the first step, warm cache", "startup", {"cache": "warm"}, limit=3.0),
]


def judge(target: Target, measurements: Sequence[Measurement]) -> Verdict:
    matching = _matching(target, measurements)
    if target.against:
        found, met = _judge_ratio(target, matching)
        libraries = " and ".join({"keras": "Keras", "pytorch": "PyTorch"}[name] for name in target.against)
        wanted = f"{target.ratio:.1f} times the better of {libraries}" if len(target.against) > 1 else (
            f"{target.ratio:.1f} times {libraries}")  # fmt: skip
        return Verdict(target.what, wanted, found, met)
    found, met = _judge_limit(target, matching)
    return Verdict(target.what, f"{target.limit:.0f} s", found, met)


def _matching(target: Target, measurements: Sequence[Measurement]) -> list[Measurement]:
    fitting = [
        one for one in measurements if one.subject == target.subject and target.where.items() <= one.case.items()
    ]
    most = max((one.case["threads"] for one in fitting), default=0)
    return [one for one in fitting if one.case["threads"] == most]


def _judge_ratio(target: Target, matching: Sequence[Measurement]) -> tuple[str, bool | None]:
    """The worst case decides."""
    worst: tuple[Ratio, str, Measurement] | None = None
    for measurement in matching:
        peer = best(measurement, target.against)
        figure = ratio(measurement, peer) if peer else None
        if peer is None or figure is None:
            return f"no ratio for {describe(measurement.case)}", None
        if worst is None or figure.median < worst[0].median:
            worst = figure, peer, measurement
    if worst is None:
        return "", None
    figure, peer, measurement = worst
    text = f"{figure.median:.2f} ({figure.low:.2f} to {figure.high:.2f}), {PEERS[peer].title}"
    if len(matching) > 1:
        text += f"; worst of {len(matching)}: {describe(measurement.case)}"
    return text, figure.median >= target.ratio


def _judge_limit(target: Target, matching: Sequence[Measurement]) -> tuple[str, bool | None]:
    values = [typical(one, "minidl") for one in matching]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "", None
    return f"{max(known):.1f} s", max(known) <= target.limit
