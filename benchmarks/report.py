"""The Markdown of results.json: every table, made from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.session import Measurement
from benchmarks.subjects import describe
from benchmarks.summary import ratio, typical
from benchmarks.targets import TARGETS, judge

TITLES = {
    "step": "Training step",
    "inference": "Inference",
    "fit": "One epoch of fit() on a slice of CIFAR-10",
    "layers": "Convolutions of VGG19 with their relu, batch 64",
    "ops": "Single ops",
    "startup": "From the start of the process to the end of the first training step",
    "memory": "Peak memory of a process that trains",
    "accuracy": "Time to an accuracy",
}
REMARKS = {
    "layers": "Backward is the gradients of images, weights and bias; the first layer's images need none.",
    "ops": "Backward is the gradients of all inputs but targets.",
    "startup": "Each library starts from weights of its own. With an empty cache nothing that it compiled is on disk.",
    "memory": "Of the whole process, nothing taken off; in brackets after the import alone.",
}
METHOD = """\
Each library has a process of its own and the same weights and images; the processes take turns, and only one computes
at a time. A turn times several calls, after one that is not timed. A cell has the median over the rounds, and the
ratio to minidl, above 1 where minidl is the better one: the median of the ratios within each round, in brackets the
lowest and the highest. Before anything is timed, scores, losses and the changes of the first and last weights in two
training steps are compared with minidl's, without dropout; a peer that differs has no number."""
IMPORTED = "MB after the import"


def make_report(results: dict[str, Any]) -> str:
    sessions = results["sessions"]
    measurements = measurements_of(sessions)
    parts = ["# minidl against Keras and PyTorch", METHOD, sessions_table(sessions)]
    parts += ["## Targets", targets_table(measurements_of(filter(_has_targets, sessions)))]
    for subject, title in TITLES.items():
        chosen = [one for one in measurements if one.subject == subject]
        if chosen:
            make_table = accuracy_table if subject == "accuracy" else ratio_table
            parts += [f"## {title}", *filter(None, [REMARKS.get(subject)]), make_table(chosen)]
    parts += ["## What was not measured", *_not_measured(sessions, measurements), "## Checks"]
    return "\n\n".join([*parts, *_checks(measurements)]) + "\n"


def _has_targets(session: dict[str, Any]) -> bool:
    """Targets are those of VGG19 on the CPU."""
    return not session["settings"]["tiny"] and session["settings"].get("backend", "cpu") == "cpu"


def measurements_of(sessions: Iterable[dict[str, Any]]) -> list[Measurement]:
    return [Measurement(**one) for session in sessions for one in session["measurements"]]


def targets_table(measurements: Sequence[Measurement]) -> str:
    verdicts = [judge(target, measurements) for target in TARGETS]
    words = {True: "met", False: "**missed**", None: "not measured"}
    rows = [[one.what, one.wanted, one.found, words[one.met]] for one in verdicts]
    return table(["what", "target", "measured", ""], rows)


def ratio_table(measurements: Sequence[Measurement]) -> str:
    """A row for each case, a column for each peer: what it needs, and how many times as much as minidl."""
    peers = [peer for peer in PEERS if any(peer in one.values for one in measurements)]
    rows = [
        [describe(one.case), str(one.case["threads"]), *(_cell(one, peer) for peer in peers)] for one in measurements
    ]
    return table(["", "threads", *(PEERS[peer].title for peer in peers)], rows)


def accuracy_table(measurements: Sequence[Measurement]) -> str:
    rows = [
        [describe(one.case), PEERS[peer].title, str(len(one.values[peer])), f"{sum(map(sum, one.values[peer])):.0f} s",
         f"{reached[-1]:.1%}", "yes" if reached[-1] >= one.case["accuracy"] else "no"]
        for one in measurements
        for peer, reached in one.extra.get("test accuracy", {}).items()
        if reached
    ]  # fmt: skip
    goals = sorted({f"{one.case['accuracy']:.0%}" for one in measurements})
    return table(["", "", "epochs", "training", "test accuracy", f"{' or '.join(goals)} reached"], rows)


