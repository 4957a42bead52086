"""How the CPU kernels share work among threads.

Sums over many rows are taken for blocks of rows, one after the other, and then added up in order. How many blocks
depends on nothing but the number of rows: the result is the same for any number of threads. Few numbers are not shared
at all: waking another thread takes as long as working through them, and a time slice of the operating system, a
thousand times longer, when other processes use the processors.
"""

BLOCKS = 32  # at most
ROWS = 8  # of a block, at least
FEW = 2**14  # numbers in each array


def block_count(rows: int) -> int:
    """Into how many blocks so many rows are split for their sums."""
    return max(1, min(BLOCKS, rows // ROWS))
