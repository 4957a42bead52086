"""Each layer and function of minidl in ONNX's operators (github.com/onnx/onnx, docs/Operators.md)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy

from minidl import functions as f
from minidl.interchange.onnx_graph import Graph, Value
from minidl.layers import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMaxPool,
    GlobalMeanPool,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    MeanPool,
    Parallel,
    SkipConnection,
    Upsample,
)
from minidl.layers.layer import is_plain, name_of
from minidl.layers.padding import padding_for
from minidl.modes import evaluation_mode, no_grad
from minidl.ops.windows import Windows, make_windows
from minidl.tensor import Tensor


def convert(graph: Graph, function: Callable[..., Any], x: Value) -> Value:
    """Add what `function`, a layer or not, computes of x. NotImplementedError for one that is not known here."""
    for kind, added in LAYERS.items():
        if is_plain(function, kind):
            return added(graph, function, x)
    plain, options = (function.func, function.keywords) if isinstance(function, partial) else (function, {})
    if plain in SLOPES and not (options.keys() - {SLOPES[plain][1]}):
        name, option, default = SLOPES[plain]
        return _elementwise(graph, name, x, alpha=float(options.get(option, default)))
    if options or plain not in FUNCTIONS:
        known = [*(layer.__name__ for layer in LAYERS), *(each.__name__ for each in [*FUNCTIONS, *SLOPES])]
        raise NotImplementedError(f"export_onnx: {name_of(function)} has no form in ONNX here; build the network of "
                                  f"{', '.join(known)}")  # fmt: skip
    return FUNCTIONS[plain](graph, x)


def _shape_behind(layer: Callable[..., Any], x: Value) -> tuple[int, ...]:
    """The shape of layer(x), found by computing with zeros; the errors are the layer's own."""
    backend = layer.backend if isinstance(layer, Layer) else None
    with no_grad(), evaluation_mode():
        shape: tuple[int, ...] = layer(Tensor(numpy.zeros(x.shape, numpy.float32), backend)).shape
    return shape


# Containers -----------------------------------------------------------------------------------------------------------


def _chain(graph: Graph, chain: Chain, x: Value) -> Value:
    for i, layer in enumerate(chain.layers):
        try:
            x = convert(graph, layer, x)
        except Exception as error:
            error.add_note(f"in layer {i} of the Chain, {name_of(layer)}, given a tensor of shape {x.shape}")
            raise
    return x


def _skip(graph: Graph, layer: SkipConnection, x: Value) -> Value:
    return _joined(graph, layer.connection, [convert(graph, layer.layer, x), x])


def _parallel(graph: Graph, layer: Parallel, x: Value) -> Value:
    return _joined(graph, layer.connection, [convert(graph, branch, x) for branch in layer.layers])


def _joined(graph: Graph, connection: Callable[..., Any], values: Sequence[Value]) -> Value:
    if len(values) == 1:
        return convert(graph, connection, values[0])
    if len(values) != 2 or connection not in CONNECTIONS:
        known = ", ".join(dict.fromkeys(each.__name__ for each in CONNECTIONS))
        raise NotImplementedError(f"export_onnx: {name_of(connection)} of {len(values)} branches has no form in ONNX "
                                  f"here; join two with {known}")  # fmt: skip
    a, b = values
    if len(a.shape) != len(b.shape):
        raise ValueError(f"export_onnx: {name_of(connection)} of {a.shape} and {b.shape} would join the batch with "
                         f"another axis; give both branches the same number of axes")  # fmt: skip
    if a.channels_first != b.channels_first:
        a, b = graph.last(a), graph.last(b)
    shape = numpy.broadcast_shapes(a.shape, b.shape)
    return Value(graph.node(CONNECTIONS[connection], a.name, b.name), shape, a.channels_first)


# Layers with windows --------------------------------------------------------------------------------------------------


def _convolution(graph: Graph, layer: Conv | ConvTranspose, x: Value) -> Value:
    """Weights are (f, c, kh, kw) there, those of ConvTranspose (c, f, kh, kw): the axes turned round in both."""
    kind, less = ("ConvTranspose", layer.stride) if isinstance(layer, ConvTranspose) else ("Conv", 1)
    size = layer.weight.shape[:2]
    windows = make_windows(kind, size, layer.stride, padding_for(layer.pad, size, layer.dilation, less), layer.dilation)
    shape = _shape_behind(layer, x)
    weights = [
        graph.weight(layer.weight, (3, 2, 0, 1)),
        *([graph.weight(layer.bias)] if layer.bias is not None else []),
    ]
    options = _options(windows) | {"dilations": [windows.dilation_h, windows.dilation_w], "group": layer.groups}
    name = graph.node(kind, graph.first(x).name, *weights, **options)
    return convert(graph, layer.activation, Value(name, shape, True))


