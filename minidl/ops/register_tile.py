"""A tile of sums that stays in vector registers: ROWS rows, two vectors wide.

It grows by outer products, of a column of numbers with a row as wide as the tile:

    tile = zero_tile(array)                                    nothing but zeros, of the array's type
    tile = load_tile(array, first, step)                       from the array and, below, back to it
    tile = add_products(tile, a, first, step, b, b_first)      tile[r] += a[first + r * step] * b[b_first ...]
    tile = finish_tile(tile, factor, shift, first, low)        the larger one of tile[r] * factor + shift and low[0]
    store_tile(array, first, step, tile)

Each step loads two vectors and ROWS numbers, and does 2 * ROWS multiply-adds with them, all independent: enough to keep
the arithmetic units busy. Written by hand with one variable for each vector this would be long; here a tile is a tuple,
and LLVM gives each of its vectors a register.

The other way round, a tile of factors can stay in registers, and be multiplied by one row of numbers after the other:

    add_row_times_tile(c, c_first, a, a_first, tile)           c[c_first ...] += sum over r of a[a_first + r] * tile[r]

Arrays are one-dimensional, as in simd.py, and indices are not checked.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.ops.simd import REGISTER_BYTES, Vector, filled, fused_multiply_add, lane_count, larger, pointer_to

# Processors with vectors of 64 bytes have 32 registers, all others 16, and a few must be left for the factors. Twelve
# rows would fit into 32, but batches and images are mostly a power of two: nothing is left over from eight.
ROWS = 8 if REGISTER_BYTES == 64 else 6


def tile_width(dtype: np.dtype) -> int:
    """How many columns a tile has."""
    return 2 * lane_count(dtype)


def _tile(array):
    return types.UniTuple(Vector(array.dtype), 2 * ROWS)


def _vectors(builder, tile):
    return [builder.extract_value(tile, number) for number in range(2 * ROWS)]


def _packed(context, builder, tile_type, vectors):
    """A tuple of these vectors, row by row."""
    tile = ir.Constant(context.get_value_type(tile_type), ir.Undefined)
    for number, vector in enumerate(vectors):
        tile = builder.insert_value(tile, vector, number)
    return tile


def _row(context, builder, array_type, array, first):
    """The addresses of two vectors side by side."""
    element = context.get_value_type(Vector(array_type.dtype))
    left = pointer_to(context, builder, array_type, array, first, element)
    return left, builder.gep(left, [ir.IntType(32)(1)])


def _loaded_row(context, builder, array_type, array, first):
    alignment = array_type.dtype.bitwidth // 8
    return [builder.load(pointer, align=alignment) for pointer in _row(context, builder, array_type, array, first)]


def _steps(builder, first, step):
    """The index of each row's first number."""
    return [builder.add(first, builder.mul(step, step.type(row))) for row in range(ROWS)]


@intrinsic
def zero_tile(typing, array):
    def write(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(_tile(array)), None)

    return _tile(array)(array), write


@intrinsic
def load_tile(typing, array, first, step):
    def write(context, builder, signature, arguments):
        numbers, first, step = arguments
        vectors = []
        for index in _steps(builder, first, step):
            vectors += _loaded_row(context, builder, array, numbers, index)
        return _packed(context, builder, _tile(array), vectors)

    return _tile(array)(array, types.intp, types.intp), write


@intrinsic
def store_tile(typing, array, first, step, tile):
    def write(context, builder, signature, arguments):
        numbers, first, step, sums = arguments
        vectors = iter(_vectors(builder, sums))
        for index in _steps(builder, first, step):
            for pointer in _row(context, builder, array, numbers, index):
                builder.store(next(vectors), pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), write


@intrinsic
def add_products(typing, tile, a, first, step, b, b_first):
    def write(context, builder, signature, arguments):
        sums, numbers, first, step, others, b_first = arguments
        sums, pair = _vectors(builder, sums), _loaded_row(context, builder, b, others, b_first)
        for row, index in enumerate(_steps(builder, first, step)):
            number = builder.load(pointer_to(context, builder, a, numbers, index, pair[0].type.element))
            factor = filled(builder, pair[0].type, number)
            for side in (0, 1):
                place = 2 * row + side
                sums[place] = fused_multiply_add(builder, factor, pair[side], sums[place])
        return _packed(context, builder, tile, sums)

    return tile(tile, a, types.intp, types.intp, b, types.intp), write


@intrinsic
def add_row_times_tile(typing, c, c_first, a, a_first, tile):
    def write(context, builder, signature, arguments):
        sums, c_first, numbers, a_first, factors = arguments
        pair, factors = _loaded_row(context, builder, c, sums, c_first), _vectors(builder, factors)
        for row in range(ROWS):
            index = builder.add(a_first, a_first.type(row))
            number = builder.load(pointer_to(context, builder, a, numbers, index, pair[0].type.element))
            number = filled(builder, pair[0].type, number)
            pair = [fused_multiply_add(builder, number, factors[2 * row + side], pair[side]) for side in (0, 1)]
        for vector, pointer in zip(pair, _row(context, builder, c, sums, c_first), strict=True):
            builder.store(vector, pointer, align=c.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(c, types.intp, a, types.intp, tile), write


@intrinsic
def finish_tile(typing, tile, factor, shift, first, low):
    def write(context, builder, signature, arguments):
        sums, factors, shifts, first, lows = arguments
        factors = _loaded_row(context, builder, factor, factors, first)
        shifts = _loaded_row(context, builder, shift, shifts, first)
        element = factors[0].type
        lowest = builder.load(pointer_to(context, builder, low, lows, first.type(0), element.element))
        lowest = filled(builder, element, lowest)
        finished = [
            larger(builder, fused_multiply_add(builder, vector, factors[place % 2], shifts[place % 2]), lowest)
            for place, vector in enumerate(_vectors(builder, sums))
        ]
        return _packed(context, builder, tile, finished)

    return tile(tile, factor, shift, types.intp, low), write
