"""Sums over many rows, one for each channel: of a bias's gradient, of batch norm's statistics.

They are taken for a fixed number of blocks of rows, which the threads share, and then added up in order: the result is
the same for any number of threads. In a block, so many rows as lose no digits are summed as they are, which is fast,
and their sums in float64.
"""

from minidl.ops.compiling import compiled

BLOCKS = 32
TOGETHER = 16  # rows, of which the rounding errors partly cancel


@compiled
def block_of(x, block):
    """The rows of x (rows, channels) that belong to this block."""
    return x[block * len(x) // BLOCKS : (block + 1) * len(x) // BLOCKS]


@compiled
def groups_of(x):
    """How many groups of TOGETHER rows x has."""
    return (len(x) + TOGETHER - 1) // TOGETHER


@compiled
def group_of(x, group):
    """The TOGETHER rows of x, or those that are left, that belong to this group."""
    return x[group * TOGETHER : (group + 1) * TOGETHER]


@compiled
def move(sums, totals):
    """totals += sums; sums = 0."""
    for c in range(sums.size):
        totals[c] += sums[c]
        sums[c] = 0
