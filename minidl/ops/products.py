"""The innermost loops of all matrix products: a tile of the result that stays in registers (register_tile.py).

Calls take time, so each function computes all tiles of a panel, one below the other.

    multiply_rows       c = a @ panel        a's rows lie anywhere at equal steps
    multiply_columns    c = a.T @ b          the same for the columns of a: weight gradients

All arrays are one-dimensional; `first` is the index of the tile's first number and `step` the distance between rows.
Sums run over k in order, so the result does not depend on who computes which tile.
"""

from minidl.ops.compiling import compiled
from minidl.ops.register_tile import ROWS, add_products, load_tile, store_tile, zero_tile
from minidl.ops.simd import lanes, prefetch

FEW = 16  # rows of a, for which copying the right-hand matrix into panels takes longer than it saves
ROW_BY_ROW = 16  # rows of the right-hand matrix that are then read at a time, as memory is read fastest
AHEAD = 32  # rows that are then fetched before they are needed


def rounded_up(count: int, multiple: int) -> int:
    """`count` or the next multiple of `multiple`."""
    return (count + multiple - 1) // multiple * multiple


@compiled
def multiply_rows(
    c, c_first, c_step, a, a_first, a_step, rows,
    panel, panel_first, panel_step, inner, accumulate, next_first, next_rows,
):  # fmt: skip
    """c[r, :] = sum over k < inner of a[r, k] * panel[k, :] for so many rows, rounded up to tiles, or c + that.

    A panel is as wide as a tile. Its rows lie anywhere at equal steps, or packed, one behind the other. On the way,
    `next_rows` rows from index `next_first` on are fetched, up to `inner`, which are to be multiplied soon.
    """
    share = (next_rows * ROWS + rows - 1) // max(rows, 1)
    for _ in range(0, rows, ROWS):
        sums = load_tile(c, c_first, c_step) if accumulate else zero_tile(c)
        fetched, b_first = min(share, next_rows), panel_first
        for k in range(fetched):
            prefetch(panel, next_first)
            prefetch(panel, next_first + lanes(c))
            sums = add_products(sums, a, a_first + k, a_step, panel, b_first)
            b_first, next_first = b_first + panel_step, next_first + panel_step
        for k in range(fetched, inner):
            sums = add_products(sums, a, a_first + k, a_step, panel, b_first)
            b_first += panel_step
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
