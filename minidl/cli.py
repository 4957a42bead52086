"""The `minidl` command: its options. What each command does is in commands.py."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import minidl
from minidl import commands
from minidl.choices import OPTIMISERS, SCHEDULES, UsageError
from minidl.commands import INTERRUPTED, complain
from minidl.training.diagnosis import NotFiniteError

EXPECTED = (OSError, ValueError, ImportError, NotImplementedError, MemoryError, NotFiniteError)
BACKENDS = ["cpu", "reference", "gpu"]
EXERCISES = [
    "relu", "dense", "mean_pool2d", "max_pool2d", "conv2d", "softmax", "softmax_cross_entropy", "dropout", "batch_norm",
    "momentum",
]  # fmt: skip
EXIT_CODES = """\
exit codes:
  0    done
  1    failed: files missing or damaged, numbers not finite, gradients wrong or undecided; MINIDL_DEBUG=1 shows where
  2    wrong usage: unknown commands, options, models, or values that make no sense
  130  stopped by Ctrl-C: training finishes its step and saves first, unless Ctrl-C comes again"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, see EXIT_CODES. With --json, the document alone goes to stdout."""
    _prepare_streams()
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, stderr=getattr(options, "json", False))
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code: int = options.command(options, console)
            sys.stdout.flush()
            return code
    except (SystemExit, BrokenPipeError):  # the former is how rich ends a program whose output nobody reads any more
        _drop_output()
        complain("nobody reads the output any more, so this ends; what was finished is saved")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("MINIDL_DEBUG"):
            traceback.print_exc()
        _drop_output()
        complain(_explained(error, sys.argv[1:] if arguments is None else arguments))
        return 2 if isinstance(error, UsageError) else 1


