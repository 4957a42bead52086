"""Everything is float32: what comes in otherwise is made so, as Keras does."""

from __future__ import annotations

from typing import Any

import numpy

from minidl.backend import Backend
from minidl.tensor import Tensor


def as_tensor(x: Any, backend: Backend) -> Tensor:
    """Arrays of any numbers as float32, as Keras casts inputs; tensors as they are."""
    if isinstance(x, Tensor):
        return x
    return Tensor(as_floats(x), backend)


def as_floats(x: Any) -> Any:
    """float32, unless the array has it already."""
    if not hasattr(x, "dtype"):
        x = numpy.asarray(x)
    if x.dtype == numpy.float32:
        return x
    if x.dtype.kind not in "biuf":
        raise TypeError(f"expected an array of numbers, got dtype {x.dtype}")
    return x.astype(numpy.float32)


def dtype_name(dtype: object) -> str:
    """ "float32" for None, a name, a NumPy dtype, or what Keras writes into files."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return "float32" if dtype is None else str(getattr(dtype, "__name__", dtype))
