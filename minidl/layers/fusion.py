"""Which layers of a chain are computed together ("fused"): their numbers stay in registers or in the cache in between.

This changes speed and memory, and nothing else: Chain(a, b)(x) is b(a(x)). So a layer takes part only when it is known
exactly what it does. It is one of minidl's own classes, not a subclass, and its activation is minidl's relu or none;
everything else is called as it is. `with unfused():` calls every layer by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from minidl.layers.conv import Conv
from minidl.layers.normalisation import BatchNorm
from minidl.layers.pooling import MaxPool
from minidl.modes import is_fusing
from minidl.ops.conv2d.evaluation import conv2d_batch_norm
from minidl.ops.conv2d.op import conv2d_relu, conv2d_relu_max_pool2d
from minidl.ops.elementwise import identity
from minidl.ops.relu.op import relu
from minidl.tensor import Tensor

Parts = tuple[str, ...]
Layers = Sequence[Callable[..., Any]]
UNKNOWN = ("?",)


class Step(NamedTuple):
    """Layers number start to end - 1, and the function that computes them together."""

    start: int
    end: int
    compute: Callable[[Any], Any]


def plan(layers: Layers, recording: bool) -> Iterator[Step]:
    """The steps in which a chain computes its layers; `recording`: whether functions keep their history.

    Each step is found when its turn comes, so that layers may be changed between two calls, or by a layer before them.
    """
    start = 0
    while start < len(layers):
        step = _step(layers, start, recording)
        yield step
        start = step.end


def _step(layers: Layers, start: int, recording: bool) -> Step:
    """The longest one that begins with layer `start`."""
    longest, rule = start + 1, None
    if type(layers[start]) in FIRST and is_fusing():
        parts: Parts = ()
        for end in range(start + 1, len(layers) + 1):
            parts += _parts(layers[end - 1], recording)
            if parts not in BEGINNINGS:
                break
            if end > start + 1 and parts in RULES:
                longest, rule = end, RULES[parts]
    return Step(start, longest, layers[start] if rule is None else partial(rule, layers[start:longest]))


def _parts(layer: Any, recording: bool) -> Parts:
    """What a layer computes in the words of RULES, its activation included; UNKNOWN for what no rule has."""
    if layer is relu:
        return ("relu",)
    kind = type(layer)
    if kind not in CALLS or kind.__call__ is not CALLS[kind]:
        return UNKNOWN
    if kind is MaxPool:
        return ("halve",) if _halves(layer) else UNKNOWN
    if layer.activation is not relu and layer.activation is not identity:
        return UNKNOWN
    after = ("relu",) if layer.activation is relu else ()
    if kind is Conv:
        return ("conv", *after)
    return ("batch_norm" if recording or layer.uses_batch else "normalise", *after)


def _halves(pool: MaxPool) -> bool:
    """Whether its windows are 2 x 2 pixels side by side, in one of the usual spellings."""
    return _is(pool.size, 2) and (pool.stride is None or _is(pool.stride, 2)) and _is(pool.pad, 0)


def _is(size: object, pixels: int) -> bool:
    return type(size) in (int, tuple) and size in (pixels, (pixels, pixels), (pixels,) * 4)


# The rules ------------------------------------------------------------------------------------------------------------


def _conv_relu(layers: Sequence[Any], x: Any) -> Tensor:
    return layers[0]._compute(conv2d_relu, x)  # type: ignore[no-any-return]


def _conv_relu_pool(layers: Sequence[Any], x: Any) -> Tensor:
    return layers[0]._compute(conv2d_relu_max_pool2d, x)  # type: ignore[no-any-return]


def _norm_relu(layers: Sequence[Any], x: Any) -> Tensor:
    return layers[0]._compute(relu, x)  # type: ignore[no-any-return]


def _conv_norm(with_relu: bool, pool: bool) -> Callable[[Sequence[Any], Any], Tensor]:
    def compute(layers: Sequence[Any], x: Any) -> Tensor:
        conv, norm = layers[:2]
        normalised = partial(
            conv2d_batch_norm, statistics=(norm.mean, norm.variance), scale=norm.scale, shift=norm.shift, eps=norm.eps,
            relu=with_relu, pool=pool,
        )  # fmt: skip
        return conv._compute(normalised, x)  # type: ignore[no-any-return]

    return compute


# "normalise" is batch norm with the running statistics, unrecorded; "halve" is a max pool of 2 x 2 pixels side by side
RULES: dict[Parts, Callable[[Sequence[Any], Any], Tensor]] = {
    ("conv", "relu"): _conv_relu,
    ("conv", "relu", "halve"): _conv_relu_pool,
    ("batch_norm", "relu"): _norm_relu,
    ("normalise", "relu"): _norm_relu,
    ("conv", "normalise"): _conv_norm(with_relu=False, pool=False),
    ("conv", "normalise", "relu"): _conv_norm(with_relu=True, pool=False),
    ("conv", "normalise", "relu", "halve"): _conv_norm(with_relu=True, pool=True),
}
FIRST = (Conv, BatchNorm)  # where every rule begins
BEGINNINGS = {rule[:length] for rule in RULES for length in range(1, len(rule) + 1)}
CALLS: dict[type, Any] = {kind: kind.__call__ for kind in (Conv, BatchNorm, MaxPool)}  # a replaced one is honoured
