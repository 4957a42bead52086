"""CUDA: rows in chunks, then a sum over the chunks; in float64, since a batch has many thousands of rows."""

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, blocks, empty

_cuda = CudaFile(__file__)
COLUMNS, SLICES = 32, 8  # of a block's threads, see column_sums.cuh


def forward(x: Array) -> Array:
    return _sums_in_float64(x).astype(x.dtype)


def _sums_in_float64(x: Array) -> Array:
    return _summed_columns(_cuda, "sum_rows<T>", 1, x, x)[0]


def _summed_columns(cuda: CudaFile, kernel: str, sums: int, x: Array, *arguments: object) -> Array:
    """What a kernel built on sum_columns() adds up over all axes of x but the last: (sums, c) in float64.

    The number of chunks depends on nothing but the shape, so that the result is the same on every card.
    """
    columns = x.shape[-1]
    rows = x.size // columns if columns else 0
    chunks = max(1, min(blocks(rows, 256), 128))
    of_chunks = empty((sums, chunks, columns), "float64")
    cuda.launch(
        kernel, x.dtype, (blocks(columns, COLUMNS), chunks), (COLUMNS, SLICES), *arguments, of_chunks, rows, columns
    )
    return of_chunks.sum(1)
