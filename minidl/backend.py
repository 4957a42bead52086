"""Where arrays live and which kernels run on them.

A backend is an array library (`xp`) plus the kernel file of the same name in every op's folder:

    "reference"   NumPy   ops/*/reference.py   the readable definition, slow
    "cpu"         NumPy   ops/*/cpu.py         Numba, on all cores
    "gpu"         CuPy    ops/*/gpu.py         CUDA, in ops/*/gpu.cu
"""

from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType, TracebackType
from typing import Any

import numpy

ARRAY_LIBRARIES = {"reference": "numpy", "cpu": "numpy", "gpu": "cupy"}

Array = Any  # numpy.ndarray or cupy.ndarray: the same methods on both

_default: ContextVar[str] = ContextVar("default_backend", default="cpu")


@dataclass(frozen=True)
class Backend:
    name: str
    xp: ModuleType

    def kernels(self, op_package: str | None) -> ModuleType:
        """This backend's kernel module for an op; `op_package` is the op's `__package__`."""
        return _kernel_module(f"{op_package}.{self.name}")

    def asarray(self, array: object, dtype: object = None) -> Array:
        """`array` on this backend in C order, which every kernel relies on; copied only if it must be."""
        if self.xp is numpy and not isinstance(array, numpy.ndarray) and hasattr(array, "get"):
            array = array.get()  # a CuPy array coming home
        return self.xp.asarray(array, dtype=dtype, order="C")

    def synchronise(self) -> None:
        """Wait for queued work to finish; call it before reading a clock."""
        if self.xp is not numpy:
            self.xp.cuda.get_current_stream().synchronize()


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
    """The backend of that name; ValueError for an unknown name, ImportError when its array library is missing."""
    if name not in ARRAY_LIBRARIES:
        raise ValueError(f"unknown backend {name!r}: choose one of {sorted(ARRAY_LIBRARIES)}")
    library = ARRAY_LIBRARIES[name]
    try:
        return Backend(name, import_module(library))
    except ImportError as error:
        raise ImportError(f"backend {name!r} needs {library}, which is not installed; use 'cpu'") from error


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
