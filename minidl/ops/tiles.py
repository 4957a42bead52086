"""How many blocks compute a product of matrices: the host's side of products.cuh."""

from minidl.ops.cuda import blocks

SIDE, TILE_THREADS = 64, 256  # see products.cuh
ENOUGH_BLOCKS = 264  # two for each multiprocessor of the largest card so far
LEAST_DEPTH = 256  # of a chunk: below, adding the chunks up costs more than they gain


def tile_grid(rows: int, columns: int, depth: int, groups: int = 1) -> tuple[tuple[int, int, int], int]:
    """(grid, chunks): blocks for the tiles of each group, and into how many parts sums of `depth` terms are cut.

    It depends on nothing but these sizes, so that results are the same on every card.
    """
    tiles = blocks(rows, SIDE), blocks(columns, SIDE)
    wanted = blocks(ENOUGH_BLOCKS, max(1, tiles[0] * tiles[1] * groups))
    chunks = max(1, min(wanted, blocks(depth, LEAST_DEPTH)))
    return (*tiles, groups * chunks), chunks
