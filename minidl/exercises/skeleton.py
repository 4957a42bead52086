"""The file that a student starts with: reference.py, read with `ast`, without the bodies that are to be written.

Signatures, helpers and imports are those of reference.py; what is to be computed is said in the words of op.py.
"""

import ast
import re
import textwrap
from pathlib import Path
from types import ModuleType

from minidl.exercises.lessons import Kernel, Lesson
from minidl.ops.windows import Windows
from minidl.training.checkpoint import replace_file

ABOUT_ARRAYS = """\
Arrays are NumPy's, in float32 or float64; results have the type of the inputs. Shapes have been checked before a kernel
is called, and a kernel leaves its inputs as they are, unless it says that it changes them."""
NUMBERS_OF_WINDOWS = f"""\
What the formulas call kh, kw, stride, pad and dilation is in `windows`, a tuple with the names
{", ".join(Windows._fields)}.
output_shape(windows, h, w) is (out_h, out_w)."""


def write_skeleton(lesson: Lesson, path: str) -> None:
    """Write the skeleton to a new file. FileExistsError when there is one: nobody's work is overwritten."""
    if Path(path).exists():
        raise FileExistsError(f"{path} exists already: name another file with --out, or check it with --check")
    replace_file(path, lambda temporary: temporary.write_text(skeleton(lesson, path), encoding="utf-8"))


def skeleton(lesson: Lesson, path: str) -> str:
    """The text of the file, which will be found at `path`."""
    source = _source(lesson.reference)
    tree, lines = ast.parse(source), source.splitlines()
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    kernels = {kernel.name: kernel for kernel in lesson.kernels}
    unconcerned = _unconcerned(functions, set(kernels))
    documented = _documented(lesson.definition)
    last_import = max(node.lineno for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    for node in reversed(tree.body):  # from the end, so that line numbers stay right
        name = getattr(node, "name", "")
        if name in kernels:
            text = _to_be_written(kernels[name], functions[name], lines, documented)
        elif name in unconcerned:
            text = []
        else:
            continue
        lines[node.lineno - 1 : node.end_lineno] = text
    if unconcerned:
        imported = ", ".join(sorted(unconcerned))
        lines[last_import:last_import] = ["", f"from {lesson.reference.__name__} import {imported}  # stay as they are"]
    body = "\n".join(lines[tree.body[0].end_lineno :])
    return _head(lesson, path, body) + re.sub(r"\n{4,}", "\n\n\n", body).rstrip("\n") + "\n"


def _source(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def _unconcerned(functions: dict[str, ast.FunctionDef], kernels: set[str]) -> list[str]:
    """Public functions that call no kernel to be written, not even through others: they can be imported."""
    concerned = set(kernels)
    while True:
        more = {name for name, node in functions.items() if name not in concerned and _calls(node) & concerned}
        if not more:
            return [name for name in functions if name not in concerned and not name.startswith("_")]
        concerned |= more


def _calls(node: ast.AST) -> set[str]:
    """The functions that it calls by name."""
    functions = [inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    return {function.id for function in functions if isinstance(function, ast.Name)}


def _documented(module: ModuleType) -> dict[str, str]:
    """The docstring of each function of a module, without the errors, which no kernel raises; under "" its own."""
    tree = ast.parse(_source(module))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    texts = {node.name: ast.get_docstring(node) or "" for node in functions}
    without_errors = {name: re.sub(r"\s*\bValueError [^.]*\.", "", text) for name, text in texts.items()}
    return {"": ast.get_docstring(tree) or ""} | without_errors


def _head(lesson: Lesson, path: str, body: str) -> str:
    names = ", ".join(kernel.name for kernel in lesson.kernels)
    parts = [
        f"Exercise {lesson.name}: write {names}.",
        _documented(lesson.definition)[""],
        *([NUMBERS_OF_WINDOWS] if "windows: Windows" in body else []),
        ABOUT_ARRAYS,
        f"What minidl says to yours:\n\n    minidl exercise {lesson.name} --check --file {Path(path).name}",
    ]
    return '"""' + "\n\n".join(parts) + '\n"""\n'


def _to_be_written(kernel: Kernel, node: ast.FunctionDef, lines: list[str], documented: dict[str, str]) -> list[str]:
    """The kernel's signature, what it computes, and an error in place of its body."""
    signature = lines[node.lineno - 1 : node.body[0].lineno - 1]
    said = [documented[kernel.described], ast.get_docstring(node)]
    docstring = "\n\n".join(text for text in said if text)
    end = "\n    " if "\n" in docstring else ""
    quoted = textwrap.indent(f'"""{docstring}', "    ") + f'{end}"""'
    task = textwrap.indent(f'raise NotImplementedError("{kernel.name}: {kernel.task}")', "    ")
    return [*signature, *quoted.splitlines(), task]
