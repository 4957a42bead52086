"""Sums over all axes but the last, on a GPU: the host's side of column_sums.cuh."""

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, blocks, empty

COLUMNS, SLICES = 32, 8  # of a block's threads
CHUNK = 256  # rows, at least
MOST_CHUNKS = 128


def summed_columns(cuda: CudaFile, kernel: str, sums: int, x: Array, *known: object) -> Array:
    """What a kernel that ends in sum_columns() adds up over the rows of x (..., c): (sums, c) in float64.

    The kernel takes x, what else is `known`, the sums of each chunk, and how many rows and columns there are.
    """
    columns = x.shape[-1]
    rows = x.size // columns if columns else 0
    chunks = max(1, min(blocks(rows, CHUNK), MOST_CHUNKS))
    of_chunks = empty((sums, chunks, columns), "float64")
    grid, block = (blocks(columns, COLUMNS), chunks), (COLUMNS, SLICES)
    cuda.launch(kernel, x.dtype, grid, block, x, *known, of_chunks, rows, columns)
    return of_chunks.sum(1, dtype="float64")
