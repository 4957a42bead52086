"""Common mistakes: they are made when the page is built, so what is shown is what the framework says today."""

from __future__ import annotations

import html
import io
import warnings
from contextlib import redirect_stdout

import numpy

import minidl
from minidl import functions, losses, optimisers
from minidl.explain.markup import highlighted
from minidl.randomness import current_seed, seed


def mistake(code: str) -> str:
    """The code and what comes of it: what it prints, warnings, and the error. ValueError when nothing comes of it."""
    said = _run(code)
    if not said:
        raise ValueError(f"this is no mistake any more, nothing is said about it:\n{code}")
    return highlighted(code, "python") + f'<pre class="error" tabindex="0"><code>{html.escape(said)}</code></pre>'


def _run(code: str) -> str:
    """What the code prints and warns of, and the error that ends it. Every name of the framework is known to it."""
    names = {name: getattr(functions, name) for name in functions.__all__}
    names |= {name: getattr(minidl, name) for name in minidl.__all__}
    names |= {"numpy": numpy, "losses": losses, "optimisers": optimisers, "functions": functions}
    printed, before = io.StringIO(), current_seed()
    error = []
    try:
        seed(0)
        with warnings.catch_warnings(record=True) as caught, redirect_stdout(printed):
            warnings.simplefilter("always")
            exec(code, names)
    except Exception as problem:
        error = [f"{type(problem).__name__}: {problem}", *getattr(problem, "__notes__", [])]
    finally:
        seed(before)
    warned = [f"{warning.category.__name__}: {warning.message}" for warning in caught]
    return "\n".join([*printed.getvalue().splitlines(), *warned, *error])
