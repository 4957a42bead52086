"""Every function in float32 at the sizes it is used at, forward and backward, against the same in float64.

A row says how far the output and the gradients may be off, in roundings of float32 (ulp) of the largest number of each:
2 for what is added up in float64 and rounded once, more where several rounded numbers meet, or products are added up in
float32. All numbers have one sign where that makes it harder: a long sum in float32 then outgrows what is added.
"""

from functools import partial

import numpy as np
import pytest

from minidl import functions as F
from minidl.ops.windows import make_windows
from minidl.tensor import Tensor

ULP = float(np.finfo(np.float32).eps)
MANY = 17_000_000  # ones, of which float32 adds up no more than 16,777,216
random = np.random.default_rng(0)


def some(*shape):
    """From 0.1 to 1."""
    return random.uniform(0.1, 1, shape).astype(np.float32)


IMAGES, COLUMN, MATRIX, CHANNELS = some(4, 128, 128, 8), some(100_000, 3), some(3000, 40), some(8)
FAR = some(200_000, 2) + 100  # numbers that are far from 0 for their spread
SCORES, SHARES = 10 * some(8, 30_000), some(8, 30_000) / 15_000
LONG = some(300_000)
FILTERS, POOLED = some(3, 3, 8, 8), some(4, 127, 127, 8)
OVERLAPPING, CONVOLVED = make_windows("pool", 4, 1, 1), make_windows("conv2d", 3, 1, 1)
CHOICE = np.full(POOLED.shape, 5, np.uint8)
PLACES = random.integers(0, 3, 300_000)
SAME = np.zeros(20_000, int)

