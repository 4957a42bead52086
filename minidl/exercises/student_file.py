"""A student's file as a module, and what its errors look like: with the line of the file, without those of minidl."""

import importlib.util
import sys
import traceback
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType

from minidl.exercises.lessons import Lesson

LONGEST = 600  # characters of an error's message; Numba can say much more


class StudentError(Exception):
    """The file cannot be used; the message says why and where."""


def load_kernels(lesson: Lesson, path: str) -> ModuleType:
    """Run the file; FileNotFoundError without one, StudentError when it fails or lacks a function of reference.py.

    It is compiled anew, without __pycache__: that goes by the second of the last change and the size, and a file that
    is corrected and checked at once may have the same.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected your kernels there; `minidl exercise {lesson.name}` writes the file")
    name = f"exercise_{lesson.name}"
    spec = importlib.util.spec_from_file_location(name, Path(path).resolve())
    if spec is None or not isinstance(spec.loader, SourceLoader):
        raise StudentError(f"{path}: expected a Python file, its name ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where Numba looks for it
    try:
        exec(spec.loader.source_to_code(Path(path).read_bytes(), str(Path(path).resolve())), vars(module))
    except (Exception, SystemExit) as error:
        raise StudentError(f"{path} cannot be imported: {described(error, path)}") from None
    missing = [kernel.name for kernel in lesson.kernels if not callable(getattr(module, kernel.name, None))]
    if missing:
        raise StudentError(
            f"{path}: expected functions {', '.join(missing)}, as `minidl exercise {lesson.name}` begins them"
        )
    return module


def described(error: BaseException, path: str | None) -> str:
    """The error in a line or two, and the last line of the file that it went through."""
    text = f"{type(error).__name__}: {error}"
    text = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    if isinstance(error, SyntaxError):
        return text  # which names the line
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if path and _is_same(frame.filename, path)]
    return f"{text}, in line {frames[-1].lineno}: {frames[-1].line}" if frames else text


def _is_same(filename: str, path: str) -> bool:
    return Path(filename).resolve() == Path(path).resolve()
