"""CUDA: the reference with a warp for each row."""

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, blocks, empty_like

_cuda = CudaFile(__file__)
LANES, WARPS = 32, 8  # the threads of a block: rows of scores, and lanes for each


def softmax(x: Array) -> Array:
    return _by_rows("softmax<T>", x)


def logsoftmax(x: Array) -> Array:
    return _by_rows("logsoftmax<T>", x)


def _by_rows(kernel: str, x: Array) -> Array:
    y, classes = empty_like(x), x.shape[-1]
    rows = x.size // classes
    _cuda.launch(kernel, x.dtype, (blocks(rows, WARPS),), (LANES, WARPS), x, y, rows, classes)
    return y
