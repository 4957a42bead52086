"""The rows that every function is tested with: the examples that ship with minidl, and more unusual ones.

A row is Example(function, *inputs, **arguments); tests/ops/test_cases.py checks the gradients of each and compares the
backends. Adding a row here, or in minidl/gradient_examples.py for a new function, is all that it takes.
"""

import numpy as np

from minidl import functions as F
from minidl.gradient_examples import (
    EXAMPLES,
    Example,
    batch_norm,
    booleans,
    concatenate,
    distinct,
    draw_from,
    numbers,
    positive,
    reshape,
    stack,
    taps,
    transpose,
)
from minidl.ops.windows import make_windows

draw_from(1)

BROADCASTING = [((), (2, 3)), ((2, 1), (1, 3)), ((2, 3), (1,)), ((4, 1, 3), (2, 1)), ((2, 3), (2, 3)), ((1,), ())]

ARITHMETIC = [
    *[
        Example(function, numbers(*a), numbers(*b))
        for function in [F.add, F.subtract, F.multiply, F.divide]
        for a, b in BROADCASTING
    ],
    Example(F.maximum, distinct(2, 3), np.array([0.01])),
    Example(F.minimum, np.array(0.01), distinct(2, 3)),
    Example(F.where, booleans(4, 1, 3), numbers(2, 1), numbers(1)),
    *[Example(F.power, numbers(2, 3), exponent=exponent) for exponent in [0, 1, 2, -1, -2]],
    Example(F.power, positive(2, 3), exponent=0.5),
    Example(F.power, positive(2, 1), numbers(3)),
]

MATMUL = [
    Example(F.matmul, numbers(*a), numbers(*b))
    for a, b in [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((3,), (2, 3, 4)),
        ((2, 2, 3), (3,)),
        ((2, 2, 3), (3, 4)),
        ((2, 3), (2, 3, 4)),
        ((2, 1, 2, 3), (3, 3, 1)),
        ((1, 1), (1, 1)),
    ]
]

KEYS = [
    0,
    -1,
    (1, 2),
    slice(1, None),
    slice(None, None, -2),
    (slice(None), slice(3, 0, -1)),
    None,
    (Ellipsis, 1),
    (0, None, Ellipsis),
    (slice(None), [0, 0, 3]),
    ([0, 0, 1], [1, 1, 2]),
    ([[0], [2]], [1, 3]),
    np.array([2, 2, 2]),
    np.array([[True, False, True, True], [False] * 4, [True] * 4]),
    (slice(None), np.array([True, False, True, False])),
]

SHAPING = [
    *[Example(F.getitem, numbers(3, 4), key=key) for key in KEYS],
    *[Example(F.scatter, numbers(*np.empty((3, 4))[key].shape), key=key, shape=(3, 4)) for key in KEYS],
    Example(reshape, numbers(2, 3), shape=(-1,)),
    Example(reshape, numbers(1), shape=()),
    Example(reshape, numbers(), shape=(1, 1)),
    Example(transpose, numbers(2, 3), axes=()),
    Example(transpose, numbers(2, 3, 1), axes=(-1, 0, 1)),
    Example(F.flatten, numbers(2)),
    Example(F.flatten, numbers(2, 3, 1, 2)),
    Example(F.broadcast_to, numbers(), shape=(2, 3)),
    Example(F.broadcast_to, numbers(2, 3), shape=(2, 3)),
    Example(F.sum_to, numbers(2, 3), shape=()),
    Example(F.sum_to, numbers(2, 3), shape=(2, 3)),
    Example(F.sum_to, numbers(2, 1, 3), shape=(1, 1)),
    Example(concatenate, numbers(2, 3), numbers(1, 3), numbers(2, 3), axis=0),
    Example(concatenate, numbers(2, 3), numbers(2, 2), axis=-1),
    Example(stack, numbers(2), axis=0),
    Example(stack, numbers(2, 3), numbers(2, 3), axis=-1),
]

AXES = [None, 0, -1, (0, 2), (-1, 1), ()]

REDUCTIONS = [
    *[
        Example(function, distinct(2, 3, 2), axis=axis, keepdims=keepdims)
        for function in [F.sum, F.mean, F.var, F.max, F.min]
        for axis in AXES
        for keepdims in [False, True]
    ],
    *[Example(function, numbers()) for function in [F.sum, F.mean, F.max]],
]

# Filters, strides, padding and dilation that meet an image of 6 x 5 pixels in every way
WINDOWS = [
    ((1, 1), {}),
    ((1, 1), {"stride": 2}),
    ((3, 3), {"pad": 1}),
    ((3, 3), {"pad": (1, 2)}),
    ((3, 2), {"pad": (2, 0, 1, 0)}),
    ((2, 2), {"stride": 3}),
    ((3, 3), {"stride": 2, "pad": 1}),
    ((2, 3), {"stride": (3, 1), "pad": (0, 1, 2, 0)}),
    ((2, 2), {"dilation": 2}),
    ((2, 3), {"dilation": (3, 1), "stride": 2, "pad": (1, 2)}),
    ((6, 5), {}),
]

