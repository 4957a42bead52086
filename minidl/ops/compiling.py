"""`@compiled` makes a CPU kernel of a Python function: what Numba's @njit does, with minidl's cache and threads.

A kernel is compiled when it is first called with arguments of these types, and kept on disk (kernel_cache.py). With
parallel=True, the iterations of its prange() loops are shared by threads, unless its arrays hold only few numbers; such
a kernel is called from Python only.
"""

import sys
from collections.abc import Callable
from functools import partial, wraps
from threading import RLock
from typing import Any, overload

import numba
import numpy
from numba.core import event

from minidl.ops.blocks import FEW
from minidl.ops.kernel_cache import KernelCache
from minidl.ops.threads import thread_count

Function = Callable[..., Any]

_one_at_a_time = RLock()


@overload
def compiled(function: Function, /) -> Any: ...
@overload
def compiled(**options: Any) -> Callable[[Function], Any]: ...
def compiled(function: Function | None = None, /, **options: Any) -> Any:
    """Compile a function of minidl/ops: `@compiled` or `@compiled(parallel=True)`, with the options of Numba's @njit.

    ValueError for a function from elsewhere, whose changes the cache would not notice.
    """
    if function is None:
        return partial(_compile, options)
    return _compile(options, function)


def _compile(options: dict[str, Any], function: Function) -> Any:
    wrappers = {"no_cpython_wrapper": not options.get("parallel"), "no_cfunc_wrapper": True}
    kernel = numba.njit(**wrappers, **options)(function)
    kernel._cache = KernelCache(function)  # where njit(cache=True) puts Numba's own
    return _launched(kernel) if options.get("parallel") else kernel


class _WhileCompiling(event.Listener):
    """What happens while Numba compiles a kernel: a line on stderr, and LLVM optimises no more than it must."""

    LINE = "minidl: compiling kernels for this processor, once (less than a minute)…"
    LEVEL = 2  # at 3, which Numba asks LLVM for, compiling takes a quarter longer, and the kernels are no faster

    def __init__(self) -> None:
        self.kernels: list[tuple[str, int]] = []  # a kernel and the functions it calls, with Numba's level before each
        self.width = 0  # of what stands on the terminal
        self.said = False

    def on_start(self, event: Any) -> None:
        if isinstance(event.data["dispatcher"]._cache, KernelCache):
            self.kernels.append((event.data["dispatcher"]._cache.name, numba.config.OPT))
            numba.config.OPT = type(numba.config.OPT)(min(numba.config.OPT, self.LEVEL))
            self._show()

    def on_end(self, event: Any) -> None:
        if isinstance(event.data["dispatcher"]._cache, KernelCache):
            _, numba.config.OPT = self.kernels.pop()
            self._show()

    def _show(self) -> None:
        """On a terminal, the line stays for as long as it takes; elsewhere it is written once."""
        if sys.__stderr__ and sys.stderr is sys.__stderr__ and sys.stderr.isatty():
            text = f"{self.LINE} {self.kernels[0][0]}" if self.kernels else ""
            print(f"\r{text.ljust(self.width)}", end="" if text else "\r", file=sys.stderr, flush=True)
            self.width = len(text)
        elif not self.said:  # progress bars, too, replace sys.stderr: they print whole lines above themselves
            print(self.LINE, file=sys.stderr)
        self.said = True


event.register("numba:compile", _WhileCompiling())


def _launched(kernel: Any) -> Function:
    """The kernel, called with all threads for itself, or with one where that is faster.

    Numba has a number of threads for each Python thread, which other kernels than ours rely on, and threads that some
    systems fall back on (its workqueue) abort the process when two Python threads use them at once.
    """

    @wraps(kernel)
    def launch(*arguments: Any) -> Any:
        few = all(array.size <= FEW for array in arguments if isinstance(array, numpy.ndarray))
        with _one_at_a_time:
            before = numba.get_num_threads()
            numba.set_num_threads(1 if few else thread_count())
            try:
                return kernel(*arguments)
            finally:
                numba.set_num_threads(before)

    return launch
