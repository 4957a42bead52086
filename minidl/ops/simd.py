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
    lanes(array)                how many numbers a vector of this array's type holds; lane_count(dtype) outside of Numba

Nothing checks the indices: what calls these functions must stay inside the array.

Each function says which LLVM instruction it stands for, by way of Numba's @intrinsic: the first function gets the types
and returns the signature, the second one writes the instruction. LLVM splits vectors that are too wide for a processor
and fits them to its own, so this is right everywhere and fast where the width below is right.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic, models, overload, register_model

CONTRACT = {"contract"}  # a * b + c may become one instruction, rounded once


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


def _pointer(context, builder, array_type, array, index, element):
    """The address of array[index], as that of an `element`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


def _filled(builder, vector, number):
    """`number` in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, first_lane)


@intrinsic
def load(typing, array, index):
    vector = Vector(array.dtype)

    def write(context, builder, signature, arguments):
        element = context.get_value_type(vector)
        pointer = _pointer(context, builder, array, arguments[0], arguments[1], element)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp), write


@intrinsic
def store(typing, array, index, vector):
    def write(context, builder, signature, arguments):
        pointer = _pointer(context, builder, array, arguments[0], arguments[1], context.get_value_type(vector))
        builder.store(arguments[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), write


@intrinsic
def splat(typing, array, index):
    vector = Vector(array.dtype)

    def write(context, builder, signature, arguments):
        element = context.get_value_type(vector)
        number = builder.load(_pointer(context, builder, array, arguments[0], arguments[1], element.element))
        return _filled(builder, element, number)

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
        element = context.get_value_type(a)
        name = f"llvm.fma.v{a.lanes}f{a.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(element, [element] * 3), name)
        return builder.call(function, arguments)

    return a(a, b, c), write


@intrinsic
def _add(typing, a, b):
    return a(a, b), lambda context, builder, signature, arguments: builder.fadd(*arguments)


@intrinsic
def _subtract(typing, a, b):
    return a(a, b), lambda context, builder, signature, arguments: builder.fsub(*arguments)


@intrinsic
def _scale(typing, factor, vector):
    def write(context, builder, signature, arguments):
        number = context.cast(builder, arguments[0], factor, vector.dtype)
        return builder.fmul(_filled(builder, arguments[1].type, number), arguments[1])

    return vector(factor, vector), write


@intrinsic
def at_least(typing, a, low):
    def write(context, builder, signature, arguments):
        smaller = builder.fcmp_ordered("<", *arguments)  # not for nan, which stays
        return builder.select(smaller, arguments[1], arguments[0])

    return a(a, low), write


@overload(operator.add, inline="always")
def _add_vectors(a, b):
    if isinstance(a, Vector) and a == b:
        return lambda a, b: _add(a, b)
    return None


@overload(operator.sub, inline="always")
def _subtract_vectors(a, b):
    if isinstance(a, Vector) and a == b:
        return lambda a, b: _subtract(a, b)
    return None


@overload(operator.mul, inline="always")
def _scale_vector(factor, vector):
    if isinstance(factor, types.Float) and isinstance(vector, Vector):
        return lambda factor, vector: _scale(factor, vector)
    return None


@njit(inline="always")  # a call would take as long as the copying
def copy(source, s_first, target, t_first, count):
    """target[t_first + i] = source[s_first + i] for i < count, a vector at a time."""
    lane = lanes(source)
    whole = count - count % lane
    for i in range(0, whole, lane):
        store(target, t_first + i, load(source, s_first + i))
    for i in range(whole, count):
        target[t_first + i] = source[s_first + i]
