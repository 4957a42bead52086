"""The `minidl` command."""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

import minidl
from minidl.choices import OPTIMISERS, SCHEDULES, UsageError, make_optimiser
from minidl.training.diagnosis import NotFiniteError

if TYPE_CHECKING:
    from minidl.checks import Result

BACKENDS = ["cpu", "reference", "gpu"]
EXERCISES = [
    "relu", "dense", "mean_pool2d", "max_pool2d", "conv2d", "softmax", "softmax_cross_entropy", "dropout", "batch_norm",
    "momentum",
]  # fmt: skip
INTERRUPTED = 130  # the exit code of a program stopped by Ctrl-C
EXIT_CODES = """\
exit codes:
  0    done
  1    failed: files that are missing or damaged, numbers that are not finite, a gradient that is wrong
  2    wrong usage: unknown commands, options, models, or values that make no sense
  130  stopped by Ctrl-C: training finishes its step and saves first, unless Ctrl-C comes again"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, see EXIT_CODES. With --json, the document alone goes to stdout."""
    options = _parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may have any characters
    console = Console(highlight=False, stderr=getattr(options, "json", False))
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return options.command(options, console)  # type: ignore[no-any-return]
    except SystemExit:  # how rich ends a program whose output nobody reads any more
        _complain("nobody reads the output any more, so this ends; what was finished is saved")
        return 1
    except (OSError, ValueError, ImportError, NotImplementedError, MemoryError, NotFiniteError) as error:
        _complain("\n".join([str(error), *getattr(error, "__notes__", [])]))  # a note says in which layer
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(message: str, style: str = "red") -> None:
    Console(stderr=True, highlight=False).print(f"minidl: {message}", style=style, markup=False, soft_wrap=True)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """A warning as a line of its own; the lines of code that Python adds say nothing to who types a command."""
    _complain(str(message), style="yellow")


