"""The innermost loops of all matrix products: a tile of the result, 6 rows by 2 vectors, that stays in registers.

    multiply_rows       c = a @ panel        a's rows lie anywhere at equal steps
    multiply_columns    c = a.T @ b          the same for the columns of a: weight gradients

Each step loads two vectors of the right-hand matrix and six numbers of the left-hand one, and does twelve
multiply-adds with them, all independent: enough to keep the arithmetic units busy, and as many sums as 16 registers
hold beside the rest. All arrays are one-dimensional; `first` is the index of the tile's first number and `step` the
distance between rows. Sums run over k in order, so the result does not depend on who computes which tile.
"""

import numpy as np

from minidl.ops.compiling import compiled
from minidl.ops.simd import lane_count, lanes, load, multiply_add, prefetch, splat, store, zeros

ROWS = 6  # of a tile
FEW = 3 * ROWS  # rows of a, for which copying the right-hand matrix into panels takes longer than it saves
ROW_BY_ROW = 16  # rows of the right-hand matrix that are then read at a time, as memory is read fastest
AHEAD = 32  # rows of a panel that are fetched before they are needed


def panel_width(dtype: np.dtype) -> int:
    """How many columns a tile has."""
    return 2 * lane_count(dtype)


def rounded_up(count: int, multiple: int) -> int:
    """`count` or the next multiple of `multiple`."""
    return (count + multiple - 1) // multiple * multiple


@compiled
def multiply_rows(
    c, c_first, c_step, a, a_first, a_step, panel, panel_first, panel_step, inner, accumulate, pieces=1, piece_step=0
):
    """c[r, :] = sum over k < inner of a[r, k] * panel[k, :] for six rows, added to c if `accumulate`.

    A panel is two vectors wide. Its rows lie anywhere at equal steps, or packed, one behind the other. Rows of a may
    consist of several pieces of `inner` numbers each, which lie `piece_step` apart.
    """
    lane = lanes(c)
    c00, c10, c20, c30, c40, c50 = _column(c, c_first, c_step, accumulate)
    c01, c11, c21, c31, c41, c51 = _column(c, c_first + lane, c_step, accumulate)
    a0, a1, a2 = a_first, a_first + a_step, a_first + 2 * a_step
    a3, a4, a5 = a_first + 3 * a_step, a_first + 4 * a_step, a_first + 5 * a_step
    for _ in range(pieces):
        for k in range(inner):
            left, right = load(panel, panel_first), load(panel, panel_first + lane)
            prefetch(panel, panel_first + AHEAD * panel_step)
            prefetch(panel, panel_first + AHEAD * panel_step + lane)
            panel_first += panel_step
            factor = splat(a, a0 + k)
            c00, c01 = multiply_add(factor, left, c00), multiply_add(factor, right, c01)
            factor = splat(a, a1 + k)
            c10, c11 = multiply_add(factor, left, c10), multiply_add(factor, right, c11)
            factor = splat(a, a2 + k)
            c20, c21 = multiply_add(factor, left, c20), multiply_add(factor, right, c21)
            factor = splat(a, a3 + k)
            c30, c31 = multiply_add(factor, left, c30), multiply_add(factor, right, c31)
            factor = splat(a, a4 + k)
            c40, c41 = multiply_add(factor, left, c40), multiply_add(factor, right, c41)
            factor = splat(a, a5 + k)
            c50, c51 = multiply_add(factor, left, c50), multiply_add(factor, right, c51)
        a0, a1, a2 = a0 + piece_step, a1 + piece_step, a2 + piece_step
        a3, a4, a5 = a3 + piece_step, a4 + piece_step, a5 + piece_step
    _store_column(c, c_first, c_step, c00, c10, c20, c30, c40, c50)
    _store_column(c, c_first + lane, c_step, c01, c11, c21, c31, c41, c51)


@compiled
def multiply_columns(c, c_first, c_step, a, a_first, a_step, b, b_first, b_step, inner, accumulate):
    """c[i, :] = sum over k < inner of a[k, i] * b[k, :] for six columns i of a, added to c if `accumulate`."""
    lane = lanes(c)
    c00, c10, c20, c30, c40, c50 = _column(c, c_first, c_step, accumulate)
    c01, c11, c21, c31, c41, c51 = _column(c, c_first + lane, c_step, accumulate)
    for _ in range(inner):
        left, right = load(b, b_first), load(b, b_first + lane)
        b_first += b_step
        factor = splat(a, a_first)
        c00, c01 = multiply_add(factor, left, c00), multiply_add(factor, right, c01)
        factor = splat(a, a_first + 1)
        c10, c11 = multiply_add(factor, left, c10), multiply_add(factor, right, c11)
        factor = splat(a, a_first + 2)
        c20, c21 = multiply_add(factor, left, c20), multiply_add(factor, right, c21)
        factor = splat(a, a_first + 3)
        c30, c31 = multiply_add(factor, left, c30), multiply_add(factor, right, c31)
        factor = splat(a, a_first + 4)
        c40, c41 = multiply_add(factor, left, c40), multiply_add(factor, right, c41)
        factor = splat(a, a_first + 5)
        c50, c51 = multiply_add(factor, left, c50), multiply_add(factor, right, c51)
        a_first += a_step
    _store_column(c, c_first, c_step, c00, c10, c20, c30, c40, c50)
    _store_column(c, c_first + lane, c_step, c01, c11, c21, c31, c41, c51)


@compiled
def _column(c, first, step, accumulate):
    """Six vectors under each other, or zeros."""
    if accumulate:
        return (
            load(c, first), load(c, first + step), load(c, first + 2 * step),
            load(c, first + 3 * step), load(c, first + 4 * step), load(c, first + 5 * step),
        )  # fmt: skip
    zero = zeros(c)
    return zero, zero, zero, zero, zero, zero


@compiled
def _store_column(c, first, step, v0, v1, v2, v3, v4, v5):
    store(c, first, v0)
    store(c, first + step, v1)
    store(c, first + 2 * step, v2)
    store(c, first + 3 * step, v3)
    store(c, first + 4 * step, v4)
    store(c, first + 5 * step, v5)
