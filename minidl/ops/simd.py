"""Vectors in Numba: the numbers that one instruction of the processor handles together, and what can be done with them.

A processor adds or multiplies 4, 8 or 16 floats in one instruction; its vector registers are that wide. Left to itself,
the compiler finds such instructions for simple loops, but keeps no tile of sums in registers, which is what makes a
matrix product fast. So this file gives Numba a type of its own, Vector, which lives in one register:

    load(array, i)              array[i], array[i + 1], ... as a vector, from a one-dimensional array
    store(array, i, vector)     the way back
    splat(array, i)             array[i] in every lane
    zeros(array)                zero in every lane
    load_part(array, i, n, x)   the same as load() for the first n numbers only; x in all lanes behind them
    store_part(array, i, v, n)  the same as store() for the first n lanes only
    a + b, a - b, a * b         lane by lane; one of them may be a number
    multiply_add(a, b, c)       a * b + c, rounded once; c may be a number
    at_least(a, low)            the larger one; nan stays nan, but not that of low, which may be a number
    nearest(a)                  the nearest whole numbers
    power_of_two(a)             2 ** a for whole numbers, within the range of ordinary floats
    sum_of_lanes(a)             all lanes added up in float64, one after the other
    largest_lane(a)             the largest number of them
    has_nan(a)                  whether a lane is nan
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
from numba import types
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


def _call(builder, name, result, *arguments):
    """What LLVM's function of this name makes of the arguments."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def _suffix(vector):
    """How the names of LLVM's functions for this type end."""
    return f"v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"


def fused_multiply_add(builder, a, b, c):
    """a * b + c, rounded once."""
    return _call(builder, f"llvm.fma.{_suffix(a.type)}", a.type, a, b, c)


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
def load_part(typing, array, index, count, rest):
    vector = Vector(array.dtype)

    def write(context, builder, signature, arguments):
        numbers, index, count, rest = arguments
        element = context.get_value_type(vector)
        pointer, alignment = pointer_to(context, builder, array, numbers, index, element), _alignment(array)
        rest = _as_vector(context, builder, vector, signature.args[3], rest)
        name = f"llvm.masked.load.{_suffix(element)}.p0"
        return _call(builder, name, element, pointer, alignment, _first_lanes(builder, element, count), rest)

    return vector(array, types.intp, types.intp, rest), write


@intrinsic
def store_part(typing, array, index, vector, count):
    def write(context, builder, signature, arguments):
        target, index, numbers, count = arguments
        element = numbers.type
        pointer, alignment = pointer_to(context, builder, array, target, index, element), _alignment(array)
        name = f"llvm.masked.store.{_suffix(element)}.p0"
        _call(builder, name, ir.VoidType(), numbers, pointer, alignment, _first_lanes(builder, element, count))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), write