def _train(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe

    if "" in (options.out, options.resume, options.weights):
        raise UsageError("expected a path, got an empty text for --out, --resume or --weights")
    given = {name: value for name, value in vars(options).items() if name not in ("command", "resume", "out", "model")}
    if options.resume is not None:
        changed = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
        if changed not in ([], ["--data-dir"]) or options.model or options.out:
            raise UsageError("--resume goes on with the settings of the run; only --data-dir can be given with it")
        finished = recipe.resume(options.resume, options.data_dir, console)
    else:
        if options.model is None:
            raise UsageError(f"expected a model to train: one of {', '.join(recipe.MODELS)}")
        chosen = {name: value for name, value in given.items() if value is not None}
        try:
            settings = recipe.Settings(options.model, **chosen)
        except ValueError as error:
            raise UsageError(str(error)) from None
        finished = recipe.train_new(settings, options.out, console)
    return 0 if finished else INTERRUPTED


def _evaluate(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe

    scores = recipe.evaluate_run(options.run, options.data_dir, options.backend, console)
    if not math.isfinite(scores["loss"]):
        raise NotFiniteError(f"{options.run}: the loss on the test images is {scores['loss']}")
    if options.json:
        _print_json({"run": options.run, **scores})
    else:
        console.print(f"loss {scores['loss']:.4f}  accuracy {scores['accuracy']:.2%}")
    return 0


def _predict(options: argparse.Namespace, console: Console) -> int:
    from minidl.display import print_prediction
    from minidl.prediction import predict, read_pictures

    if options.top < 1:
        raise UsageError(f"expected --top of at least 1, got {options.top}")
    pictures, problems = read_pictures(options.images)
    predictions = predict(options.run, pictures, options.backend)
    for problem in problems.values():
        _complain(problem)
    if options.json:
        images = [found.as_json(options.top) for found in predictions]
        _print_json({"run": options.run, "images": images, "problems": problems})
    else:
        for found in predictions:
            print_prediction(console, found, options.top, options.picture)
    return 1 if problems else 0


def _summary(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe
    from minidl.display import print_summary
    from minidl.summary import summarise

    if options.model not in recipe.MODELS and not Path(options.model).is_dir():
        raise UsageError(
            f"unknown model {options.model!r}: choose one of {', '.join(recipe.MODELS)}, or name a run folder"
        )
    if min(options.input_shape) < 1 or (options.batch_size is not None and options.batch_size < 1):
        raise UsageError(f"expected --input-shape and --batch-size of at least 1, got {options.input_shape} and "
                         f"{options.batch_size}")  # fmt: skip
    settings = recipe.settings_of(options.model)
    batch_size = options.batch_size or settings.batch_size
    memories = len(make_optimiser(settings.optimiser, settings.rates).memories)
    summary = summarise(recipe.build(settings), options.input_shape, batch_size, memories)
    if options.json:
        layers, total = [asdict(row) for row in summary.rows[1:]], asdict(summary.total)
        _print_json({"model": options.model, "input_shape": summary.input_shape, "layers": layers, "total": total})
    else:
        print_summary(console, summary, settings.optimiser)
    return 0


def _export(options: argparse.Namespace, console: Console) -> int:
    from minidl.export import export

    console.print(export(options.source, options.format, options.out), markup=False, soft_wrap=True)
    return 0


def _devices(options: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from minidl.devices import devices
    from minidl.display import print_table

    if options.json:
        _print_json({"devices": [asdict(device) for device in devices()]})
        return 0
    table = Table("backend", "can be used", "what it is, or what is missing")
    for device in devices():
        table.add_row(device.backend, "yes" if device.usable else "no", escape(device.description))
    print_table(console, table)
    return 0


def _check(options: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from minidl.checks import run_checks
    from minidl.display import print_table

    backends = options.backend or ["reference", "cpu"]
    table = Table("", *(f"{backend}: gradient, its gradient" for backend in backends))
    failures = 0
    checked: list[Result] = []
    for results in zip(*(run_checks(backend) for backend in backends), strict=True):
        checked += results
        table.add_row(escape(results[0].name), *(_verdict(result) for result in results))
        for result in results:
            if result.failure is not None:
                failures += 1
                console.print(f"{result.backend}: {result.failure}", style="red", markup=False, soft_wrap=True)
    if options.json:
        right = len(checked) - failures
        _print_json({"checks": [asdict(result) for result in checked], "right": right, "wrong": failures})
        return 1 if failures else 0
    print_table(console, table)
    console.print("Numbers are the largest error, relative to the largest number of the same gradient; float64.")
    console.print(f"{len(checked) - failures} right, {failures} wrong")
    return 1 if failures else 0


def _exercise(options: argparse.Namespace, console: Console) -> int:
    from minidl.exercises.command import run

    return run(options, console)


def _verdict(result: Result) -> str:
    errors = (result.first_order, result.second_order)
    return "  ".join("[red]wrong[/]" if error is None else f"{error:.0e}" for error in errors)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minidl", description="A deep-learning framework to read in an afternoon.",
        epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"minidl {minidl.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a network on CIFAR-10 or Digits", description=_train_text())
    train.set_defaults(command=_train)
    train.add_argument("model", nargs="?", metavar="MODEL", help="such as vgg19, or vgg19-plain without batch norm")
    train.add_argument("--data", choices=["auto", "cifar10", "digits"], help="auto: CIFAR-10 if to be had, else Digits")
    train.add_argument("--data-dir", metavar="DIR", help="where CIFAR-10 lies, or is to be put")
    train.add_argument("--epochs", type=int, metavar="N", help="passes over the data (20)")
    train.add_argument("--batch-size", type=int, metavar="N", help="images in a step (64)")
    train.add_argument("--learning-rate", type=float, metavar="X", help=f"the highest of the schedule ({_rates()})")
    train.add_argument("--optimiser", choices=list(OPTIMISERS), help="what turns gradients into steps (momentum)")
    train.add_argument("--momentum", type=float, metavar="X", help="of the optimisers momentum and nesterov (0.9)")
    train.add_argument("--weight-decay", type=float, metavar="X", help="how strongly weights shrink (0; adamw: 0.01)")
    train.add_argument("--clip-norm", type=float, metavar="X", help="shorten gradients whose norm is above X")
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

    evaluate = commands.add_parser("evaluate", help="loss and accuracy of a run on the test images")
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("run", metavar="DIR", help="the run folder")
    evaluate.add_argument("--data-dir", metavar="DIR", help="where CIFAR-10 lies")

    predict = commands.add_parser("predict", help="what a trained network sees in images", description=_predict_text())
    predict.set_defaults(command=_predict)
    predict.add_argument("run", metavar="RUN", help="the run folder, or a checkpoint in one")
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="image files, such as cat.jpg")
    predict.add_argument("--top", type=int, default=5, metavar="N", help="show the N most probable classes (5)")
    predict.add_argument("--picture", action="store_true", help="show what the network is given, on a terminal")

    summary = commands.add_parser("summary", help="layers of a network: shapes, parameters, multiply-adds, memory")
    summary.set_defaults(command=_summary)
    summary.add_argument("model", metavar="MODEL", help="such as vgg19, or a run folder")
    summary.add_argument(
        "--input-shape", type=int, nargs=3, default=[32, 32, 3], metavar=("H", "W", "C"), help="of one image (32 32 3)"
    )
    summary.add_argument("--batch-size", type=int, metavar="N", help="images in a step (64, or that of the run)")

    export = commands.add_parser("export", help="write a network to a file for another library")
    export.set_defaults(command=_export)
    export.add_argument("source", metavar="RUN_OR_MODEL", help="a run folder, or a model such as vgg19, untrained")
    export.add_argument("--format", required=True, choices=["onnx", "torchvision", "keras"], help="whose file it is")
    export.add_argument("--out", required=True, metavar="FILE", help="for Keras NAME.weights.h5")

    list_devices = commands.add_parser("devices", help="which backends can be used on this machine, and why not")
    list_devices.set_defaults(command=_devices)

    check = commands.add_parser("check", help="check the gradients of every function and layer, and print a table")
    check.set_defaults(command=_check)
    check.add_argument("--backend", action="append", choices=BACKENDS, help="(reference and cpu)")

    exercise = commands.add_parser("exercise", help="write an op's kernels yourself", description=_exercise_text())
    exercise.set_defaults(command=_exercise)
    exercise.add_argument("op", choices=EXERCISES, metavar="OP", help=", ".join(EXERCISES))
    exercise.add_argument("--out", metavar="FILE", help="the file to write (OP.py)")
    exercise.add_argument("--check", action="store_true", help="check what you have written")
    exercise.add_argument("--file", metavar="FILE", help="the file to check (OP.py)")

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
    return "Train MODEL. Ctrl-C finishes the step and saves; --resume goes on as if nothing had happened."


def _exercise_text() -> str:
    return "Write a file with OP's kernels, their bodies left to you. --check compares yours, and trains with them."


def _predict_text() -> str:
    return (
        "The most probable classes of each image. It is turned the way its camera says, made RGB, cut to the square in "
        "its middle and resized to 32 x 32 pixels (the digits are white ink on black). Images that cannot be read are "
        "named and the others predicted; the exit code is 1 then. Takes Pillow: pip install 'minidl[images]'."
    )


if __name__ == "__main__":
    sys.exit(main())
