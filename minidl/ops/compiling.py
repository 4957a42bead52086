"""`@compiled` makes a CPU kernel of a Python function: what Numba's @njit does, with minidl's cache and threads.

A kernel is compiled when it is first called with arguments of these types, and kept on disk (kernel_cache.py). With
parallel=True, the iterations of its prange() loops are shared by threads, unless its arrays hold only few numbers; such
a kernel is called from Python only.

A forked process has none of its parent's threads, and GNU OpenMP ends one that calls for them. So where the parent had
started them, the child runs the same functions compiled without parallel=True: prange() is then range(), and the
results have the same bits, since they do not depend on the number of threads.
"""

import atexit
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial, wraps
from pathlib import Path
from threading import RLock
from typing import Any, overload

import numba
import numpy
from llvmlite.binding import ffi
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from minidl.ops.blocks import FEW
from minidl.ops.kernel_cache import KernelCache
from minidl.ops.threads import lost_in_fork, processors, thread_count

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
    if not options.get("parallel"):
        return _dispatcher(options, function)
    serial = partial(_dispatcher, {**options, "parallel": False}, function, ".serial")
    return _launched(_dispatcher(options, function), cache(serial))


def _dispatcher(options: dict[str, Any], function: Function, version: str = "") -> Any:
    kernel = numba.njit(no_cfunc_wrapper=True, **options)(function)  # nobody calls kernels from C
    kernel._cache = KernelCache(function, version)  # where njit(cache=True) puts Numba's own
    kernel.get_call_template = partial(_find_overload, kernel.get_call_template)
    return kernel


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
        self.second: subprocess.Popen[bytes] | None = None

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
                self.second = _start_second_process()

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


def _start_second_process() -> subprocess.Popen[bytes] | None:
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
        return process
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


progress = Progress()
event.register("numba:compile", progress)


def _hold_still() -> None:
    """Before a fork: no other thread may be inside a kernel or compile one, for its locks would stay taken for ever."""
    _one_at_a_time.acquire()
    global_compiler_lock.acquire()
    ffi.lib._lock.__enter__()  # LLVM's, which a thread also takes when Python frees what it has compiled


def _go_on() -> None:
    ffi.lib._lock.__exit__()
    global_compiler_lock.release()
    _one_at_a_time.release()


def _go_on_in_child() -> None:
    _go_on()
    if progress.second is not None:  # the parent's: it compiles for it, and ends with it
        atexit.unregister(_end)
        if progress.second.stdin is not None:
            progress.second.stdin.close()
    progress.alone = progress.alone and not lost_in_fork()  # it would compile kernels that this process cannot use


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_still, after_in_parent=_go_on, after_in_child=_go_on_in_child)


def _launched(kernel: Any, serial: Callable[[], Function]) -> Function:
    """The kernel, called with all threads for itself, or with one where that is faster; `serial` makes the one that
    does without threads.

    Numba has a number of threads for each Python thread, which other kernels than ours rely on, and threads that some
    systems fall back on (its workqueue) abort the process when two Python threads use them at once.
    """

    @wraps(kernel)
    def launch(*arguments: Any) -> Any:
        if lost_in_fork():
            return serial()(*arguments)
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