def _alignment(array):
    return ir.IntType(32)(array.dtype.bitwidth // 8)


def _first_lanes(builder, vector, count):
    """Which lanes are among the first `count`."""
    most, number = count.type(vector.count), ir.IntType(8)  # the fewer bits, the fewer instructions
    count = builder.trunc(builder.select(builder.icmp_signed("<", count, most), count, most), number)
    lane_numbers = ir.VectorType(number, vector.count)
    return builder.icmp_signed(
        "<", ir.Constant(lane_numbers, list(range(vector.count))), filled(builder, lane_numbers, count)
    )


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
        factor, other, summand = arguments
        return fused_multiply_add(builder, factor, other, _as_vector(context, builder, a, c, summand))

    return a(a, b, c), write


def _as_vector(context, builder, vector, kind, value):
    """A vector as it is, and of a number as many as `vector` has lanes."""
    if isinstance(kind, Vector):
        return value
    return filled(builder, context.get_value_type(vector), context.cast(builder, value, kind, vector.dtype))


def _lane_by_lane(operation, write_for_vectors):
    """Give `operation` a meaning for two vectors, and for a vector and a number."""

    def type_of_result(context):
        def result(a, b):
            vector = a if isinstance(a, Vector) else b
            fit = (vector, types.float64)
            return vector if isinstance(vector, Vector) and a in fit and b in fit else None

        return result

    def write(context, builder, signature, arguments):
        pairs = zip(signature.args, arguments, strict=True)
        return write_for_vectors(
            builder, *(_as_vector(context, builder, signature.return_type, *pair) for pair in pairs)
        )

    type_callable(operation)(type_of_result)
    for kinds in ((Vector, Vector), (Vector, types.Float), (types.Float, Vector)):
        lower_builtin(operation, *kinds)(write)


_lane_by_lane(operator.add, lambda builder, a, b: builder.fadd(a, b))
_lane_by_lane(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_lane_by_lane(operator.mul, lambda builder, a, b: builder.fmul(a, b))


@intrinsic
def prefetch(typing, array, index):
    def write(context, builder, signature, arguments):
        pointer = pointer_to(context, builder, array, arguments[0], arguments[1], ir.IntType(8))
        to_read, near, data = (ir.IntType(32)(number) for number in (0, 3, 1))
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, to_read, near, data)
        return context.get_dummy_value()

    return types.void(array, types.intp), write


@intrinsic
def at_least(typing, a, low):
    def write(context, builder, signature, arguments):
        return larger(builder, arguments[0], _as_vector(context, builder, a, low, arguments[1]))

    return a(a, low), write


def _digits(number):
    """How many binary digits a float has behind its first one."""
    return 23 if number == ir.FloatType() else 52


def _place_of_whole_numbers(vector):
    """So large that a sum with it has no place for digits behind the point: its last bits are a whole number."""
    return ir.Constant(vector, [1.5 * 2 ** _digits(vector.element)] * vector.count)


@intrinsic
def nearest(typing, a):
    def write(context, builder, signature, arguments):
        large = _place_of_whole_numbers(arguments[0].type)
        return builder.fsub(builder.fadd(arguments[0], large), large)

    return a(a), write


@intrinsic
def power_of_two(typing, a):
    """A float of these bits: the exponent, plus a bias, and the digits behind its first one, which are zeros."""

    def write(context, builder, signature, arguments):
        vector = arguments[0].type
        digits, bits = _digits(vector.element), a.dtype.bitwidth
        numbers, large = ir.VectorType(ir.IntType(bits), vector.count), _place_of_whole_numbers(vector)
        whole = builder.sub(
            builder.bitcast(builder.fadd(arguments[0], large), numbers), builder.bitcast(large, numbers)
        )
        bias = ir.Constant(numbers, [2 ** (bits - digits - 2) - 1] * vector.count)
        shift = ir.Constant(numbers, [digits] * vector.count)
        return builder.bitcast(builder.shl(builder.add(whole, bias), shift), vector)

    return a(a), write


@intrinsic
def sum_of_lanes(typing, a):
    def write(context, builder, signature, arguments):
        total = ir.Constant(ir.DoubleType(), 0.0)
        for lane in range(a.lanes):
            number = builder.extract_element(arguments[0], ir.IntType(32)(lane))
            total = builder.fadd(total, context.cast(builder, number, a.dtype, types.float64))
        return total

    return types.float64(a), write


@intrinsic
def largest_lane(typing, a):
    def write(context, builder, signature, arguments):
        first, *others = (builder.extract_element(arguments[0], ir.IntType(32)(lane)) for lane in range(a.lanes))
        for number in others:
            first = larger(builder, first, number)
        return first

    return a.dtype(a), write


@intrinsic
def has_nan(typing, a):
    def write(context, builder, signature, arguments):
        bits = builder.bitcast(builder.fcmp_unordered("uno", arguments[0], arguments[0]), ir.IntType(a.lanes))
        return builder.icmp_unsigned("!=", bits, bits.type(0))

    return types.boolean(a), write
