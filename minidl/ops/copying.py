"""Copying a vector at a time, as in simd.py: between one-dimensional arrays, whose indices are not checked."""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from minidl.ops.simd import Vector, lanes, load, pointer_to, store


@njit(no_cfunc_wrapper=True)
def copy_transposed(source, s_first, s_step, rows, columns, target, t_first, t_step):
    """target[j][i] = source[i][j] for i < rows and j < columns; `step` is the distance from row to row."""
    lane = lanes(source)
    whole_rows, whole_columns = rows - rows % lane, columns - columns % lane
    for i in range(0, whole_rows, lane):
        for j in range(0, whole_columns, lane):
            transpose_square(source, s_first + i * s_step + j, s_step, target, t_first + j * t_step + i, t_step)
    for i in range(rows):
        for j in range(whole_columns if i < whole_rows else 0, columns):
            target[t_first + j * t_step + i] = source[s_first + i * s_step + j]


@njit(inline="always")  # a call would take as long as the copying
def copy(source, s_first, target, t_first, count):
    """target[t_first + i] = source[s_first + i] for i < count, a vector at a time."""
    lane = lanes(source)
    whole = count - count % lane
    for i in range(0, whole, lane):
        store(target, t_first + i, load(source, s_first + i))
    for i in range(whole, count):
        target[t_first + i] = source[s_first + i]


@intrinsic
def transpose_square(typing, source, s_first, s_step, target, t_first, t_step):
    vector = Vector(source.dtype)

    def write(context, builder, signature, arguments):
        source_array, s_first, s_step, target_array, t_first, t_step = arguments
        element, count, alignment = context.get_value_type(vector), vector.lanes, source.dtype.bitwidth // 8

        def pointer(array_type, array, first, step, row):
            index = builder.add(first, builder.mul(step, step.type(row)))
            return pointer_to(context, builder, array_type, array, index, element)

        rows = [
            builder.load(pointer(source, source_array, s_first, s_step, row), align=alignment) for row in range(count)
        ]
        distance = 1
        while distance < count:  # exchange the blocks of this size above the diagonal with those below it
            rows = _exchange(builder, rows, distance)
            distance *= 2
        for row, numbers in enumerate(rows):
            builder.store(numbers, pointer(target, target_array, t_first, t_step, row), align=alignment)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), write


def _exchange(builder, rows, distance):
    """Of every two rows that are `distance` apart, the lanes that the other one has in its place."""
    count = len(rows)
    numbers = ir.VectorType(ir.IntType(32), count)
    upper = ir.Constant(numbers, [i if not i & distance else count + i - distance for i in range(count)])
    lower = ir.Constant(numbers, [i + distance if not i & distance else count + i for i in range(count)])
    exchanged = list(rows)
    for row in range(count):
        if not row & distance:
            pair = rows[row], rows[row + distance]
            exchanged[row] = builder.shuffle_vector(*pair, upper)
            exchanged[row + distance] = builder.shuffle_vector(*pair, lower)
    return exchanged
