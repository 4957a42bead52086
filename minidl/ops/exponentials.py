"""Exponentials of whole rows, for softmax and what is built on it: a vector at a time, as in simd.py.

The hardware cannot do exp(), but it can do powers of 2, which only change a number's exponent. With k the whole number
nearest to x / ln 2, and r what is left,

    exp(x) = 2**k * exp(r)        r = x - k ln 2, from -0.35 to 0.35

and so near to 0 the series 1 + r + r**2 / 2! + ... is exact to a float32's last digit after r**7 / 7!, to a float64's
after r**13 / 13!. The first digits of ln 2 are taken off apart from the others: so few that k times them is exact.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.ops.compiling import compiled
from minidl.ops.simd import (
    REGISTER_BYTES,
    Vector,
    at_least,
    lanes,
    largest_lane,
    load_part,
    multiply_add,
    nearest,
    power_of_two,
    store_part,
    sum_of_lanes,
    zeros,
)

PER_LN_2 = 1 / math.log(2)
SERIES = tuple(1 / math.factorial(n) for n in range(14))
FIRST_DIGITS = 355 / 512  # of ln 2
OTHER_DIGITS = -2.1219444005469058e-4  # ln 2 - 355 / 512; from math.log(2) it would lack the last ones
FLOAT32, FLOAT64 = (7, -104.0), (13, -746.0)  # the last power of the series that counts; below which exp() is 0


@compiled
def largest_of(x):
    """The largest number of a row (n,)."""
    lane, largest = lanes(x), load_part(x, 0, 0, -np.inf)
    for k in range(0, x.size, lane):
        largest = at_least(largest, load_part(x, k, x.size - k, -np.inf))
    return largest_lane(largest)


@compiled
def exponentials(x, largest, y):
    """The sum of exp(x - largest) over a row (n,), in float64; y gets all of them, unless it is None."""
    lane, sums = lanes(x), _widened(zeros(x))
    highest, lowest = FLOAT32 if lane == REGISTER_BYTES // 4 else FLOAT64
    for k in range(0, x.size, lane):
        powers = _exp(load_part(x, k, x.size - k, -np.inf) - np.float64(largest), highest, lowest)
        sums = sums + _widened(powers)
        if y is not None:
            store_part(y, k, powers, x.size - k)
    return sum_of_lanes(sums)


@compiled
def _exp(x, highest, lowest):
    """exp(x) for x of 0 or less, lane by lane: a series up to r**highest; the same for all x below lowest."""
    x = at_least(x, lowest)
    k = nearest(x * PER_LN_2)
    r = x - k * FIRST_DIGITS - k * OTHER_DIGITS
    series = r * SERIES[highest] + SERIES[highest - 1]
    for n in range(highest - 2, -1, -1):
        series = multiply_add(series, r, SERIES[n])
    half = nearest(k * 0.5)  # 2**k itself may be too small for a float of full precision
    return series * power_of_two(half) * power_of_two(k - half)


@intrinsic
def _widened(typing, a):
    """In float64, with half as many lanes: one of the lower half plus one of the upper; a float64 vector as it is."""
    vector = Vector(types.float64)

    def write(context, builder, signature, arguments):
        numbers, half = arguments[0], context.get_value_type(vector)
        if a == vector:
            return numbers
        lanes = ir.VectorType(ir.IntType(32), half.count)
        lower, upper = (ir.Constant(lanes, [first + i for i in range(half.count)]) for first in (0, half.count))
        return builder.fadd(*(builder.fpext(builder.shuffle_vector(numbers, numbers, x), half) for x in (lower, upper)))

    return vector(a), write
