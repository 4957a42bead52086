"""Every differentiable function, in one list: the registry."""

from minidl.ops.arithmetic import add, divide, matmul, multiply, negative, power, subtract
from minidl.ops.batch_norm.op import batch_norm, normalise
from minidl.ops.conv2d.op import (
    conv2d,
    conv2d_input_gradient,
    conv2d_relu,
    conv2d_relu_max_pool2d,
    conv2d_weight_gradient,
    conv_transpose2d,
)
from minidl.ops.dense.op import dense, dense_input_gradient, dense_weight_gradient
from minidl.ops.dropout.op import dropout
from minidl.ops.elementwise import (
    absolute,
    clip,
    elu,
    erf,
    exp,
    gelu,
    identity,
    leakyrelu,
    log,
    maximum,
    minimum,
    select,
    sigmoid,
    softplus,
    sqrt,
    swish,
    tanh,
    weighted,
    where,
    xlogy,
)
from minidl.ops.max_pool2d.op import max_pool2d, max_pool2d_gather, max_pool2d_scatter
from minidl.ops.mean_pool2d.op import mean_pool2d, mean_pool2d_gradient
from minidl.ops.reductions import max, min, var
from minidl.ops.relu.op import relu, relu_gradient
from minidl.ops.shaping import (
    broadcast_to,
    concatenate,
    flatten,
    getitem,
    reshape,
    scatter,
    stack,
    sum_to,
    transpose,
)
from minidl.ops.softmax.op import logsoftmax, softmax
from minidl.ops.softmax_cross_entropy.op import softmax_cross_entropy
from minidl.ops.sum.op import mean, row_sums, sum

__all__ = [
    "absolute", "add", "batch_norm", "broadcast_to", "clip", "concatenate", "conv2d", "conv2d_input_gradient",
    "conv2d_relu", "conv2d_relu_max_pool2d", "conv2d_weight_gradient", "conv_transpose2d", "dense",
    "dense_input_gradient", "dense_weight_gradient", "divide", "dropout", "elu", "erf", "exp", "flatten", "gelu",
    "getitem", "identity", "leakyrelu", "log", "logsoftmax", "matmul", "max", "max_pool2d", "max_pool2d_gather",
    "max_pool2d_scatter", "maximum", "mean", "mean_pool2d", "mean_pool2d_gradient", "min", "minimum", "multiply",
    "negative", "normalise", "power", "relu", "relu_gradient", "reshape", "row_sums", "scatter", "select", "sigmoid",
    "softmax", "softmax_cross_entropy", "softplus", "sqrt", "stack", "subtract", "sum", "sum_to", "swish", "tanh",
    "transpose", "var", "weighted", "where", "xlogy",
]  # fmt: skip