def _pool(graph: Graph, layer: MaxPool | MeanPool, x: Value) -> Value:
    stride = layer.size if layer.stride is None else layer.stride
    windows = make_windows(type(layer).__name__, layer.size, stride, padding_for(layer.pad, layer.size))
    return _pooled(graph, isinstance(layer, MaxPool), windows, x, _shape_behind(layer, x))


def _adaptive_pool(graph: Graph, layer: AdaptiveMaxPool | AdaptiveMeanPool, x: Value) -> Value:
    """Windows as AdaptiveMaxPool's docstring has them."""
    shape = _shape_behind(layer, x)
    (_, h, w, _), (_, out_h, out_w, _) = x.shape, shape
    stride_h, stride_w = h // out_h, w // out_w
    windows = Windows(h - (out_h - 1) * stride_h, w - (out_w - 1) * stride_w, stride_h, stride_w)
    return _pooled(graph, isinstance(layer, AdaptiveMaxPool), windows, x, shape)


def _pooled(graph: Graph, largest: bool, windows: Windows, x: Value, shape: tuple[int, ...]) -> Value:
    kind, options = ("MaxPool", {}) if largest else ("AveragePool", {"count_include_pad": 1})
    return Value(graph.node(kind, graph.first(x).name, **_options(windows), **options), shape, True)


def _options(windows: Windows) -> dict[str, Any]:
    return {
        "kernel_shape": [windows.height, windows.width],
        "strides": [windows.stride_h, windows.stride_w],
        "pads": [windows.top, windows.left, windows.bottom, windows.right],
    }


def _global_pool(kind: str, graph: Graph, layer: GlobalMaxPool | GlobalMeanPool, x: Value) -> Value:
    shape = _shape_behind(layer, x)
    return Value(graph.node(kind, graph.first(x).name), shape, True)


def _upsample(graph: Graph, layer: Upsample, x: Value) -> Value:
    shape = _shape_behind(layer, x)
    scales = graph.constant(f"scales_{layer.scale}", numpy.array([1, 1, layer.scale, layer.scale], numpy.float32))
    options = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    if layer.mode == "nearest":
        options = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return Value(graph.node("Resize", graph.first(x).name, "", scales, **options), shape, True)


# Layers with features -------------------------------------------------------------------------------------------------


def _dense(graph: Graph, layer: Dense, x: Value) -> Value:
    shape = _shape_behind(layer, x)
    bias = [graph.weight(layer.bias)] if layer.bias is not None else []
    return convert(graph, layer.activation, Value(graph.node("Gemm", x.name, graph.weight(layer.weight), *bias), shape))


def _batch_norm(graph: Graph, layer: BatchNorm, x: Value) -> Value:
    if layer.active:
        raise NotImplementedError(f"export_onnx: {name_of(layer)} would normalise over the batch; call testmode(model) "
                                  f"first")  # fmt: skip
    x = _features_second(graph, layer, x)
    weights = [graph.weight(tensor) for tensor in (layer.scale, layer.shift, layer.mean, layer.variance)]
    name = graph.node("BatchNormalization", x.name, *weights, epsilon=layer.eps)
    return convert(graph, layer.activation, Value(name, x.shape, x.channels_first))


def _group_norm(graph: Graph, layer: GroupNorm, x: Value) -> Value:
    """A group of channels as one channel, normalised by itself, and then the scale and shift of each."""
    x = _features_second(graph, layer, x)
    *space, c = x.shape[1:]
    groups = graph.constant(f"groups_{layer.groups}", numpy.array([0, layer.groups, -1]))  # 0: as it is
    back = graph.constant(f"shape_{'_'.join(map(str, [c, *space]))}", numpy.array([0, c, *space]))
    ones = graph.constant(f"ones_{layer.groups}", numpy.ones(layer.groups, numpy.float32))
    zeros = graph.constant(f"zeros_{layer.groups}", numpy.zeros(layer.groups, numpy.float32))
    grouped = graph.node("Reshape", x.name, groups)
    normal = graph.node("InstanceNormalization", grouped, ones, zeros, epsilon=layer.eps)
    name = graph.node("Reshape", normal, back)
    for kind, tensor in (("Mul", layer.scale), ("Add", layer.shift)):
        numbers = tensor.numpy().reshape(c, *(1 for _ in space))
        name = graph.node(kind, name, graph.constant(graph.names[id(tensor)], numbers))
    return convert(graph, layer.activation, Value(name, x.shape, x.channels_first))


