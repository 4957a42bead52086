"""`@compiled` makes a CPU kernel of a Python function: what Numba's @njit does, with minidl's cache and threads.

A kernel is compiled when it is first called with arguments of these types, and kept on disk (kernel_cache.py). With
parallel=True, the iterations of its prange() loops are shared by threads; such a kernel is called from Python only.
"""

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any, overload

import numba

from minidl.ops.kernel_cache import KernelCache
from minidl.ops.threads import chosen_threads

Function = Callable[..., Any]

_one_at_a_time = RLock()


@overload
def compiled(function: Function, /) -> Any: ...
@overload
def compiled(*, parallel: bool = ..., fastmath: set[str] | bool = ...) -> Callable[[Function], Any]: ...
def compiled(function: Function | None = None, /, *, parallel: bool = False, fastmath: set[str] | bool = False) -> Any:
    """Compile a function of minidl/ops with Numba: `@compiled` or `@compiled(parallel=True, fastmath=CONTRACT)`.

    ValueError for a function from elsewhere, whose changes the cache would not notice.
    """
    if function is None:
        return lambda function: _compiled(function, parallel, fastmath)
    return _compiled(function, parallel, fastmath)


def _compiled(function: Function, parallel: bool, fastmath: set[str] | bool) -> Any:
    kernel = numba.njit(function, parallel=parallel, fastmath=fastmath)
    kernel._cache = KernelCache(function)  # where njit(cache=True) puts Numba's own
    return _launched(kernel) if parallel else kernel


def _launched(kernel: Any) -> Function:
    """The kernel, called with all threads for itself.

    Numba has a number of threads for each Python thread, which other kernels than ours rely on, and threads that some
    systems fall back on (its workqueue) abort the process when two Python threads use them at once.
    """

    @wraps(kernel)
    def launch(*arguments: Any) -> Any:
        with _one_at_a_time:
            before = numba.get_num_threads()
            numba.set_num_threads(chosen_threads() or before)
            try:
                return kernel(*arguments)
            finally:
                numba.set_num_threads(before)

    return launch
