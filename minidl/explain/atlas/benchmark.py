"""What `python -m benchmarks` measured of an op, where its file is there."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import minidl
from minidl.explain.markup import table
from minidl.training.schema import check, positive, text, whole

CHECKOUT_RESULTS = Path(minidl.__file__).parents[1] / "docs" / "benchmarks" / "results.json"
PEERS = {"pytorch": "PyTorch", "pytorch-channels-last": "PyTorch, channels last", "keras": "Keras"}

LAYER = ("batch", "pixels", "inputs", "outputs")


def benchmark(path: Path | None, content: str) -> str:
    """A table of a subject's cases ("layers"), or of one op's ("ops relu"); a sentence where nothing was measured.

    path: a results.json; by default that of the checkout, where there is one. Errors as of load_sessions().
    """
    subject, *op = content.split()
    if path is None and not CHECKOUT_RESULTS.is_file():
        return (f'<p class="quiet">No measurements against PyTorch and Keras are here: <code>python -m benchmarks '
                f"{subject}</code> in a checkout makes them.</p>")  # fmt: skip
    session = _newest(load_sessions(path or CHECKOUT_RESULTS), subject)
    if session is None:
        return f'<p class="quiet">Nothing of {subject} has been measured against PyTorch and Keras yet.</p>'
    measured = [
        one for one in session["measurements"] if one["subject"] == subject and op in ([], [one["case"].get("op")])
    ]
    peers = [peer for peer in PEERS if any(peer in one["values"] for one in measured)]
    rows = [[_name(one["case"]), _time(one, "minidl"), *(_against(one, peer) for peer in peers)] for one in measured]
    machine = session["machine"]
    caption = (f"Measured on {session['started'][:10]}, taking turns, {machine['cpu']}, {machine['cores']} cores; in "
               "brackets how many times as long as minidl.")  # fmt: skip
    return table(["", "minidl", *(PEERS[peer] for peer in peers)], rows, caption)


def load_sessions(path: Path) -> list[dict[str, Any]]:
    """What was measured. FileNotFoundError when there is no file, ValueError when it is not one of measurements."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the results.json of python -m benchmarks, but there is no such file")
    try:
        sessions: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["sessions"]
        _check(sessions)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path}: expected the results.json of python -m benchmarks, got something else: {error}"
        ) from None
    return sessions


def _check(sessions: list[dict[str, Any]]) -> None:
    """ValueError unless all that stands on a page is there, of the right kind."""
    for session in sessions:
        machine = session["machine"]
        check([session["started"], machine["cpu"]], [text], "started, cpu")
        check(machine["cores"], whole, "cores")
        for one in session["measurements"]:
            case, values = one["case"], one["values"]
            check(one["subject"], text, "subject")
            if "op" in case or "layer" in case:
                check([case["direction"], case.get("op", "")], [text], "direction, op")
                check([case["layer"][name] for name in LAYER] if "layer" in case else [], [whole], "layer")
                check(list(values.values()), [[[positive]]], "values")
                rounds = [len(its) for its in values.values()]
                times = [time for its in values.values() for each in its for time in each or [0.0]]
                if set(rounds) != {len(values["minidl"]) or None} or min(times) <= 0:
                    raise ValueError("expected as many rounds of times above 0 for every peer as for minidl")


def _newest(sessions: list[dict[str, Any]], subject: str) -> dict[str, Any] | None:
    having = [one for one in sessions if any(measured["subject"] == subject for measured in one["measurements"])]
    return max(having, key=lambda one: str(one["started"]), default=None)


def _name(case: dict[str, Any]) -> str:
    if "op" in case:
        return f"{case['op']}, {case['direction']}"
    layer = case["layer"]
    images = f"{layer['batch']} images of {layer['pixels']} × {layer['pixels']}"
    return f"{images}, {layer['inputs']} → {layer['outputs']} channels, {case['direction']}"


def _time(one: dict[str, Any], peer: str) -> str:
    return f"{median(map(median, one['values'][peer])) * 1000:.3g} ms"


def _against(one: dict[str, Any], peer: str) -> str:
    """The peer's time, and the median of the ratios of its rounds to minidl's."""
    if peer not in one["values"]:
        return ""
    rounds = zip(one["values"][peer], one["values"]["minidl"], strict=True)
    ratio = median(median(its) / median(ours) for its, ours in rounds)
    return f"{_time(one, peer)} ({ratio:.2f})"
