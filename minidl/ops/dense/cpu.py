"""Numba: three matrix products, each by blocks that stay in the caches of the thread that works on them.

Threads share the work by parts of the result, each summed in a fixed order: the result is the same for any number.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.copying import copy, copy_transposed
from minidl.ops.memory import empty, zeros
from minidl.ops.products import AHEAD, FEW, ROW_BY_ROW, multiply_columns, multiply_rows, rounded_up
from minidl.ops.register_tile import ROWS, tile_width
from minidl.ops.simd import lanes, prefetch
from minidl.ops.threads import thread_count

PANELS = 8  # of the weight, that a thread works on at a time
DEPTH = 256  # rows of them
LONGEST = 2048  # columns of a weight that is read where it is
BLOCK = 128 // ROWS * ROWS  # inputs whose weight gradients a thread sums up at a time
FETCHED = 8  # rows of the weight that are fetched before they are copied


def forward(x: NDArray, weight: NDArray, bias: NDArray) -> NDArray:
    y = empty((len(x), weight.shape[1]), x.dtype)
    _multiply(*_spread(x), weight, False, bias, y, *_way_to_read(y, len(x) <= FEW))
    return y


def input_gradient(dy: NDArray, weight: NDArray) -> NDArray:
    dx = empty((len(dy), weight.shape[0]), dy.dtype)
    _multiply(*_spread(dy), weight, True, np.zeros(len(weight), dy.dtype), dx, *_way_to_read(dx, False))
    return dx


def weight_gradient(dy: NDArray, x: NDArray) -> NDArray:
    dweight = empty((x.shape[1], dy.shape[1]), dy.dtype)
    _weight_gradient(*_spread(dy), *_spread(x), len(x), dweight)
    return dweight


def _way_to_read(y: NDArray, in_place: bool) -> tuple[bool, int]:
    """(in_place, how many columns of y are a task): a few panels where the weight is copied, else long pieces of rows.

    Those the processor fetches ahead by itself.
    """
    width = tile_width(y.dtype)
    long = min(LONGEST, rounded_up(-(-y.shape[1] // thread_count()), width))
    return in_place, long if in_place else PANELS * width


def _spread(x: NDArray) -> tuple[NDArray, int]:
    """x in rows of whole tiles that are never a power of two apart, which would share one place in the cache.

    Returns the rows, one behind the other, and the distance from one to the next.
    """
    width = tile_width(x.dtype)
    spread = zeros((rounded_up(len(x), ROWS), rounded_up(x.shape[1] + ROWS, width) + width), x.dtype)
    spread[: len(x), : x.shape[1]] = x
    return spread.reshape(-1), spread.shape[1]


@compiled(parallel=True)
def _multiply(x, x_step, weight, transposed, bias, y, read_in_place, columns):
    """y = x @ weight + bias, or x @ weight.T + bias.

    read_in_place, for few samples: the weight is read where it is, a few whole rows at a time, as memory is read
    fastest. Else it is copied into panels: at equal steps, all rows of one might share one place in the cache.
    """
    panel = 2 * lanes(x)
    (samples, outputs), inner, flat = y.shape, weight.shape[1] if transposed else weight.shape[0], weight.reshape(-1)
    rows = (samples + ROWS - 1) // ROWS * ROWS
    most = ROW_BY_ROW if read_in_place else DEPTH
    for task in prange((outputs + columns - 1) // columns):
        first, last = task * columns, min((task + 1) * columns, outputs)
        in_place = (last - first) // panel * panel if read_in_place else 0  # so many columns: all but a broken panel
        panels = np.zeros(most * (panel if read_in_place else columns), x.dtype)
        products = np.zeros(rows * columns, x.dtype)
        for k in range(0, inner, most):
            depth = min(most, inner - k)
            _copy_panels(weight, transposed, k, depth, first + in_place, last, panel, panels)
            for f in range(0, last - first, panel):
                if f < in_place:
                    source, start, step, following = flat, k * outputs + first + f, outputs, AHEAD
                else:
                    source, start, step, following = panels, (f - in_place) * depth, panel, depth
                multiply_rows(
                    products, f, columns, x, k, x_step, samples,
                    source, start, step, depth, True, start + following * step, depth,
                )  # fmt: skip
        for row in range(samples):
            for f in range(last - first):
                y[row, first + f] = products[row * columns + f] + bias[first + f]


@compiled
def _copy_panels(weight, transposed, k_first, depth, first, last, panel, panels):
    """panels[panel][k][f], from weight (k, f) or, transposed, (f, k)."""
    flat, step = weight.reshape(-1), weight.shape[1]
    if transposed:
        for f in range(0, last - first, panel):
            source, width = (first + f) * step + k_first, min(panel, last - first - f)
            copy_transposed(flat, source, step, width, depth, panels, f * depth, panel)
    else:
        for k in range(depth):
            source = (k_first + k) * step + first
            for f in range(0, last - first, panel):
                prefetch(flat, source + FETCHED * step + f)
                copy(flat, source + f, panels, f * depth + k * panel, min(panel, last - first - f))


@compiled(parallel=True)
def _weight_gradient(dy, dy_step, x, x_step, samples, dweight):
    panel, (inputs, outputs), flat = 2 * lanes(x), dweight.shape, dweight.reshape(-1)
    for task in prange((inputs + BLOCK - 1) // BLOCK):
        edge = np.empty(ROWS * panel, x.dtype)
        for first in range(0, outputs, PANELS * panel):
            for c in range(task * BLOCK, min((task + 1) * BLOCK, inputs), ROWS):
                for f in range(first, min(first + PANELS * panel, outputs), panel):
                    target = c * outputs + f
                    if c + ROWS <= inputs and f + panel <= outputs:
                        multiply_columns(flat, target, outputs, x, c, x_step, ROWS, dy, f, dy_step, samples, False)
                    else:  # the tile reaches over the edge of dweight
                        multiply_columns(edge, 0, panel, x, c, x_step, ROWS, dy, f, dy_step, samples, False)
                        for i in range(min(ROWS, inputs - c)):
                            for j in range(min(panel, outputs - f)):
                                dweight[c + i, f + j] = edge[i * panel + j]
