"""CUDA: products of matrices by cuBLAS, or by the tiled kernel in gpu.cu, which shows how they are computed.

dense.gpu.use_cublas = False
"""

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, empty, flags, matmul
from minidl.ops.tiles import TILE_THREADS, added_up, tile_grid

_cuda = CudaFile(__file__)
use_cublas = True


def forward(x: Array, weight: Array, bias: Array) -> Array:
    return _product(x, weight) + bias


def input_gradient(dy: Array, weight: Array) -> Array:
    return _product(dy, weight, transpose_b=True)


def weight_gradient(dy: Array, x: Array) -> Array:
    return _product(x, dy, transpose_a=True)


def _product(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    if use_cublas:
        return matmul(a.T if transpose_a else a, b.T if transpose_b else b)
    depth, rows = a.shape if transpose_a else a.shape[::-1]
    columns = b.shape[0] if transpose_b else b.shape[1]
    grid, chunks = tile_grid(rows, columns, depth)
    sums = empty((chunks, rows, columns), a.dtype)
    kernel = f"multiply<T, {flags(not transpose_a, transpose_b)}>"
    _cuda.launch(kernel, a.dtype, grid, (TILE_THREADS,), a, b, sums, rows, columns, depth,
                 a.shape[1], b.shape[1])  # fmt: skip
    return added_up(sums)
