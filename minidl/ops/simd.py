"""The inner loops of the CPU kernels, in Numba, shaped so that LLVM turns them into full-width vector instructions.

What makes them fast: the innermost loop runs along contiguous memory and does eight multiply-adds for each number that
it loads and stores again, so that the arithmetic units, and not the memory, set the pace. All of them add to what is
there, and in a fixed order: results do not depend on the number of threads.
"""

from numba import njit

CONTRACT = {"contract"}  # a * b + c may become one instruction, rounded once


@njit(fastmath=CONTRACT, cache=True)
def add_row_products(y, y_rows, y_first, a, a_rows, a_first, b, b_first, width):
    """y[y_rows[r]] += a[a_rows[r]] @ b for every r, in `width` columns of y and of b (k, _), counted from their first.

    Eight rows of b stay in the first-level cache while all the rows of y pass by.
    """
    inner, b_last = b.shape[0], b_first + width
    whole = inner - inner % 8
    for k in range(0, whole, 8):
        b0, b1 = b[k, b_first:b_last], b[k + 1, b_first:b_last]
        b2, b3 = b[k + 2, b_first:b_last], b[k + 3, b_first:b_last]
        b4, b5 = b[k + 4, b_first:b_last], b[k + 5, b_first:b_last]
        b6, b7 = b[k + 6, b_first:b_last], b[k + 7, b_first:b_last]
        for r in range(y_rows.size):
            y_row, a_row = y[y_rows[r], y_first : y_first + width], a[a_rows[r], a_first + k : a_first + k + 8]
            a0, a1, a2, a3, a4, a5, a6, a7 = (
                a_row[0], a_row[1], a_row[2], a_row[3], a_row[4], a_row[5], a_row[6], a_row[7],
            )  # fmt: skip
            for f in range(width):
                y_row[f] += ((a0 * b0[f] + a1 * b1[f]) + (a2 * b2[f] + a3 * b3[f])) + (
                    (a4 * b4[f] + a5 * b5[f]) + (a6 * b6[f] + a7 * b7[f])
                )
    for k in range(whole, inner):
        b_row = b[k, b_first:b_last]
        for r in range(y_rows.size):
            y_row, factor = y[y_rows[r], y_first : y_first + width], a[a_rows[r], a_first + k]
            for f in range(width):
                y_row[f] += factor * b_row[f]


@njit(fastmath=CONTRACT, cache=True)
def add_outer_products(y, a, a_rows, a_first, b, b_rows, b_first):
    """y[k] += sum over r of a[a_rows[r], a_first + k] * b[b_rows[r], b_first:], with y (k, f); a and b may be wider."""
    width, b_last = y.shape[1], b_first + y.shape[1]
    pairs = a_rows.size
    whole = pairs - pairs % 8
    for r in range(0, whole, 8):
        q0, q1, q2, q3 = a_rows[r], a_rows[r + 1], a_rows[r + 2], a_rows[r + 3]
        q4, q5, q6, q7 = a_rows[r + 4], a_rows[r + 5], a_rows[r + 6], a_rows[r + 7]
        b0, b1 = b[b_rows[r], b_first:b_last], b[b_rows[r + 1], b_first:b_last]
        b2, b3 = b[b_rows[r + 2], b_first:b_last], b[b_rows[r + 3], b_first:b_last]
        b4, b5 = b[b_rows[r + 4], b_first:b_last], b[b_rows[r + 5], b_first:b_last]
        b6, b7 = b[b_rows[r + 6], b_first:b_last], b[b_rows[r + 7], b_first:b_last]
        for k in range(y.shape[0]):
            y_row = y[k]
            a0, a1, a2, a3 = a[q0, a_first + k], a[q1, a_first + k], a[q2, a_first + k], a[q3, a_first + k]
            a4, a5, a6, a7 = a[q4, a_first + k], a[q5, a_first + k], a[q6, a_first + k], a[q7, a_first + k]
            for f in range(width):
                y_row[f] += ((a0 * b0[f] + a1 * b1[f]) + (a2 * b2[f] + a3 * b3[f])) + (
                    (a4 * b4[f] + a5 * b5[f]) + (a6 * b6[f] + a7 * b7[f])
                )
    for r in range(whole, pairs):
        b_row = b[b_rows[r], b_first:b_last]
        for k in range(y.shape[0]):
            y_row, factor = y[k], a[a_rows[r], a_first + k]
            for f in range(width):
                y_row[f] += factor * b_row[f]
