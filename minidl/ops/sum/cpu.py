"""Numba: blocks of rows, each added up by itself, then the sums of the blocks in the same way.

With few columns, several rows are taken for one long row: the innermost loop always has many numbers side by side, each
with a float64 sum of its own. Four long rows are added to these at a time; in the end they are halved until one is left
for each column. Adding up in pairs and in blocks keeps the error small for float64 numbers, too. Where a block begins
depends on the shape alone, so the result is the same for any number of threads.
"""

import numpy as np
from numba import prange
from numpy.typing import DTypeLike, NDArray

from minidl.ops.compiling import compiled

LONG = 32  # numbers of a long row at most, if more than one row is in it
COLUMNS = 4096  # that are added up at a time: their sums stay in the caches
BLOCK = 2**13  # numbers of a block of rows, which has ROWS of them at least
ROWS = 128
LINE = 2048  # numbers in a single column that are added up in one loop
TASKS = 64  # that threads share
ALONE = 2**16  # numbers that one thread has added up before another one would be awake


def forward(x: NDArray, divisor: int, dtype: DTypeLike) -> NDArray:
    groups, rows, columns = x.shape
    block = max(ROWS, BLOCK // max(1, columns))
    blocks = max(1, -(-rows // block))
    sums = np.empty((groups, blocks, columns), np.float64 if blocks > 1 else dtype)
    pieces = groups * blocks * -(-columns // COLUMNS)
    divided_by = 1.0 if blocks > 1 else float(divisor)
    if x.size > ALONE:
        _add_pieces(x, block, divided_by, sums, pieces)
    else:
        _add_some_pieces(x, block, divided_by, sums, 0, pieces)
    return forward(sums, divisor, dtype) if blocks > 1 else sums.reshape(groups, columns)


@compiled(parallel=True)
def _add_pieces(x, block, divisor, sums, pieces):
    tasks = min(TASKS, pieces)
    for task in prange(tasks):
        _add_some_pieces(x, block, divisor, sums, pieces * task // tasks, pieces * (task + 1) // tasks)


@compiled
def _add_some_pieces(x, block, divisor, y, first, last):
    """A piece is a range of columns of a block of rows of a group; y[group, block] is its sum, divided."""
    (_, rows, columns), flat, flat_y, blocks = x.shape, x.reshape(-1), y.reshape(-1), y.shape[1]
    if columns == 1 and rows <= LINE:  # a piece is a group
        for group in range(first, last):
            flat_y[group] = _add_line(flat[group * rows : (group + 1) * rows]) / divisor
        return
    ranges, sums = (columns + COLUMNS - 1) // COLUMNS, np.empty(max(LONG, min(columns, COLUMNS)))
    for piece in range(first, last):
        group, number = piece // ranges // blocks, piece // ranges % blocks
        row, column = number * block, piece % ranges * COLUMNS
        count = min(COLUMNS, columns - column)
        numbers = flat[(group * rows + row) * columns + column :]
        target = (group * blocks + number) * columns + column
        _add_rows(numbers, min(block, rows - row), columns, sums, divisor, flat_y[target : target + count])


@compiled(fastmath={"reassoc"})  # adds up several numbers side by side
def _add_line(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@compiled
def _add_rows(x, rows, step, sums, divisor, y):
    """y[c] = the sum of x[row * step + c] over the rows, divided."""
    together = 1  # rows in a long one, which begins where the one before it ends
    while 2 * together * step <= LONG and 8 * together <= rows:
        together *= 2
    width, rest = together * len(y), rows % together
    sums[:width] = 0
    _add_long_rows(x, rows // together, together * step, sums[:width])
    _add_row(x[(rows - rest) * step :], sums[: rest * len(y)])
    while width > len(y):
        width //= 2
        _add_row(sums[width:], sums[:width])
    if divisor == 1:  # dividing takes longer than all else where rows are few
        for c in range(len(y)):
            y[c] = sums[c]
    else:
        for c in range(len(y)):
            y[c] = sums[c] / divisor


@compiled
def _add_long_rows(x, rows, step, sums):
    whole = rows - rows % 4
    for row in range(0, whole, 4):
        a, b, c, d = x[row * step :], x[(row + 1) * step :], x[(row + 2) * step :], x[(row + 3) * step :]
        for i in range(len(sums)):
            sums[i] += (np.float64(a[i]) + np.float64(b[i])) + (np.float64(c[i]) + np.float64(d[i]))
    for row in range(whole, rows):
        _add_row(x[row * step :], sums)


@compiled
def _add_row(x, sums):
    for i in range(len(sums)):
        sums[i] += x[i]