CONVOLUTIONS = [
    *[Example(F.conv2d, numbers(2, 6, 5, 2), numbers(*size, 2, 3), numbers(3), **how) for size, how in WINDOWS],
    *[Example(F.conv_transpose2d, numbers(2, 3, 4, 2), numbers(*size, 3, 2), **how) for size, how in WINDOWS],
    Example(F.conv2d, numbers(1, 4, 4, 1), numbers(3, 3, 1, 1)),
    Example(F.conv2d, numbers(1, 1, 1, 3), numbers(1, 1, 3, 2), numbers(2)),
    Example(F.conv2d, numbers(1, 1, 1, 3), numbers(3, 3, 3, 2), pad=1),
    Example(F.conv2d, numbers(2, 4, 4, 4), numbers(3, 3, 2, 6), numbers(6), groups=2, pad=1),
    Example(F.conv2d, numbers(2, 4, 4, 3), numbers(3, 3, 1, 6), numbers(6), groups=3, stride=2),
    Example(F.conv2d, numbers(1, 3, 3, 17), numbers(3, 3, 17, 9), numbers(9), pad=1),
    Example(F.conv2d, numbers(1, 3, 3, 33), numbers(1, 1, 33, 5), numbers(5)),
    Example(F.conv2d, numbers(3, 8, 8, 8), numbers(3, 3, 8, 16), numbers(16), pad=1),
    Example(F.conv_transpose2d, numbers(2, 3, 3, 4), numbers(3, 3, 3, 4), numbers(6), groups=2, stride=2, pad=1),
    # side by side with what follows: images and channels that tiles of 4, of 2 and patches take, in full and in part
    *[
        Example(function, numbers(*x), numbers(3, 3, x[3], f), numbers(f), pad=1)
        for function in [F.conv2d_relu, F.conv2d_relu_max_pool2d]
        for x, f in [((1, 8, 8, 8), 9), ((2, 2, 2, 8), 8), ((2, 5, 7, 9), 8), ((1, 4, 5, 3), 2)]
    ],
    Example(F.conv2d_relu, numbers(2, 4, 4, 4), numbers(3, 3, 2, 6), stride=2, groups=2),
    Example(F.conv2d_relu_max_pool2d, numbers(1, 5, 5, 4), numbers(2, 2, 2, 6), groups=2),
    Example(F.row_sums, numbers(3)),
    Example(F.row_sums, numbers(4, 1)),
]  # fmt: skip

POOLS = [
    *[
        Example(function, distinct(2, 5, 6, 3), **how)
        for function in [F.max_pool2d, F.mean_pool2d]
        for how in [
            {"size": 1},
            {"size": 2},
            {"size": (3, 2), "stride": 1},
            {"size": 3, "stride": 2, "pad": 1},
            {"size": 2, "stride": 3},
            {"size": (3, 4), "stride": (2, 1), "pad": (2, 1, 0, 3)},
            {"size": (5, 6)},
        ]
    ],
    Example(F.max_pool2d, distinct(1, 17, 17, 1), size=17),  # 289 taps: more than one byte can number
    Example(F.max_pool2d, distinct(1, 1, 1, 1), size=1),
    Example(F.max_pool2d, distinct(2, 6, 4, 19), size=2),  # each pixel in one window
    Example(F.max_pool2d_gather, numbers(2, 3, 3, 2),
            choice=taps(4, 2, 2, 2, 2), windows=make_windows("max_pool2d", 2, 1)),
    Example(F.max_pool2d_scatter, numbers(2, 2, 2, 2),
            choice=taps(4, 2, 2, 2, 2), x_shape=(2, 3, 3, 2), windows=make_windows("max_pool2d", 2, 1)),
]  # fmt: skip

DENSE_AND_NORMS = [
    Example(F.dense, numbers(1, 1), numbers(1, 1)),
    Example(F.dense, numbers(5, 3), numbers(3, 7)),
    Example(F.dense, numbers(2, 17), numbers(17, 9), numbers(9)),
    Example(batch_norm, numbers(5, 3), numbers(3), numbers(3)),
    Example(batch_norm, numbers(2, 1), numbers(1), numbers(1)),
    Example(batch_norm, numbers(2, 3, 2, 3), numbers(3), numbers(3), eps=0.1),
    Example(batch_norm, 3 + numbers(40, 2), numbers(2), numbers(2)),
    Example(batch_norm, distinct(5, 3, 9), positive(9), numbers(9), relu=True),
    Example(F.normalise, numbers(4, 1), numbers(1), numbers(1), numbers(1)),
    Example(F.normalise, distinct(2, 3, 2, 9), numbers(9), numbers(9), numbers(9), relu=True),
    Example(F.dropout, numbers(2, 3, 2), rate=0.0, key=(0, 0, 0)),
    Example(F.dropout, numbers(2, 3, 2), rate=0.9, key=(3, 2**40, 7)),
]

PROBABILITIES = [
    Example(F.softmax, numbers(4)),
    Example(F.softmax, numbers(2, 3, 4)),
    Example(F.softmax, 100 * distinct(2, 3)),
    Example(F.softmax, numbers(2, 1)),
    Example(F.logsoftmax, numbers(4)),
    Example(F.logsoftmax, numbers(2, 3, 4)),
    Example(F.logsoftmax, 100 * distinct(2, 3)),
    Example(F.softmax_cross_entropy, numbers(1, 2), np.array([[0.0, 1.0]])),
    Example(F.softmax_cross_entropy, 100 * distinct(2, 3), positive(2, 3)),
]

CASES = [
    *EXAMPLES,
    *ARITHMETIC,
    *MATMUL,
    *SHAPING,
    *REDUCTIONS,
    *CONVOLUTIONS,
    *POOLS,
    *DENSE_AND_NORMS,
    *PROBABILITIES,
]
