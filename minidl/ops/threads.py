"""How many threads the CPU kernels share: one number for the whole process, whichever Python thread calls them."""

import os
import sys

from minidl.operands import is_whole_number

_chosen: int | None = None
_lost = False


def set_threads(count: int) -> None:
    """Let the CPU kernels share `count` threads, from now on and in the whole process.

    Without it, they share as many as this process may use processors. Results have the same bits for any number, and
    the threads of other libraries are left alone. Call it while no kernel runs. ValueError unless `count` is a whole
    number from 1 to the number of processors, or to what the environment variable NUMBA_NUM_THREADS says.
    """
    import numba  # takes half a second, so not before it is needed

    most = numba.config.NUMBA_NUM_THREADS
    if not is_whole_number(count) or not 1 <= count <= most:
        raise ValueError(f"set_threads: expected a whole number from 1 to {most}, got {count!r}; for more threads, set "
                         f"the environment variable NUMBA_NUM_THREADS before Python starts")  # fmt: skip
    global _chosen
    _chosen = int(count)


def thread_count() -> int:
    """How many threads share a kernel that this Python thread launches now: kernels have so many scratch arrays."""
    import numba

    return 1 if _lost else _chosen or int(numba.get_num_threads())


def lost_in_fork() -> bool:
    """Whether this process was forked from one whose kernels had started threads: it has none of them."""
    return _lost


def _look_for_threads() -> None:
    """In a forked process: whether Numba had started its threads before."""
    global _lost
    parallel = sys.modules.get("numba.np.ufunc.parallel")  # not imported yet, it has started none
    _lost = _lost or bool(parallel and parallel._is_initialized)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_look_for_threads)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
