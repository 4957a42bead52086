"""The innermost loops of all matrix products: a tile of the result that stays in registers (register_tile.py).

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
    c, c_first, c_step, a, a_first, a_step, panel, panel_first, panel_step, inner, accumulate, next_first, next_rows
):
    """c[r, :] = sum over k < inner of a[r, k] * panel[k, :] for the rows of a tile, added to c if `accumulate`.

    A panel is as wide as a tile. Its rows lie anywhere at equal steps, or packed, one behind the other. On the way,
    `next_rows` rows from index `next_first` on are fetched, up to `inner`, which are to be multiplied soon.
    """
    sums = load_tile(c, c_first, c_step) if accumulate else zero_tile(c)
    for k in range(next_rows):
        prefetch(panel, next_first)
        prefetch(panel, next_first + lanes(c))
        sums = add_products(sums, a, a_first + k, a_step, panel, panel_first)
        panel_first, next_first = panel_first + panel_step, next_first + panel_step
    for k in range(next_rows, inner):
        sums = add_products(sums, a, a_first + k, a_step, panel, panel_first)
        panel_first += panel_step
    store_tile(c, c_first, c_step, sums)


@compiled
def multiply_columns(c, c_first, c_step, a, a_first, a_step, b, b_first, b_step, inner, accumulate):
    """c[i, :] = sum over k < inner of a[k, i] * b[k, :] for as many columns i of a as a tile has rows, or c + that."""
    sums = load_tile(c, c_first, c_step) if accumulate else zero_tile(c)
    for _ in range(inner):
        sums = add_products(sums, a, a_first, 1, b, b_first)
        a_first, b_first = a_first + a_step, b_first + b_step
    store_tile(c, c_first, c_step, sums)


@compiled
def part_of_panel(row, rows, inner):
    """(first, count): the rows of the next panel that the tile at `row` of `rows` rows fetches, all of it in turn."""
    count = (inner * ROWS + rows - 1) // rows
    first = min(row // ROWS * count, inner)
    return first, min(count, inner - first)
