"""Vectors in Numba: the numbers that one instruction of the processor handles together, and what can be done with them.

A processor adds or multiplies 4, 8 or 16 floats in one instruction; its vector registers are that wide. Left to itself,
the compiler finds such instructions for simple loops, but keeps no tile of sums in registers, which is what makes a
matrix product fast. So this file gives Numba a type of its own, Vector, which lives in one register:

    load(array, i)              array[i], array[i + 1], ... as a vector, from a one-dimensional array
    store(array, i, vector)     the way back
    splat(array, i)             array[i] in every lane
    zeros(array)                zero in every lane
    a + b, a - b, 2.0 * a       lane by lane
    multiply_add(a, b, c)       a * b + c, rounded once
    at_least(a, low)            the larger one; nan stays nan
    copy(a, i, b, j, count)     b[j], b[j + 1], ... = a[i], a[i + 1], ...
    copy_transposed(...)        rows become columns
    prefetch(array, i)          fetch array[i] and its neighbours into the cache, to be read soon
    lanes(array)                how many numbers a vector of this array's type holds; lane_count(dtype) outside of Numba

Nothing checks the indices: what calls these functions must stay inside the array (prefetch alone may leave it).

Each function says which LLVM instruction it stands for, by way of Numba's @intrinsic: the first function gets the types
and returns the signature, the second one writes the instruction. LLVM splits vectors that are too wide for a processor
and fits them to its own, so this is right everywhere and fast where the width below is right.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable


def _register_bytes() -> int:
    """The width of the vector registers of the processor that Numba compiles for."""
    features = codegen.get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    if "+avx512f" in features:
        return 64
    return 32 if "+avx" in features else 16


REGISTER_BYTES = _register_bytes()


def lane_count(dtype: np.dtype) -> int:
    """How many numbers of this type a vector holds."""
    return REGISTER_BYTES // dtype.itemsize


class Vector(types.Type):
    """The Numba type of a vector register full of `dtype`."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = REGISTER_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        number = ir.FloatType() if vector.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, vector, ir.VectorType(number, vector.lanes))


def pointer_to(context, builder, array_type, array, index, element):
    """The address of array[index], as that of an `element`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


def filled(builder, vector, number):
    """`number` in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, first_lane)


def fused_multiply_add(builder, a, b, c):
    """a * b + c, rounded once."""
    vector = a.type
    name = f"llvm.fma.v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
    return builder.call(function, [a, b, c])


def larger(builder, a, low):
    """The larger one, lane by lane; nan in a stays nan."""
    return builder.select(builder.fcmp_ordered("<", a, low), low, a)


@intrinsic
def load(typing, array, index):
    vector = Vector(array.dtype)

    def write(context, builder, signature, arguments):
        element = context.get_value_type(vector)
        pointer = pointer_to(context, builder, array, arguments[0], arguments[1], element)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp), write


@intrinsic
def store(typing, array, index, vector):
    def write(context, builder, signature, arguments):
        pointer = pointer_to(context, builder, array, arguments[0], arguments[1], context.get_value_type(vector))
        builder.store(arguments[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), write


@intrinsic
def splat(typing, array, index):
    vector = Vector(array.dtype)

    def write(context, builder, signature, arguments):
        element = context.get_value_type(vector)
        number = builder.load(pointer_to(context, builder, array, arguments[0], arguments[1], element.element))
        return filled(builder, element, number)

    return vector(array, types.intp), write


@intrinsic
def zeros(typing, array):
    vector = Vector(array.dtype)

    def write(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(vector), None)

    return vector(array), write


@intrinsic
def lanes(typing, array):
    def write(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(types.intp), Vector(array.dtype).lanes)

    return types.intp(array), write


@intrinsic
def multiply_add(typing, a, b, c):
    def write(context, builder, signature, arguments):
        return fused_multiply_add(builder, *arguments)

    return a(a, b, c), write


def _same_vector(context):
    return lambda a, b: a if isinstance(a, Vector) and a == b else None


for operation in (operator.add, operator.sub):
    type_callable(operation)(_same_vector)


@lower_builtin(operator.add, Vector, Vector)
def _add(context, builder, signature, arguments):
    return builder.fadd(*arguments)


@lower_builtin(operator.sub, Vector, Vector)
def _subtract(context, builder, signature, arguments):
    return builder.fsub(*arguments)


@type_callable(operator.mul)
def _scaled_vector(context):
    return lambda factor, vector: vector if factor == types.float64 and isinstance(vector, Vector) else None


@lower_builtin(operator.mul, types.Float, Vector)
def _scale(context, builder, signature, arguments):
    factor, vector = signature.args
    number = context.cast(builder, arguments[0], factor, vector.dtype)
    return builder.fmul(filled(builder, arguments[1].type, number), arguments[1])


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


@intrinsic
def prefetch(typing, array, index):
    def write(context, builder, signature, arguments):
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0i8"
        )
        pointer = pointer_to(context, builder, array, arguments[0], arguments[1], ir.IntType(8))
        to_read, near, data = number(0), number(3), number(1)
        builder.call(function, [pointer, to_read, near, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), write


@intrinsic
def at_least(typing, a, low):
    def write(context, builder, signature, arguments):
        return larger(builder, *arguments)

    return a(a, low), write


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
