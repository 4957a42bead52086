"""results.json and what is made from it.

Every file is written beside the old one and then renamed, so that none is ever half there.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.report import make_report, measurements_of
from benchmarks.session import Measurement
from minidl.training.checkpoint import replace_file
from minidl.training.schema import check, positive, whole

Results: TypeAlias = dict[str, Any]  # {"sessions": [{"started": ..., "machine": ..., "measurements": [...]}, ...]}

JSON, MARKDOWN = "results.json", "results.md"


def load_results(folder: Path) -> Results:
    """What results.json in that folder holds; ValueError, naming the file, when no report can be made of it."""
    path = folder / JSON
    try:
        results: Results = json.loads(path.read_text(encoding="utf-8"))
        for measurement in measurements_of(results["sessions"]):
            check(list(measurement.values.values()), [[[positive]]], "values")
            check(measurement.case["threads"], whole, "threads")
        make_report(results)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{path}: not results of these benchmarks: {' '.join(repr(error).split())}") from None
    return results


def combine(old: Results, session: dict[str, Any]) -> Results:
    """The old sessions and this one; what was measured again counts only once."""
    again = [_key(measurement) for measurement in session["measurements"]]
    kept = (
        earlier | {"measurements": [one for one in earlier["measurements"] if _key(one) not in again]}
        for earlier in old["sessions"]
    )
    return {"sessions": [*(earlier for earlier in kept if earlier["measurements"]), session]}


def save_results(folder: Path, results: Results) -> None:
    _write(folder / JSON, json.dumps(results, indent=1) + "\n")


def save_report(folder: Path, results: Results) -> str:
    """Write results.md and the pictures; returns the text, with what has been left out."""
    text = make_report(results)
    _write(folder / MARKDOWN, text)
    if find_spec("matplotlib") is None:
        return text + '\nNo pictures, because matplotlib is not installed: pip install -e ".[bench]"\n'
    from benchmarks.pictures import draw_pictures

    for name, figure in draw_pictures(results).items():
        replace_file(folder / name, partial(figure.savefig, dpi=120, format="png"))
    return text


def to_json(measurement: Measurement) -> dict[str, Any]:
    return asdict(measurement)


def _key(measurement: dict[str, Any]) -> tuple[str, str]:
    return measurement["subject"], json.dumps(measurement["case"], sort_keys=True)


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
