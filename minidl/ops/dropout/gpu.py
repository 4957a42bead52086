"""CUDA: the reference with a thread for each number."""

import numpy

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, empty_like

_cuda = CudaFile(__file__)


# An array on a GPU has fewer than 2 ** 32 numbers (ops/cuda.py refuses others), so it is one block of the reference's


def apply(x: Array, rate: float, key: tuple[int, int, int]) -> Array:
    y = empty_like(x)
    threshold = numpy.uint32(rate * 2**32)
    seed, step, mask = (numpy.uint32(part % 2**32) for part in key)
    _cuda.launch_each("apply<T>", x.dtype, x.size, x, y, threshold, 1.0 - rate, seed, step, mask)
    return y
