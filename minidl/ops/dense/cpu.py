"""Numba: three matrix products, each by blocks that stay in the caches of the thread that works on them.

Threads share the work by parts of the result, each summed in a fixed order: the result is the same for any number.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.copying import copy_transposed
from minidl.ops.memory import empty
from minidl.ops.products import add_in_place, multiply_columns, multiply_rows, rounded_up
from minidl.ops.register_tile import ROWS, tile_width
from minidl.ops.simd import lanes
from minidl.ops.threads import thread_count

SUMS = 2**16  # of outputs that a thread works on at a time: they stay in its second-level cache
SAMPLES = 256  # of them at most
LONGEST = 2048  # columns of the weight likewise, which are read where they are
PANELS = 8  # of the weight for the input gradient, into which it is copied
DEPTH = 256  # rows of them
MOST_SAMPLES = 2**14  # whose products are added up in their own type, for a weight gradient
BLOCK = 128 // ROWS * ROWS  # inputs whose weight gradients a thread sums up at a time


def forward(x: NDArray, weight: NDArray, bias: NDArray) -> NDArray:
    y = empty((len(x), weight.shape[1]), x.dtype)
    width, samples = tile_width(x.dtype), max(1, min(SAMPLES, len(x)))
    columns = min(LONGEST, SUMS // samples, -(-weight.shape[1] // thread_count()))
    _multiply(*_spread(x), weight, bias, y, samples, rounded_up(columns, width))
    return y


def input_gradient(dy: NDArray, weight: NDArray) -> NDArray:
    dx = empty((len(dy), weight.shape[0]), dy.dtype)
    _input_gradient(*_spread(dy), weight, dx)
    return dx


def weight_gradient(dy: NDArray, x: NDArray) -> NDArray:
    if len(x) > MOST_SAMPLES:  # parts of them, added up in float64
        total = np.zeros((x.shape[1], dy.shape[1]))
        for first in range(0, len(x), MOST_SAMPLES):
            total += weight_gradient(dy[first : first + MOST_SAMPLES], x[first : first + MOST_SAMPLES])
        return total.astype(dy.dtype)
    dweight = empty((x.shape[1], dy.shape[1]), dy.dtype)
    _weight_gradient(*_spread(dy), *_spread(x), len(x), dweight)
    return dweight


def _spread(x: NDArray) -> tuple[NDArray, int]:
    """x in rows of whole tiles that are never a power of two apart, which would share one place in the cache.

    Returns the rows, one behind the other, and the distance from one to the next.
    """
    width = tile_width(x.dtype)
    spread = empty((rounded_up(len(x), ROWS), rounded_up(x.shape[1] + ROWS, width) + width), x.dtype)
    spread[: len(x), : x.shape[1]] = x
    spread[: len(x), x.shape[1] :] = 0
    spread[len(x) :] = 0
    return spread.reshape(-1), spread.shape[1]


@compiled(parallel=True)
def _multiply(x, x_step, weight, bias, y, block, columns):
    """y = x @ weight + bias.

    A task is a block of samples and a few columns. Long pieces of the rows of the weight are read one behind the other,
    which the processor fetches ahead by itself.
    """
    (samples, outputs), inner, flat = y.shape, len(weight), weight.reshape(-1)
    ranges, step = (outputs + columns - 1) // columns, columns + 2 * lanes(x)  # never a power of two apart
    for task in prange((samples + block - 1) // block * ranges):
        start, first = task // ranges * block, task % ranges * columns
        rows, width = min(block, samples - start), min(columns, outputs - first)
        sums = np.zeros(rows * step, x.dtype)
        add_in_place(sums, 0, step, x, start * x_step, x_step, rows, flat, first, outputs, inner, width)
        for row in range(rows):
            for f in range(width):
                y[start + row, first + f] = sums[row * step + f] + bias[first + f]


@compiled(parallel=True)
def _input_gradient(dy, dy_step, weight, dx):
    """dx = dy @ weight.T; a few panels of weight.T are copied at a time."""
    panel, (samples, inputs), inner = 2 * lanes(dy), dx.shape, weight.shape[1]
    rows, columns = (samples + ROWS - 1) // ROWS * ROWS, PANELS * panel
    for task in prange((inputs + columns - 1) // columns):
        first, last = task * columns, min((task + 1) * columns, inputs)
        panels, products = np.zeros(DEPTH * columns, dy.dtype), np.zeros(rows * columns, dy.dtype)
        for k in range(0, inner, DEPTH):
            depth = min(DEPTH, inner - k)
            _copy_panels(weight, k, depth, first, last, panel, panels)
            for f in range(0, last - first, panel):
                start = f * depth
                multiply_rows(
                    products, f, columns, dy, k, dy_step, samples,
                    panels, start, depth, True, start + depth * panel, depth,
                )  # fmt: skip
        for row in range(samples):
            for c in range(last - first):
                dx[row, first + c] = products[row * columns + c]


@compiled
def _copy_panels(weight, k_first, depth, first, last, panel, panels):
    """panels[panel][k][c] = weight[first + c][k_first + k]."""
    flat, step = weight.reshape(-1), weight.shape[1]
    for c in range(0, last - first, panel):
        source, width = (first + c) * step + k_first, min(panel, last - first - c)
        copy_transposed(flat, source, step, width, depth, panels, c * depth, panel)


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