def _features_second(graph: Graph, layer: BatchNorm | GroupNorm, x: Value) -> Value:
    _shape_behind(layer, x)  # for its checks
    if len(x.shape) not in (2, 4):
        raise NotImplementedError(f"export_onnx: {name_of(layer)} of rows (n, c) or images (n, h, w, c) only, got "
                                  f"{x.shape}")  # fmt: skip
    return graph.first(x) if len(x.shape) == 4 else x


def _layer_norm(graph: Graph, layer: LayerNorm, x: Value) -> Value:
    shape, weights = _shape_behind(layer, x), [graph.weight(layer.scale), graph.weight(layer.shift)]
    options = {"axis": -layer.scale.ndim, "epsilon": layer.eps}
    return convert(
        graph, layer.activation, Value(graph.node("LayerNormalization", graph.last(x).name, *weights, **options), shape)
    )


def _dropout(graph: Graph, layer: Dropout, x: Value) -> Value:
    if layer.active:
        raise NotImplementedError(f"export_onnx: {name_of(layer)} would drop numbers; call testmode(model) first")
    return x


# Functions ------------------------------------------------------------------------------------------------------------


def _elementwise(graph: Graph, kind: str, x: Value, **options: Any) -> Value:
    return Value(graph.node(kind, x.name, **options), x.shape, x.channels_first)


def _named(kind: str, **options: Any) -> Callable[[Graph, Value], Value]:
    return lambda graph, x: _elementwise(graph, kind, x, **options)


def _over_features(kind: str) -> Callable[[Graph, Value], Value]:
    return lambda graph, x: _elementwise(graph, kind, x, axis=1 if x.channels_first else -1)


def _swish(graph: Graph, x: Value) -> Value:
    return Value(graph.node("Mul", x.name, graph.node("Sigmoid", x.name)), x.shape, x.channels_first)


def _flatten(graph: Graph, x: Value) -> Value:
    """Images of one pixel have the same order of numbers either way."""
    if math.prod(x.shape[1:]) != x.shape[-1]:
        x = graph.last(x)
    return Value(graph.node("Flatten", x.name, axis=1), (x.shape[0], math.prod(x.shape[1:])))


LAYERS: dict[type[Layer], Callable[[Graph, Any, Value], Value]] = {
    Chain: _chain,
    SkipConnection: _skip,
    Parallel: _parallel,
    Conv: _convolution,
    ConvTranspose: _convolution,
    MaxPool: _pool,
    MeanPool: _pool,
    AdaptiveMaxPool: _adaptive_pool,
    AdaptiveMeanPool: _adaptive_pool,
    GlobalMaxPool: partial(_global_pool, "GlobalMaxPool"),
    GlobalMeanPool: partial(_global_pool, "GlobalAveragePool"),
    Upsample: _upsample,
    Dense: _dense,
    BatchNorm: _batch_norm,
    GroupNorm: _group_norm,
    LayerNorm: _layer_norm,
    Dropout: _dropout,
}
FUNCTIONS: dict[Callable[..., Any], Callable[[Graph, Value], Value]] = {
    f.flatten: _flatten,
    f.identity: lambda graph, x: x,
    f.relu: _named("Relu"),
    f.gelu: _named("Gelu", approximate="tanh"),
    f.swish: _swish,
    f.sigmoid: _named("Sigmoid"),
    f.tanh: _named("Tanh"),
    f.softplus: _named("Softplus"),
    f.softmax: _over_features("Softmax"),
    f.logsoftmax: _over_features("LogSoftmax"),
    f.exp: _named("Exp"),
    f.log: _named("Log"),
    f.sqrt: _named("Sqrt"),
    f.absolute: _named("Abs"),
    f.negative: _named("Neg"),
}
SLOPES = {f.leakyrelu: ("LeakyRelu", "slope", 0.01), f.elu: ("Elu", "scale", 1.0)}  # ONNX calls both alpha
CONNECTIONS: dict[Callable[..., Any], str] = {
    f.add: "Add",
    f.subtract: "Sub",
    f.multiply: "Mul",
    f.divide: "Div",
    operator.add: "Add",
    operator.sub: "Sub",
    operator.mul: "Mul",
    operator.truediv: "Div",
}
