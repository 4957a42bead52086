"""Where arrays live and which kernels run on them.

A backend is an array library (`xp`) plus the kernel file of the same name in every op's folder:

    "reference"   NumPy   ops/*/reference.py   the readable definition, slow
    "cpu"         NumPy   ops/*/cpu.py         Numba, on all cores
    "gpu"         CuPy    ops/*/gpu.py         CUDA, in ops/*/gpu.cu
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType, TracebackType
from typing import Any

import numpy

ARRAY_LIBRARIES = {"reference": "numpy", "cpu": "numpy", "gpu": "cupy"}
AFTER_FORK = ("this process was forked from one that had used CUDA, which does not survive that; start processes with "
              "multiprocessing.get_context('spawn')")  # fmt: skip
OLDEST_CARDS = {11: (3, 5), 12: (5, 0), 13: (7, 5)}  # compute capabilities, by CUDA's major version

# A decorator of functions that compute on arrays. There, nan and infinity simply appear, as IEEE 754 has them, without
# a warning or an error, whatever the caller has said to numpy.seterr().
ieee = numpy.errstate(all="ignore")

Array = Any  # numpy.ndarray or cupy.ndarray: the same methods on both

_default: ContextVar[str] = ContextVar("default_backend", default="cpu")
_cuda_process: int | None = None  # the process that has asked CUDA for something
_gpus: list["Backend"] = []  # none or one
_swapped: ContextVar[Mapping[str, ModuleType]] = ContextVar("swapped_kernels", default=MappingProxyType({}))


@dataclass(frozen=True)
class Backend:
    name: str
    xp: ModuleType

    def __reduce__(self) -> tuple[Callable[[str], "Backend"], tuple[str]]:
        """Copied and pickled as its name: there is one of each in a process."""
        return get_backend, (self.name,)

    @property
    def is_host(self) -> bool:
        """Whether arrays lie in the computer's own memory, where a number can be read without waiting for a device."""
        return self.xp is numpy

    def kernels(self, op_package: str | None) -> ModuleType:
        """This backend's kernel module for an op; `op_package` is the op's `__package__`."""
        path = f"{op_package}.{self.name}"
        return _swapped.get().get(path) or _kernel_module(path)

    def asarray(self, array: Any, dtype: object = None) -> Array:
        """`array` on this backend in C order, which every kernel relies on; copied only if it must be."""
        if self.is_host and not isinstance(array, numpy.ndarray) and hasattr(array, "__cuda_array_interface__"):
            array = array.get()  # a CuPy array coming home
        return self.xp.asarray(array, order="C") if dtype is None else _converted(self.xp, array, dtype)

    def synchronise(self) -> None:
        """Wait for queued work to finish; call it before reading a clock."""
        if not self.is_host:
            self.xp.cuda.get_current_stream().synchronize()


@ieee
def _converted(xp: ModuleType, array: Any, dtype: object) -> Array:
    return xp.asarray(array, dtype=dtype, order="C")


@cache
def _kernel_module(path: str) -> ModuleType:
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        op, backend = path.split(".")[-2:]
        raise NotImplementedError(f"{op} has no kernels for backend {backend!r} (no file {backend}.py)") from None


@cache
def get_backend(name: str) -> Backend:
    """The backend of that name; ValueError for an unknown name, ImportError when it cannot be used on this machine."""
    if name not in ARRAY_LIBRARIES:
        raise ValueError(f"unknown backend {name!r}: choose one of {sorted(ARRAY_LIBRARIES)}")
    problem = why_unusable(name)
    if problem is not None:
        raise ImportError(f"backend {name!r} cannot be used: {problem}. Backend 'cpu' works")
    backend = Backend(name, import_module(ARRAY_LIBRARIES[name]))
    if name == "gpu":
        _gpus.append(backend)
    return backend


def why_unusable(name: str) -> str | None:
    """What is missing on this machine for a backend, and what to do about it; None when nothing is."""
    if name != "gpu":
        return None
    global _cuda_process
    if _cuda_process not in (None, os.getpid()):
        return AFTER_FORK
    try:
        runtime = import_module("cupy").cuda.runtime
    except ImportError as error:
        return f"CuPy is missing ({error}); install it with: pip install 'minidl[gpu]'"
    _cuda_process = os.getpid()
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return f"there is no driver of an NVIDIA GPU that fits this CuPy ({error}); install or update the driver"
    if not count:
        return "there is no NVIDIA GPU"
    card = runtime.getDeviceProperties(0)
    oldest = OLDEST_CARDS[min(runtime.runtimeGetVersion() // 1000, max(OLDEST_CARDS))]
    if (card["major"], card["minor"]) < oldest:
        return (f"{card['name'].decode()} has compute capability {card['major']}.{card['minor']}, and this CuPy needs "
                f"{oldest[0]}.{oldest[1]}; a CuPy for an older CUDA, such as cupy-cuda12x, may do")  # fmt: skip
    try:
        import_module("cupy_backends.cuda.libs.nvrtc").getVersion()  # which compiles kernels
        import_module("cupy_backends.cuda.libs.cublas")  # which multiplies matrices
    except (ImportError, OSError, RuntimeError) as error:
        return f"CUDA's own libraries are missing ({error}); install them with: pip install 'cupy-cuda13x[ctk]'"
    return None


class _LostBackend(Backend):
    """What the gpu backend becomes in a forked process, for tensors that are on it: all that functions ask for raises
    RuntimeError, where CUDA's own errors would come late and say little."""

    @property
    def name(self) -> Any:
        raise RuntimeError(f"backend 'gpu': {AFTER_FORK}")

    xp = is_host = name


def _leave_cuda() -> None:
    for gpu in _gpus:
        object.__setattr__(gpu, "__class__", _LostBackend)
    get_backend.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_cuda)


def default_backend() -> Backend:
    """The backend of tensors that are made without naming one."""
    return get_backend(_default.get())


class use_backend:
    """Make `name` the backend of new tensors: for good, or only inside a `with` block.

    use_backend("reference")              # from now on, in this thread
    with use_backend("reference"): ...    # here only
    """

    def __init__(self, name: str) -> None:
        get_backend(name)
        self._token = _default.set(name)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _default.reset(self._token)


@contextmanager
def use_kernels(op: str, kernels: ModuleType) -> Iterator[None]:
    """`with use_kernels("conv2d", module):` backend "reference" computes that op with your module, and is the default.

    The module defines every public function of minidl/ops/conv2d/reference.py; ValueError names those that it lacks.
    Only tensors on "reference" notice, so make them, or the network, inside the block.
    """
    path = f"minidl.ops.{op}.reference"
    functions = [name for name, value in vars(_kernel_module(path)).items() if _is_defined_in(path, value)]
    missing = [name for name in functions if not hasattr(kernels, name)]
    if missing:
        raise ValueError(f"use_kernels: expected {kernels.__name__} to define {', '.join(functions)}, as "
                         f"minidl/ops/{op}/reference.py does; it lacks {', '.join(missing)}")  # fmt: skip
    token = _swapped.set({**_swapped.get(), path: kernels})
    try:
        with use_backend("reference"):
            yield
    finally:
        _swapped.reset(token)


def _is_defined_in(path: str, value: object) -> bool:
    """Whether it is a public function of that module, and not one that it imports."""
    return getattr(value, "__module__", None) == path and not getattr(value, "__name__", "_").startswith("_")
