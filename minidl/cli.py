"""The `minidl` command."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from minidl.training.diagnosis import NotFiniteError

if TYPE_CHECKING:
    from minidl.checks import Result

INTERRUPTED = 130  # the exit code of a program stopped by Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 failed with a message, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return options.command(options, console)  # type: ignore[no-any-return]
    except (OSError, ValueError, ImportError, NotImplementedError, NotFiniteError) as error:
        message = "\n".join([f"minidl: {error}", *getattr(error, "__notes__", [])])  # a note says in which layer
        Console(stderr=True, highlight=False).print(message, style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """A warning as a line of its own; the lines of code that Python adds say nothing to who types a command."""
    Console(stderr=True, highlight=False).print(f"minidl: {message}", style="yellow", markup=False, soft_wrap=True)


def _train(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe

    given = {name: value for name, value in vars(options).items() if name not in ("command", "resume", "out", "model")}
    if options.resume is not None:
        changed = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
        if changed not in ([], ["--data-dir"]) or options.model or options.out:
            raise ValueError("--resume goes on with the settings of the run; only --data-dir can be given with it")
        finished = recipe.resume(options.resume, options.data_dir, console)
    else:
        if options.model is None:
            raise ValueError(f"expected a model to train: one of {', '.join(recipe.MODELS)}")
        chosen = {name: value for name, value in given.items() if value is not None}
        finished = recipe.train_new(recipe.Settings(options.model, **chosen), options.out, console)
    return 0 if finished else INTERRUPTED


def _evaluate(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe

    scores = recipe.evaluate_run(options.run, options.data_dir, console)
    console.print(f"loss {scores['loss']:.4f}  accuracy {scores['accuracy']:.2%}")
    return 0


def _summary(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe

    if options.model not in recipe.MODELS:
        raise ValueError(f"unknown model {options.model!r}: choose one of {', '.join(recipe.MODELS)}")
    console.print(repr(recipe.MODELS[options.model]()), markup=False, soft_wrap=True)
    return 0


def _export(options: argparse.Namespace, console: Console) -> int:
    from minidl.export import export

    console.print(export(options.source, options.format, options.out), markup=False, soft_wrap=True)
    return 0


def _devices(options: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from minidl.devices import devices

    table = Table("backend", "can be used", "what it is, or what is missing")
    for device in devices():
        table.add_row(device.backend, "yes" if device.usable else "no", escape(device.description))
    console.print(table)
    return 0


def _check(options: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from minidl.checks import run_checks

    backends = options.backend or ["reference", "cpu"]
    table = Table("", *(f"{backend}: gradient, its gradient" for backend in backends))
    failures = 0
    for results in zip(*(run_checks(backend) for backend in backends), strict=True):
        table.add_row(escape(results[0].name), *(_verdict(result) for result in results))
        for result in results:
            if result.failure is not None:
                failures += 1
                console.print(f"{result.backend}: {result.failure}", style="red", markup=False, soft_wrap=True)
    console.print(table)
    console.print("Numbers are the largest error, relative to the largest number of the same gradient; float64.")
    console.print(f"{table.row_count * len(backends) - failures} right, {failures} wrong")
    return 1 if failures else 0


def _verdict(result: Result) -> str:
    errors = (result.first_order, result.second_order)
    return "  ".join("[red]wrong[/]" if error is None else f"{error:.0e}" for error in errors)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="minidl", description="A deep-learning framework to read in an afternoon.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a network on CIFAR-10 or Digits", description=_train_text())
    train.set_defaults(command=_train)
    train.add_argument("model", nargs="?", metavar="MODEL", help="such as vgg19, or vgg19-plain without batch norm")
    train.add_argument("--data", choices=["auto", "cifar10", "digits"], help="auto: CIFAR-10 if to be had, else Digits")
    train.add_argument("--data-dir", metavar="DIR", help="where CIFAR-10 lies, or is to be put")
    train.add_argument("--epochs", type=int, metavar="N", help="passes over the data (20)")
    train.add_argument("--batch-size", type=int, metavar="N", help="images in a step (64)")
    train.add_argument("--learning-rate", type=float, metavar="X", help="the highest of the schedule (0.005)")
    train.add_argument("--momentum", type=float, metavar="X", help="of the optimiser (0.9)")
    train.add_argument("--weight-decay", type=float, metavar="X", help="part of each weight in its gradient (0)")
    train.add_argument("--schedule", choices=["cosine", "one-cycle", "constant"], help="of the learning rate (cosine)")
    train.add_argument("--no-augment", dest="augment", action="store_false", default=None, help="no flips and crops")
    train.add_argument("--cutout", type=int, metavar="N", help="cover a square of N x N pixels of each image (0)")
    train.add_argument("--label-smoothing", type=float, metavar="X", help="part of each target shared by all (0)")
    train.add_argument("--backend", choices=["cpu", "reference", "gpu"], help="which kernels run (cpu)")
    train.add_argument("--seed", type=int, metavar="N", help="of weights, order and masks (0)")
    train.add_argument("--weights", metavar="PATH", help="start from the weights of this run folder or checkpoint")
    train.add_argument("--out", metavar="DIR", help="the run folder (runs/MODEL)")
    train.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    train.add_argument("--limit", type=int, metavar="N", help="use only the first N images, for a quick try")

    evaluate = commands.add_parser("evaluate", help="loss and accuracy of a run on the test images")
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("run", metavar="DIR", help="the run folder")
    evaluate.add_argument("--data-dir", metavar="DIR", help="where CIFAR-10 lies")

    summary = commands.add_parser("summary", help="the layers of a network and their parameters")
    summary.set_defaults(command=_summary)
    summary.add_argument("model", metavar="MODEL", help="such as vgg19")

    export = commands.add_parser("export", help="write a network to a file for another library")
    export.set_defaults(command=_export)
    export.add_argument("source", metavar="RUN_OR_MODEL", help="a run folder, or a model such as vgg19, untrained")
    export.add_argument("--format", required=True, choices=["onnx", "torchvision", "keras"], help="whose file it is")
    export.add_argument("--out", required=True, metavar="FILE", help="for Keras NAME.weights.h5")

    list_devices = commands.add_parser("devices", help="which backends can be used on this machine, and why not")
    list_devices.set_defaults(command=_devices)

    check = commands.add_parser("check", help="check the gradients of every function and layer, and print a table")
    check.set_defaults(command=_check)
    check.add_argument("--backend", action="append", choices=["cpu", "reference", "gpu"], help="(reference and cpu)")
    return parser


def _train_text() -> str:
    return "Train MODEL with momentum. Ctrl-C finishes the step and saves; --resume goes on as if nothing had happened."


if __name__ == "__main__":
    sys.exit(main())
