"""The command line: python -m benchmarks [SUBJECT ...]"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.results import JSON, load_results, save_report
from benchmarks.run import run
from benchmarks.session import Settings
from benchmarks.subjects import ACCURACY_IMAGES, BATCH, FIT_IMAGES, SUBJECTS
from minidl.ops.threads import processors

QUICK: dict[str, Any] = {"rounds": 2, "seconds": 0.2, "least": 1, "images": 256}
DEFAULT_FOLDER = Path("build", "benchmarks")


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    try:
        old = load_results(options.out) if options.report or (options.add and (options.out / JSON).exists()) else None
        if options.report:
            print(save_report(options.out, old or {}))
            return 0
        return run(make_settings(options), options.out, old or {"sessions": []})
    except (OSError, ValueError, ImportError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1


def make_settings(options: argparse.Namespace) -> Settings:
    """What is not given is Settings' default, or QUICK's."""
    given = {field.name: getattr(options, field.name, None) for field in fields(Settings)}
    chosen = {name: value for name, value in given.items() if value is not None}
    chosen["subjects"] = tuple(options.subjects) or tuple(name for name in SUBJECTS if SUBJECTS[name].by_default)
    chosen["peers"] = ("minidl", *(peer for peer in options.peers if peer != "minidl"))
    return Settings(**((QUICK if options.quick else {}) | chosen))


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="minidl against Keras and PyTorch.")
    choices = f"what to measure: {', '.join(SUBJECTS)}; all but accuracy, which takes hours, unless named"
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", type=one_of(SUBJECTS), help=choices)
    add = parser.add_argument
    defaults = ",".join(name for name in PEERS if PEERS[name].by_default)
    add("--peers", type=many(one_of(PEERS)), default=defaults, help=f"some of {','.join(PEERS)} (default: {defaults})")
    add("--quick", action="store_true", help="a few repeats: to see that it works, not to quote")
    add("--rounds", type=at_least(1), help="how often each peer has its turn (default: 5)")
    add("--seconds", type=float, help="how long a turn lasts at least (default: 1)")
    add(
        "--threads",
        type=many(at_least(1)),
        default=str(processors()),
        help="numbers of threads, as 1,2 (default: %(default)s)",
    )
    add("--backend", choices=("cpu", "gpu"), help="what all peers compute on (default: cpu)")
    add("--data-dir", help="where CIFAR-10 is, for fit and accuracy; random images where it is not")
    add(
        "--images",
        type=at_least(BATCH),
        help=f"of an epoch (default: {FIT_IMAGES} in fit, {ACCURACY_IMAGES} in accuracy)",
    )
    add("--accuracy", type=float, help="of the test images, where accuracy stops (default: 0.5)")
    add("--epochs", type=at_least(1), help="after which accuracy gives up (default: 20)")
    add("--tiny", action="store_true", help="a tiny network instead of VGG19, to try the benchmarks out")
    add("--out", type=Path, default=DEFAULT_FOLDER, help="folder for JSON, Markdown and PNG (default: %(default)s)")
    add("--add", action="store_true", help="keep what is in that folder and was not measured again")
    add("--report", action="store_true", help="measure nothing: write Markdown and PNG of what is in that folder")
    return parser


def one_of(choices: dict[str, Any]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(choices)}")
        return text

    return check


def at_least(least: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {least}")
        return int(text)

    return check


def many(check: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """One or more of them with commas between, none twice; numbers come out in order."""

    def check_all(text: str) -> tuple[Any, ...]:
        found = tuple(dict.fromkeys(map(check, text.split(","))))
        return tuple(sorted(found)) if all(isinstance(one, int) for one in found) else found

    return check_all


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: files kept, no worker left behind
    sys.exit(main())