def sessions_table(sessions: Sequence[dict[str, Any]]) -> str:
    rows = [
        [session["started"], session["revision"], _machine(session["machine"]), _versions(session["versions"]),
         f"{_load(session, 'start')} / {_load(session, 'end')}", _measured(session)]
        for session in sessions
    ]  # fmt: skip
    return table(["started", "revision", "machine", "versions", "load at start / end", "measured"], rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a header. Cells are text, in which only ** means something: see plain()."""
    lines = [header, *rows]
    head, *body = (f"| {' | '.join(map(plain, line))} |" for line in lines)
    return "\n".join([head, f"|{'|'.join([' --- '] * len(header))}|", *body])


def plain(text: str) -> str:
    """Text that is text in Markdown too, and in the HTML that is made of it: no tags, links, attributes, code or cells.

    results.json has names of machines and messages of other libraries, which may hold anything.
    """
    return " ".join(text.split()).translate(_ESCAPED)


_ESCAPED = {ord(character): f"&#{ord(character)};" for character in "&<>[]{}|`\\"}


def quantity(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:,.{_decimals(value * 1000)}f} ms" if value < 2 else f"{value:.{_decimals(value)}f} s"
    return f"{value:,.0f} {unit}"


def _decimals(value: float) -> int:
    """Three digits or so in all."""
    return 2 if value < 10 else 1 if value < 100 else 0


def _cell(measurement: Measurement, peer: str) -> str:
    value = typical(measurement, peer)
    if value is None:
        return "failed" if peer in measurement.failed else ""
    text = quantity(value, measurement.unit)
    if peer in measurement.extra.get(IMPORTED, {}):
        text += f" ({measurement.extra[IMPORTED][peer]:,.0f})"
    found = ratio(measurement, peer) if peer != "minidl" else None
    if found is None:
        return text
    spread = f" ({found.low:.2f} to {found.high:.2f})" if found.low < found.high else ""
    return f"{text}; **{found.median:.2f}**{spread}"


def _not_measured(sessions: Sequence[dict[str, Any]], measurements: Sequence[Measurement]) -> Iterator[str]:
    lines = {f"{PEERS[peer].title}: {reason}" for session in sessions for peer, reason in session["absent"].items()}
    lines |= {note for session in sessions for note in session["notes"]}
    failed = [
        f"{TITLES[one.subject]}, {describe(one.case)}: {PEERS[peer].title}: {reason.splitlines()[0]}"
        for one in measurements
        for peer, reason in one.failed.items()
    ]
    yield "\n".join(f"- {plain(line)}" for line in [*sorted(lines), *failed]) or "Everything asked for was measured."


def _checks(measurements: Sequence[Measurement]) -> Iterator[str]:
    largest: dict[str, float] = {}
    for measurement in measurements:
        for distances in measurement.checks.values():
            for name, distance in distances.items():
                largest[name] = max(distance, largest.get(name, 0.0))
    if largest:
        yield "The largest distance from minidl's outputs, relative to their length, over all cases and peers:"
        yield table(["output", "distance"], [[name, f"{distance:.1e}"] for name, distance in sorted(largest.items())])
    else:
        yield "No peer, so nothing was compared."
    shares = [share for one in measurements for share in one.extra.get("processor share while waiting", {}).values()]
    if shares:
        yield f"While it waited for its turn, no process used more than {max(shares):.1%} of one processor."


def _machine(machine: dict[str, Any]) -> str:
    features = " ".join(machine["vector_features"])
    gpu = f"{machine['gpu']}; " if "gpu" in machine else ""
    return (
        f"{gpu}{machine['cpu']}, {machine['cores']} cores, {features}, {machine['memory_gb']} GB, {machine['system']}"
    )


def _versions(versions: dict[str, dict[str, str]]) -> str:
    merged = {name: version for libraries in versions.values() for name, version in libraries.items()}
    return ", ".join(f"{name} {version}" for name, version in merged.items())


def _load(session: dict[str, Any], when: str) -> str:
    return f"{session['load'][when][0]:.1f}" if session["load"].get(when) else "unknown"


def _measured(session: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys(one["subject"] for one in session["measurements"]))
