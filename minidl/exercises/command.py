"""`minidl exercise`: write the file that an exercise starts with, or check what has become of it."""

import argparse
import shlex

from rich.console import Console

from minidl.choices import UsageError
from minidl.exercises.checking import check_exercise
from minidl.exercises.lessons import LESSONS
from minidl.exercises.skeleton import write_skeleton
from minidl.recipe import say


def run(options: argparse.Namespace, console: Console) -> int:
    """The command with its options op, out, check and file; returns its exit code, see EXIT_CODES in minidl/cli.py."""
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
