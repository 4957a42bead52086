"""How many threads the CPU kernels share: one number for the whole process, whichever Python thread calls them."""

import os

from minidl.operands import is_whole_number

_chosen: int | None = None


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

    return _chosen or int(numba.get_num_threads())


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
