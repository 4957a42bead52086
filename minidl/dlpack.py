"""Arrays of other libraries as tensors, in the very same memory.

DLPack is the protocol by which array libraries lend each other memory (dmlc.github.io/dlpack): the lender has methods
__dlpack__ and __dlpack_device__, the borrower a function from_dlpack. The other direction is torch.from_dlpack(tensor),
numpy.from_dlpack(tensor): Tensor has both methods.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy

from minidl.backend import default_backend, get_backend
from minidl.tensor import Tensor

CPU, CUDA = 1, 2  # DLPack's numbers for where memory lies


class Lender(Protocol):
    """An array of NumPy, PyTorch, CuPy, JAX, TensorFlow, ..."""

    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[Any, int]: ...


def from_dlpack(x: Lender) -> Tensor:
    """A tensor of x's numbers, shape and dtype, in x's memory: a change of one is seen in the other.

    From a computer's own memory it is on the default backend, or on "cpu" if that is a GPU; from a CUDA device on
    "gpu". An array that is not in C order is copied, since kernels rely on that. TypeError for what lends no memory, or
    holds numbers that NumPy does not know; ValueError for another device; BufferError when x refuses, such as a PyTorch
    tensor that requires a gradient.
    """
    if not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: expected an array with __dlpack__, got a {type(x).__name__}; use Tensor(x)")
    kind, number = x.__dlpack_device__()
    if kind == CPU:
        try:
            array = numpy.from_dlpack(x)
        except RuntimeError as error:
            raise TypeError(f"from_dlpack: NumPy cannot hold these numbers ({error}); convert them, to float32 say, "
                            f"before") from None  # fmt: skip
        return Tensor(array, default_backend() if default_backend().is_host else "cpu")
    if kind == CUDA:
        gpu = get_backend("gpu")
        return Tensor(gpu.xp.from_dlpack(x), gpu)
    raise ValueError(f"from_dlpack: expected memory of the computer or of a CUDA device, got DLPack's device "
                     f"{int(kind), number}; copy it there before")  # fmt: skip
