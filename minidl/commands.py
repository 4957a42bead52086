"""What each command of `minidl` does, from its options to its exit code. The options are in cli.py.

With --json, the document alone goes to stdout.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from minidl.choices import UsageError, make_optimiser
from minidl.training.diagnosis import NotFiniteError

if TYPE_CHECKING:
    from minidl.checks import Result

INTERRUPTED = 130  # the exit code of a program stopped by Ctrl-C


def train(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe

    if "" in (options.out, options.resume, options.weights):
        raise UsageError("expected a path, got an empty text for --out, --resume or --weights")
    given = {name: value for name, value in vars(options).items() if name not in ("command", "resume", "out", "model")}
    if options.resume is not None:
        changed = {name for name, value in given.items() if value is not None}
        if changed - {"data_dir", "epochs"} or options.model or options.out:
            raise UsageError("--resume goes on with the settings of the run; only --data-dir can be given with it, and "
                             "--epochs, to train for longer")  # fmt: skip
        if options.epochs is not None and options.epochs < 1:
            raise UsageError(f"expected epochs of at least 1, got {options.epochs}")
        finished = recipe.resume(options.resume, options.data_dir, console, options.epochs)
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


def evaluate(options: argparse.Namespace, console: Console) -> int:
    from minidl import recipe

    scores = recipe.evaluate_run(options.run, options.data_dir, options.backend, console)
    if not math.isfinite(scores["loss"]):
        raise NotFiniteError(f"{options.run}: the loss on the test images is {scores['loss']}")
    if options.json:
        _print_json({"run": options.run, **scores})
    else:
        console.print(f"loss {scores['loss']:.4f}  accuracy {scores['accuracy']:.2%}")
    return 0


def predict(options: argparse.Namespace, console: Console) -> int:
    from minidl import prediction
    from minidl.display import print_prediction

    if options.top < 1:
        raise UsageError(f"expected --top of at least 1, got {options.top}")
    pictures, problems = prediction.read_pictures(options.images)
    predictions = prediction.predict(options.run, pictures, options.backend)
    for problem in problems.values():
        complain(problem)
    if options.json:
        images = [found.as_json(options.top) for found in predictions]
        _print_json({"run": options.run, "images": images, "problems": problems})
    else:
        for found in predictions:
            print_prediction(console, found, options.top, options.picture)
    return 1 if problems else 0


def summary(options: argparse.Namespace, console: Console) -> int:
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


def export(options: argparse.Namespace, console: Console) -> int:
    from minidl import export as files

    console.print(files.export(options.source, options.format, options.out), markup=False, soft_wrap=True)
    return 0


def devices(options: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from minidl.devices import devices as found
    from minidl.display import print_table

    if options.json:
        _print_json({"devices": [asdict(device) for device in found()]})
        return 0
    table = Table("backend", "can be used", "what it is, or what is missing")
    for device in found():
        table.add_row(device.backend, "yes" if device.usable else "no", escape(device.description))
    print_table(console, table)
    return 0


def check(options: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from minidl.checks import run_checks
    from minidl.display import print_table

    backends = options.backend or ["reference", "cpu"]
    table = Table("", *(f"{backend}: gradient, its gradient" for backend in backends))
    checked: list[Result] = []
    for results in zip(*(run_checks(backend) for backend in backends), strict=True):
        checked += results
        table.add_row(escape(results[0].name), *(_verdict(result) for result in results))
        for result in results:
            problem, style = result.failure or result.undecided, "red" if result.failure else "yellow"
            if problem:
                console.print(f"{result.backend}: {problem}", style=style, markup=False, soft_wrap=True)
    verdicts = [result.verdict for result in checked]
    counts = {verdict: verdicts.count(verdict) for verdict in ("right", "wrong", "undecided")}
    done = 0 if counts["right"] == len(checked) else 1
    if options.json:
        rows = [{**asdict(result), "verdict": result.verdict} for result in checked]
        _print_json({"checks": rows, **counts})
        return done
    print_table(console, table)
    console.print("Numbers are the largest error of a number, relative to itself and less what rounding explains.")
    console.print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return done


def explain(options: argparse.Namespace, console: Console) -> int:
    from minidl.explain.atlas.atlas import TOPICS, explain_topic

    if options.topic == "run":
        return _explain_run(options, console)
    if options.run is not None:
        raise UsageError(f"a folder goes with run only: minidl explain run {options.run}")
    if options.images is not None or options.data_dir is not None:
        raise UsageError("--images and --data-dir go with run only: minidl explain run RUN_DIR")
    if options.topic not in (*TOPICS, *TOPICS.values()):
        raise UsageError(f"nothing is known of {options.topic!r}: choose one of {', '.join(TOPICS)}")
    page = explain_topic(options.topic, options.benchmarks)
    console.print(str(page.save(options.out or f"{options.topic}.html")), markup=False, soft_wrap=True)
    return 0


def _explain_run(options: argparse.Namespace, console: Console) -> int:
    from minidl.explain.network.pages import IMAGES, explain_run

    if options.run is None:
        raise UsageError("expected a run folder: minidl explain run RUN_DIR")
    if options.images is not None and options.images < 2:
        raise UsageError(f"expected --images of at least 2, got {options.images}")
    if options.benchmarks is not None:
        raise UsageError("--benchmarks goes with a layer's page: minidl explain conv --benchmarks FILE")
    page = explain_run(options.run, options.data_dir, options.images or IMAGES, console)
    console.print(str(page.save(options.out or "run.html")), markup=False, soft_wrap=True)
    return 0


def atlas(options: argparse.Namespace, console: Console) -> int:
    from minidl.explain.atlas.atlas import build_atlas
    from minidl.recipe import say

    build_atlas(options.out, options.benchmarks, say(console))
    return 0


def exercise(options: argparse.Namespace, console: Console) -> int:
    from minidl.exercises import LESSONS, check_exercise, write_skeleton
    from minidl.recipe import say

    lesson = LESSONS[options.op]
    if "" in (options.out, options.file):
        raise UsageError("expected the name of a file, got an empty text for --out or --file")
    if options.file is not None and not options.check:
        raise UsageError("expected --check with --file; --out names the file to write")
    if options.out is not None and options.check:
        raise UsageError("expected --out without --check; --file names the file to check")
    path = options.file or options.out or f"{lesson.name}.py"
    if options.check:
        return 0 if check_exercise(lesson, path, console) else 1
    write_skeleton(lesson, path)
    checking = f"minidl exercise {lesson.name} --check --file {shlex.quote(path)}"
    say(console)(f"Written: {path}. Fill it in, then:  {checking}")
    return 0


def _verdict(result: Result) -> str:
    errors = (result.first_order, result.second_order)
    problem = "[red]wrong[/]" if result.verdict == "wrong" else "[yellow]undecided[/]"
    return "  ".join(problem if error is None else f"{error:.0e}" for error in errors)


def complain(message: str, style: str = "red") -> None:
    with suppress(OSError):  # of a terminal that is gone
        Console(stderr=True, highlight=False).print(f"minidl: {message}", style=style, markup=False, soft_wrap=True)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))