# function -> (bound in ulp, function of tensors, inputs); a function with several rows has a list of them
ROWS = {
    "absolute": (1, F.absolute, LONG),
    "add": (2, F.add, COLUMN, some(3)),
    # the mean is rounded to float32, and the gradient of the scale adds up what that shifts, for all rows
    "batch_norm": (3000, lambda x, scale, shift: F.batch_norm(x, scale, shift)[0], IMAGES, some(8), some(8)),
    "broadcast_to": (2, lambda x: F.broadcast_to(x, (100_000, 3)), some(3)),
    "clip": (1, lambda x: F.clip(x, 0.3, 0.6), LONG),
    "concatenate": (1, lambda x, y: F.concatenate([x, y]), COLUMN, COLUMN),
    "conv2d": (60, lambda x, w, b: F.conv2d(x, w, b, pad=1), IMAGES, FILTERS, CHANNELS),
    "conv2d_input_gradient": (
        60, lambda dy, w: F.conv2d_input_gradient(dy, w, IMAGES.shape, CONVOLVED, 1), IMAGES, FILTERS,
    ),
    "conv2d_relu": (60, lambda x, w, b: F.conv2d_relu(x, w, b, pad=1), IMAGES, FILTERS, CHANNELS),
    "conv2d_relu_max_pool2d": (
        200, lambda x, w, b: F.conv2d_relu_max_pool2d(x, w, b, pad=1), IMAGES, FILTERS, CHANNELS,
    ),
    "conv2d_weight_gradient": (
        60, lambda dy, x: F.conv2d_weight_gradient(dy, x, FILTERS.shape, CONVOLVED, 1), IMAGES, IMAGES,
    ),
    "conv_transpose2d": (60, lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2), IMAGES, FILTERS, CHANNELS),
    "dense": (60, F.dense, MATRIX, some(40, 30), some(30)),
    "dense_input_gradient": (60, F.dense_input_gradient, MATRIX, some(30, 40)),
    "dense_weight_gradient": (60, F.dense_weight_gradient, COLUMN, COLUMN),
    "divide": (4, F.divide, COLUMN, some(3)),
    "dropout": (1, lambda x: F.dropout(x, 0.5, (1, 2, 3)), LONG),
    "elu": (4, F.elu, -LONG),
    "erf": (8, F.erf, LONG),
    "exp": (4, F.exp, LONG),
    "flatten": (1, F.flatten, IMAGES),
    "gelu": (8, F.gelu, LONG),
    "getitem": (2, lambda x: x[SAME], some(3, 20)),
    "identity": (1, F.identity, LONG),
    "leakyrelu": (1, F.leakyrelu, -LONG),
    "log": (4, F.log, LONG),
    "logsoftmax": (4, F.logsoftmax, SCORES),
    "matmul": (60, F.matmul, MATRIX, some(40, 30)),
    "max": (1, lambda x: F.max(x, 0), COLUMN),
    "max_pool2d": (4, lambda x: F.max_pool2d(x, 4, 1, 1), IMAGES),
    "max_pool2d_gather": (1, lambda x: F.max_pool2d_gather(x, CHOICE, OVERLAPPING), IMAGES),
    "max_pool2d_scatter": (1, lambda dy: F.max_pool2d_scatter(dy, CHOICE, IMAGES.shape, OVERLAPPING), POOLED),
    "maximum": (2, F.maximum, COLUMN, some(3)),
    "mean": [
        (2, lambda x: F.mean(x, 0), np.ones((MANY, 2), np.float32)),
        (2, lambda x: F.mean(x, (0, 1, 2)), IMAGES),
        (2, lambda x: F.mean(x, (0, 2)), IMAGES),
    ],
    "mean_pool2d": (2, lambda x: F.mean_pool2d(x, 4, 1, 1), IMAGES),
    "mean_pool2d_gradient": (2, lambda dy: F.mean_pool2d_gradient(dy, IMAGES.shape, OVERLAPPING), POOLED),
    "min": (1, lambda x: F.min(x, 0), COLUMN),
    "minimum": (2, F.minimum, COLUMN, some(3)),
    "multiply": (2, F.multiply, COLUMN, some(3)),
    "negative": (1, F.negative, LONG),
    "normalise": (8, F.normalise, COLUMN, -some(3), some(3), some(3)),
    "power": (8, lambda x: F.power(x, 1.7), LONG),
    "relu": (1, F.relu, LONG),
    "relu_gradient": (1, lambda dy: F.relu_gradient(dy, LONG.astype(dy.dtype)), LONG),
    "reshape": (1, lambda x: F.reshape(x, -1), IMAGES),
    "row_sums": (2, F.row_sums, IMAGES),
    "scatter": (2, lambda x: F.scatter(x, PLACES, (3,)), LONG),
    "select": (1, lambda x: F.select(x, LONG > 0.5), LONG),
    "sigmoid": (4, F.sigmoid, LONG),
    "softmax": (8, F.softmax, SCORES),
    "softmax_cross_entropy": (4, F.softmax_cross_entropy, SCORES, SHARES),
    "softplus": (4, F.softplus, LONG),
    "sqrt": (2, F.sqrt, LONG),
    "stack": (1, lambda x, y: F.stack([x, y]), COLUMN, COLUMN),
    "subtract": (2, F.subtract, COLUMN, some(3)),
    "sum": [(2, partial(F.sum, axis=axis), IMAGES) for axis in [None, 0, 1, 3, (0, 2), (1, 3), (0, 1, 2)]],
    "sum_to": (2, lambda x: F.sum_to(x, (3,)), COLUMN),
    "swish": (8, F.swish, LONG),
    "tanh": (4, F.tanh, LONG),
    "transpose": (1, F.transpose, COLUMN),
    "var": [(4, lambda x: F.var(x, 0), FAR), (4, lambda x: F.var(x, (0, 1, 2)), IMAGES)],
    "weighted": (2, F.weighted, COLUMN, some(3)),
    "where": (2, lambda x, y: F.where(COLUMN > 0.5, x, y), COLUMN, some(3)),
    "xlogy": (4, F.xlogy, COLUMN, some(3)),
}  # fmt: skip
ALL = [(name, row) for name, rows in ROWS.items() for row in (rows if isinstance(rows, list) else [rows])]


def results(function, inputs, dtype):
    """The output, and the gradients of the inputs with dy, a number from 0.1 to 1 for each of the output."""
    tensors = [Tensor(x, "cpu", dtype=dtype, requires_grad=True) for x in inputs]
    y = function(*tensors)
    dy = np.random.default_rng(1).uniform(0.1, 1, y.shape).astype(np.float32).astype(dtype)
    y.backward(Tensor(dy, "cpu"))
    return [y.numpy(), *(x.grad.numpy() for x in tensors)]


def errors(function, inputs):
    """How far each result in float32 is from float64's, in ulp of its largest number."""
    for result, expected in zip(*(results(function, inputs, dtype) for dtype in ["float32", "float64"]), strict=True):
        assert result.dtype == np.float32
        yield np.abs(result - expected).max() / (ULP * np.abs(expected).max())


def test_every_function_has_a_row():
    assert sorted(ROWS) == sorted(F.__all__)


@pytest.mark.parametrize(("name", "row"), ALL, ids=[name for name, _ in ALL])
def test_float32_is_as_exact_as_stated(name, row):
    bound, function, *inputs = row
    assert max(errors(function, inputs)) <= bound
