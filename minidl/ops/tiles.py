"""How many blocks compute a product of matrices on a GPU: the host's side of tiles.cuh."""

from minidl.backend import Array
from minidl.ops.cuda import blocks

SIDE, TILE_THREADS = 64, 256  # see tiles.cuh
ENOUGH_BLOCKS = 384  # two or three for each multiprocessor: an A100 has 108 of them, an H100 132, an RTX 5090 170
LEAST_DEPTH = 256  # of a chunk: below, adding the chunks up costs more than they gain


def tile_grid(rows: int, columns: int, depth: int, groups: int = 1) -> tuple[tuple[int, int, int], int]:
    """(grid, chunks): blocks for the tiles of each group, and into how many parts sums of `depth` terms are cut.

    It depends on nothing but these sizes, and not on the card.
    """
    tiles = blocks(rows, SIDE), blocks(columns, SIDE)
    wanted = blocks(ENOUGH_BLOCKS, max(1, tiles[0] * tiles[1] * groups))
    chunks = max(1, min(wanted, blocks(depth, LEAST_DEPTH)))
    return (*tiles, groups * chunks), chunks


def added_up(sums: Array) -> Array:
    """The sum over chunks (chunks, ...), of which there is always at least one."""
    return sums[0] if len(sums) == 1 else sums.sum(0, dtype="float64").astype(sums.dtype)