def _prepare_streams() -> None:
    """Names of files may have any characters, which not every encoding has; and a stream may have been closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (for as long as Python runs)
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Where stdout cannot be written, let nobody try again, as Python does when it ends."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for as long as Python runs)


def _explained(error: Exception, arguments: Sequence[str]) -> str:
    """What failed, in words. An error that no part of minidl expects says in which command, and how to see more."""
    said = "\n".join([str(error), *getattr(error, "__notes__", [])])  # a note says in which layer
    if isinstance(error, EXPECTED) and str(error) and not (isinstance(error, OSError) and _names_nothing(error)):
        return said
    line = " ".join([type(error).__name__, *said.split()])
    return f"{shlex.join(['minidl', *arguments])} failed: {line}; with MINIDL_DEBUG=1 it shows where"


def _names_nothing(error: OSError) -> bool:
    """Whether the system said what is wrong, but not with which file."""
    return error.errno is not None and error.filename is None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """A warning as a line of its own; the lines of code that Python adds say nothing to who types a command."""
    complain(str(message), style="yellow")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minidl", description="A deep-learning framework to read in an afternoon.",
        epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"minidl {minidl.__version__}")
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    train = verbs.add_parser("train", help="train a network on CIFAR-10 or Digits", description=_train_text())
    train.set_defaults(command=commands.train)
    train.add_argument("model", nargs="?", metavar="MODEL", help="such as vgg19, or vgg19-plain without batch norm")
    train.add_argument("--data", choices=["auto", "cifar10", "digits"], help="auto: CIFAR-10 if to be had, else Digits")
    train.add_argument("--data-dir", metavar="DIR", help="where CIFAR-10 lies, or is to be put")
    train.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="passes over the data (20); with --resume, the new number, over which the schedule is stretched",
    )
    train.add_argument("--batch-size", type=int, metavar="N", help="images in a step (64)")
    train.add_argument("--learning-rate", type=float, metavar="X", help=f"the highest of the schedule ({_rates()})")
    train.add_argument("--optimiser", choices=list(OPTIMISERS), help="what turns gradients into steps (momentum)")
    train.add_argument("--momentum", type=float, metavar="X", help="of the optimisers momentum and nesterov (0.9)")
    train.add_argument("--weight-decay", type=float, metavar="X", help="how strongly weights shrink (0; adamw: 0.01)")
    train.add_argument("--clip-norm", type=float, metavar="X", help="shorten gradients whose norm is above X")
    train.add_argument(
        "--groups",
        metavar="GROUPS",
        help="rates of some parameters, by name: '*.bias:rate_factor=2,weight_decay=0; *.scale,*.shift:weight_decay=0'",
    )
    train.add_argument(
        "--schedule",
        choices=SCHEDULES,
        help="of the learning rate; step: a tenth from half-way on, a hundredth from three quarters on (cosine)",
    )
    train.add_argument(
        "--warmup",
        type=int,
        metavar="N",
        help="steps in which the learning rate rises (cosine: a tenth of the run, at most 200; else 0)",
    )
    train.add_argument("--no-augment", dest="augment", action="store_false", default=None, help="no flips and crops")
    train.add_argument("--cutout", type=int, metavar="N", help="cover a square of N x N pixels of each image (0)")
    train.add_argument("--label-smoothing", type=float, metavar="X", help="part of each target shared by all (0)")
    train.add_argument("--backend", choices=BACKENDS, help="which kernels run (cpu)")
    train.add_argument("--seed", type=int, metavar="N", help="of weights, order and masks (0)")
    train.add_argument("--weights", metavar="PATH", help="start from the weights of this run folder or checkpoint")
    train.add_argument("--out", metavar="DIR", help="the run folder (runs/MODEL)")
    train.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    train.add_argument("--limit", type=int, metavar="N", help="use only the first N images, for a quick try")

    evaluate = verbs.add_parser("evaluate", help="loss and accuracy of a run on the test images")
    evaluate.set_defaults(command=commands.evaluate)
    evaluate.add_argument("run", metavar="DIR", help="the run folder")
    evaluate.add_argument("--data-dir", metavar="DIR", help="where CIFAR-10 lies")

    predict = verbs.add_parser("predict", help="what a trained network sees in images", description=_predict_text())
    predict.set_defaults(command=commands.predict)
    predict.add_argument("run", metavar="RUN", help="the run folder, or a checkpoint in one")
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="image files, such as cat.jpg")
    predict.add_argument("--top", type=int, default=5, metavar="N", help="show the N most probable classes (5)")
    predict.add_argument("--picture", action="store_true", help="show what the network is given, on a terminal")

    summary = verbs.add_parser("summary", help="layers of a network: shapes, parameters, multiply-adds, memory")
    summary.set_defaults(command=commands.summary)
    summary.add_argument("model", metavar="MODEL", help="such as vgg19, or a run folder")
    summary.add_argument(
        "--input-shape", type=int, nargs=3, default=[32, 32, 3], metavar=("H", "W", "C"), help="of one image (32 32 3)"
    )
    summary.add_argument("--batch-size", type=int, metavar="N", help="images in a step (64, or that of the run)")

    export = verbs.add_parser("export", help="write a network to a file for another library")
    export.set_defaults(command=commands.export)
    export.add_argument("source", metavar="RUN_OR_MODEL", help="a run folder, or a model such as vgg19, untrained")
    export.add_argument("--format", required=True, choices=["onnx", "torchvision", "keras"], help="whose file it is")
    export.add_argument("--out", required=True, metavar="FILE", help="for Keras NAME.weights.h5")

    list_devices = verbs.add_parser("devices", help="which backends can be used on this machine, and why not")
    list_devices.set_defaults(command=commands.devices)

    check = verbs.add_parser("check", help="check the gradients of every function and layer, and print a table")
    check.set_defaults(command=commands.check)
    check.add_argument("--backend", action="append", choices=BACKENDS, help="(reference and cpu)")

    exercise = verbs.add_parser("exercise", help="write an op's kernels yourself", description=_exercise_text())
    exercise.set_defaults(command=commands.exercise)
    exercise.add_argument("op", choices=EXERCISES, metavar="OP", help=", ".join(EXERCISES))
    exercise.add_argument("--out", metavar="FILE", help="the file to write (OP.py)")
    exercise.add_argument("--check", action="store_true", help="check what you have written")
    exercise.add_argument("--file", metavar="FILE", help="the file to check (OP.py)")

    explain = verbs.add_parser("explain", help="a page that shows how a layer works", description=_explain_text())
    explain.set_defaults(command=commands.explain)
    explain.add_argument("topic", metavar="TOPIC", help="such as conv, maxpool, batchnorm, momentum; or run")
    explain.add_argument("run", nargs="?", metavar="RUN_DIR", help="of run: the run folder to be shown")
    explain.add_argument("--out", metavar="FILE", help="the page (TOPIC.html)")
    explain.add_argument("--images", type=int, metavar="N", help="of run: test images to look at (500)")
    explain.add_argument("--data-dir", metavar="DIR", help="of run: where CIFAR-10 lies")

    atlas = verbs.add_parser("atlas", help="the pages of all layers, and an index of them")
    atlas.set_defaults(command=commands.atlas)
    atlas.add_argument("--out", default="atlas", metavar="DIR", help="the folder of the pages (atlas)")

    for command in (explain, atlas):
        command.add_argument(
            "--benchmarks",
            type=Path,
            metavar="FILE",
            help="results.json of python -m benchmarks (that of the checkout)",
        )
    for command in (evaluate, predict):
        command.add_argument("--backend", choices=BACKENDS, help="which kernels run (those of the run)")
    for command in (evaluate, predict, summary, list_devices, check):
        command.add_argument("--json", action="store_true", help="one JSON document, and nothing else on stdout")
    return parser


def _rates() -> str:
    """The default learning rates: "0.005; adam: 0.0003"."""
    first, *others = (f"{name}: {rates.learning_rate:g}" for name, rates in OPTIMISERS.items())
    return "; ".join([first.split(": ")[1], *others])


def _train_text() -> str:
    return (
        "Train MODEL. Ctrl-C finishes the step and saves; --resume goes on as if nothing had happened, and with "
        "--epochs for longer than was asked for at first: its schedule is then that of a run of so many epochs."
    )


def _exercise_text() -> str:
    return "Write a file with OP's kernels, their bodies left to you. --check compares yours, and trains with them."


def _explain_text() -> str:
    return (
        "Write a page on TOPIC: the idea, the formula, an interactive figure, the gradient, the code of the three "
        "tiers side by side, its checks and times, and common mistakes. Or, with run, on a network that was trained: "
        "its layers, how its signal fared, what it looks at and gets wrong. One file that needs only a browser."
    )


def _predict_text() -> str:
    return (
        "The most probable classes of each image. It is turned the way its camera says, made RGB, cut to the square in "
        "its middle and resized to 32 x 32 pixels (the digits are white ink on black). Images that cannot be read are "
        "named and the others predicted; the exit code is 1 then. Takes Pillow: pip install 'minidl[images]'."
    )


if __name__ == "__main__":
    sys.exit(main())
