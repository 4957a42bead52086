"""`@compiled` makes a CPU kernel of a Python function: what Numba's @njit does, with minidl's cache and threads.

A kernel is compiled when it is first called with arguments of these types, and kept on disk (kernel_cache.py). With
parallel=True, the iterations of its prange() loops are shared by threads, unless its arrays hold only few numbers; such
a kernel is called from Python only.
"""

import atexit
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from threading import RLock
from typing import Any, overload

import numba
import numpy
from numba.core import event

from minidl.ops.blocks import FEW
from minidl.ops.kernel_cache import KernelCache
from minidl.ops.threads import processors, thread_count

Function = Callable[..., Any]

_one_at_a_time = RLock()


@overload
def compiled(function: Function, /) -> Any: ...
@overload
def compiled(**options: Any) -> Callable[[Function], Any]: ...
def compiled(function: Function | None = None, /, **options: Any) -> Any:
    """Compile a function of minidl/ops: `@compiled` or `@compiled(parallel=True)`, with the options of Numba's @njit.

    ValueError for a function from elsewhere, whose changes the cache would not notice; ImportError where Numba has been
    told to compile nothing.
    """
    if function is None:
        return partial(_compile, options)
    return _compile(options, function)


def _compile(options: dict[str, Any], function: Function) -> Any:
    if numba.config.DISABLE_JIT:
        raise ImportError("kernels cannot be compiled while the environment variable NUMBA_DISABLE_JIT is set; unset "
                          "it, or compute on backend 'reference'")  # fmt: skip
    kernel = numba.njit(no_cfunc_wrapper=True, **options)(function)  # nobody calls kernels from C
    kernel._cache = KernelCache(function)  # where njit(cache=True) puts Numba's own
    kernel.get_call_template = partial(_find_overload, kernel.get_call_template)
    return _launched(kernel) if options.get("parallel") else kernel


def _find_overload(find: Function, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """For a call from another kernel. A constant has a type of its own, for which Numba would compile once more."""
    return find(tuple(map(numba.types.unliteral, arguments)), named)


class Progress(event.Listener):
    """What happens while Numba compiles a kernel.

    A line on stderr says so, LLVM optimises no more than it must, and when it takes longer, a second process helps.
    """

    LINE = "minidl: compiling kernels for this processor, once (less than a minute)…"
    LEVEL = 2  # at 3, which Numba asks LLVM for, compiling takes a quarter longer, and the kernels are no faster
    PATIENCE = 0.5  # seconds; starting Python takes as long

    def __init__(self) -> None:
        self.kernels: list[tuple[str, int]] = []  # a kernel and the functions it calls, with Numba's level before each
        self.width = 0  # of what stands on the terminal
        self.said = False
        self.alone = processors() > 1  # whether a second process can help, and has not been started
        self.began = 0.0

    def on_start(self, event: Any) -> None:
        cache = event.data["dispatcher"]._cache
        if isinstance(cache, KernelCache):
            self.kernels.append((cache.name, numba.config.OPT))
            numba.config.OPT = type(numba.config.OPT)(min(numba.config.OPT, self.LEVEL))
            self._show()
            self.began = self.began or time.monotonic()
            can_share = cache.locks[-1] is not None
            if self.alone and can_share and time.monotonic() > self.began + self.PATIENCE:
                self.alone = False
                _start_second_process()

    def on_end(self, event: Any) -> None:
        dispatcher = event.data["dispatcher"]
        if isinstance(dispatcher._cache, KernelCache):
            _, numba.config.OPT = self.kernels.pop()
            self._show()
            if tuple(event.data["args"]) not in dispatcher.overloads:  # it failed, so nothing will be saved
                dispatcher._cache.unlock()

    def _show(self) -> None:
        """On a terminal, the line stays for as long as it takes; elsewhere it is written once."""
        if sys.__stderr__ and sys.stderr is sys.__stderr__ and sys.stderr.isatty():
            text = f"{self.LINE} {self.kernels[0][0]}" if self.kernels else ""
            print(f"\r{text.ljust(self.width)}", end="" if text else "\r", file=sys.stderr, flush=True)
            self.width = len(text)
        elif not self.said:  # progress bars, too, replace sys.stderr: they print whole lines above themselves
            print(self.LINE, file=sys.stderr)
        self.said = True


def _start_second_process() -> None:
    """See compile_ahead.py. Where it cannot be started, this process compiles everything itself."""
    here = str(Path(__file__).parents[2])  # last on the path, and no folder of the user's first (-P): nothing is hidden
    code = f"import sys; sys.path.append({here!r}); from minidl.ops.compile_ahead import main; main()"
    with suppress(OSError):
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


progress = Progress()
event.register("numba:compile", progress)


def _launched(kernel: Any) -> Function:
    """The kernel, called with all threads for itself, or with one where that is faster.

    Numba has a number of threads for each Python thread, which other kernels than ours rely on, and threads that some
    systems fall back on (its workqueue) abort the process when two Python threads use them at once.
    """

    @wraps(kernel)
    def launch(*arguments: Any) -> Any:
        many = any(isinstance(array, numpy.ndarray) and array.size > FEW for array in arguments)
        with _one_at_a_time:
            before, threads = numba.get_num_threads(), thread_count() if many else 1
            if threads != before:  # rarely; to set it takes longer than to ask
                numba.set_num_threads(threads)
            try:
                return kernel(*arguments)
            finally:
                if threads != before:
                    numba.set_num_threads(before)

    return launch
