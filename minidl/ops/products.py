"""The innermost loops of all matrix products: a tile that stays in registers (register_tile.py).

Calls take time, so each function computes many tiles.

    multiply_rows       c = a @ panel        a's rows lie anywhere at equal steps
    multiply_columns    c = a.T @ b          the same for the columns of a: weight gradients
    add_in_place        c += a @ b           for few rows of a and a large b, which is read once, where it lies

In the first two it is a tile of c, which stays until its sums are complete; in the third it is one of b.
All arrays are one-dimensional; `first` is the index of the tile's first number and `step` the distance between rows.
Sums run over k in order, so the result does not depend on who computes which tile.
"""

import numpy as np

from minidl.ops.compiling import compiled
from minidl.ops.copying import copy
from minidl.ops.register_tile import ROWS, add_products, add_row_times_tile, load_tile, store_tile, zero_tile
from minidl.ops.simd import lanes, prefetch


def rounded_up(count: int, multiple: int) -> int:
    """`count` or the next multiple of `multiple`."""
    return (count + multiple - 1) // multiple * multiple


@compiled
def multiply_rows(
    c, c_first, c_step, a, a_first, a_step, rows,
    panel, panel_first, inner, accumulate, next_first, next_rows,
):  # fmt: skip
    """c[r, :] = sum over k < inner of a[r, k] * panel[k, :] for so many rows, rounded up to tiles, or c + that.

    A panel is as wide as a tile, and its rows are packed, one behind the other. On the way, `next_rows` rows of another
    one from index `next_first` on are fetched, up to `inner`, which are to be multiplied soon.
    """
    width = 2 * lanes(c)
    share = (next_rows * ROWS + rows - 1) // max(rows, 1)
    for _ in range(0, rows, ROWS):
        sums = load_tile(c, c_first, c_step) if accumulate else zero_tile(c)
        fetched, b_first = min(share, next_rows), panel_first
        for k in range(fetched):
            prefetch(panel, next_first)
            prefetch(panel, next_first + lanes(c))
            sums = add_products(sums, a, a_first + k, a_step, panel, b_first)
            b_first, next_first = b_first + width, next_first + width
        for k in range(fetched, inner):
            sums = add_products(sums, a, a_first + k, a_step, panel, b_first)
            b_first += width
        store_tile(c, c_first, c_step, sums)
        next_rows -= fetched
        c_first, a_first = c_first + ROWS * c_step, a_first + ROWS * a_step


@compiled
def multiply_columns(c, c_first, c_step, a, a_first, a_step, columns, b, b_first, b_step, inner, accumulate):
    """c[i, :] = sum over k < inner of a[k, i] * b[k, :] for so many columns i of a, or c + that."""
    for _ in range(0, columns, ROWS):
        sums = load_tile(c, c_first, c_step) if accumulate else zero_tile(c)
        a_index, b_index = a_first, b_first
        for _ in range(inner):
            sums = add_products(sums, a, a_index, 1, b, b_index)
            a_index, b_index = a_index + a_step, b_index + b_step
        store_tile(c, c_first, c_step, sums)
        c_first, a_first = c_first + ROWS * c_step, a_first + ROWS


@compiled
def add_in_place(c, c_first, c_step, a, a_first, a_step, rows, b, b_first, b_step, inner, columns):
    """c[r, :] += sum over k < inner of a[r, k] * b[k, :] for so many rows and columns.

    A row of c has room for whole tiles of columns: behind the last one, anything may be written.
    """
    width, whole = 2 * lanes(c), inner - inner % ROWS
    inside = columns - columns % width
    edge = np.zeros(ROWS * width, c.dtype)
    for k in range(0, whole, ROWS):
        for f in range(0, inside, width):
            first = b_first + k * b_step + f
            tile = load_tile(b, first, b_step)
            for i in range(2 * ROWS, 3 * ROWS):  # what comes soon
                prefetch(b, first + i * b_step)
                prefetch(b, first + i * b_step + lanes(c))
            for r in range(rows):
                add_row_times_tile(c, c_first + r * c_step + f, a, a_first + r * a_step + k, tile)
        if inside < columns:  # the last tile would reach over the edge of b
            for i in range(ROWS):
                copy(b, b_first + (k + i) * b_step + inside, edge, i * width, columns - inside)
            tile = load_tile(edge, 0, width)
            for r in range(rows):
                add_row_times_tile(c, c_first + r * c_step + inside, a, a_first + r * a_step + k, tile)
    for k in range(whole, inner):
        for r in range(rows):
            for f in range(columns):
                c[c_first + r * c_step + f] += a[a_first + r * a_step + k] * b[b_first + k * b_step + f]
