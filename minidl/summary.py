"""What a network costs, layer by layer: output shapes, parameters, multiply-adds, and the memory that training takes.

Found by running the network on zeros and looking at what comes out of each layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy

from minidl.layers.chain import Chain, Parallel, SkipConnection
from minidl.layers.conv import Conv, ConvTranspose
from minidl.layers.dense import Dense
from minidl.layers.fusion import plan
from minidl.layers.layer import Layer, is_plain, name_of
from minidl.layers.normalisation import BatchNorm, GroupNorm, LayerNorm
from minidl.modes import no_grad, training_mode
from minidl.tensor import Tensor
from minidl.training.diagnosis import untouched

IMAGES = 2  # to look at: in training, batch norm needs more than one number per channel


@dataclass(frozen=True)
class Row:
    """One layer. For a layer that holds others, all figures are the sums of those inside, which follow it.

    parameters          how many numbers are trained; those of a layer that is used twice count once
    statistics          how many numbers follow the data instead, such as the running averages of batch norm
    multiply_adds       for one input: those of convolutions and dense layers, which are nearly all; None when it is a
                        layer of another kind with parameters, of which nothing is known
    activation_bytes    what the layer makes of a batch in training and keeps for the backward pass, without the few
                        bytes with which pools remember their choice; 0 where it is computed together with the next
    parameter_bytes     parameters, their gradients, the optimiser's memories of them, and statistics
    """

    name: str
    depth: int
    is_container: bool
    output_shape: tuple[int, ...]
    parameters: int
    statistics: int
    multiply_adds: int | None
    activation_bytes: int
    parameter_bytes: int


@dataclass(frozen=True)
class Summary:
    """All layers in the order of running; the first row is the network itself, with the totals."""

    input_shape: tuple[int, ...]
    rows: list[Row]

    @property
    def total(self) -> Row:
        return self.rows[0]


def summarise(
    model: Layer, input_shape: Sequence[int] = (32, 32, 3), batch_size: int = 64, memories: int = 1
) -> Summary:
    """Every layer of `model` for batches (batch_size, *input_shape).

    `memories` is how many numbers the optimiser keeps for each parameter: 1 for momentum, 2 for Adam. ValueError, which
    names the layer, when the network does not take inputs of that shape. Leaves the network as it was.
    """
    if batch_size < 1 or not input_shape or min(input_shape) < 1:
        raise ValueError(f"summarise: expected a batch size and an input shape of numbers from 1, got {batch_size} and "
                         f"{tuple(input_shape)}")  # fmt: skip
    images = Tensor(numpy.zeros((IMAGES, *input_shape), numpy.float32), model.backend)
    with untouched(model), no_grad(), training_mode():
        _, rows = _Look(batch_size, memories).at(model, (images,), 0)
    return Summary((batch_size, *input_shape), rows)


class _Look:
    """One walk through a network."""

    def __init__(self, batch_size: int, memories: int) -> None:
        self.batch_size, self.memories = batch_size, memories
        self.seen: set[int] = set()  # tensors that are counted already

    def at(self, layer: Callable[..., Any], inputs: tuple[Any, ...], depth: int) -> tuple[Any, list[Row]]:
        """What comes out of `layer`, and its rows."""
        inside: list[Row] = []

        def run(part: Callable[..., Any], *given: Any) -> Any:
            y, rows = self.at(part, given, depth + 1)
            inside.extend(rows)
            return y

        if is_plain(layer, Chain):
            (y,) = inputs
            passed_on = _passed_on(layer)
            for i, part in enumerate(layer.layers):
                y = run(part, y)
                if i in passed_on:
                    inside[-1] = replace(inside[-1], activation_bytes=0)
        elif is_plain(layer, SkipConnection):
            y = run(layer.connection, run(layer.layer, *inputs), *inputs)
        elif is_plain(layer, Parallel):
            given = inputs * len(layer.layers) if len(inputs) == 1 else inputs
            y = run(layer.connection, *[run(part, x) for part, x in zip(layer.layers, given, strict=True)])
        else:
            return self._leaf(layer, inputs, depth)
        return y, [self._sum_of(type(layer).__name__, inside, y, depth), *inside]

    def _leaf(self, layer: Callable[..., Any], inputs: tuple[Any, ...], depth: int) -> tuple[Any, list[Row]]:
        try:
            y = layer(*inputs)
        except Exception as error:
            error.add_note(f"in {name_of(layer)}, given {' and '.join(str(getattr(x, 'shape', x)) for x in inputs)}")
            raise
        tensors = layer.tensors().values() if isinstance(layer, Layer) else ()
        new = [x for x in tensors if id(x) not in self.seen]
        self.seen |= {id(x) for x in new}
        trained, followed = [x for x in new if x.requires_grad], [x for x in new if not x.requires_grad]
        shares = any(
            numpy.may_share_memory(x.array, y.array) for x in inputs
        )  # such as identity, which makes nothing new
        copies = 2 + self.memories
        row = Row(
            name_of(layer), depth, False, self._shape(y), _numbers(trained), _numbers(followed),
            multiply_adds(layer, inputs[0].shape, y.shape),
            0 if shares else y.array.nbytes // IMAGES * self.batch_size,
            copies * _bytes(trained) + _bytes(followed),
        )  # fmt: skip
        return y, [row]

    def _sum_of(self, name: str, inside: list[Row], y: Any, depth: int) -> Row:
        leaves = [row for row in inside if not row.is_container]
        products = [row.multiply_adds for row in leaves]
        known = [count for count in products if count is not None]
        return Row(
            name, depth, True, self._shape(y), sum(row.parameters for row in leaves),
            sum(row.statistics for row in leaves), sum(known) if len(known) == len(products) else None,
            sum(row.activation_bytes for row in leaves), sum(row.parameter_bytes for row in leaves),
        )  # fmt: skip

    def _shape(self, y: Tensor) -> tuple[int, ...]:
        return (self.batch_size, *y.shape[1:])


def _passed_on(chain: Chain) -> set[int]:
    """The layers that training computes together with the one after them, so that nothing of theirs is kept."""
    steps = plan(chain.layers, recording=True)
    return {i for step in steps for i in range(step.start, step.end - 1)}


def multiply_adds(layer: Callable[..., Any], input_shape: Sequence[int], output_shape: Sequence[int]) -> int | None:
    """Products of a weight and an input, for one of the inputs in the batch (n, ..., channels); None: not known.

    Conv uses each of its weights once per pixel it makes, out_h * out_w * (kh * kw * c / groups * f), ConvTranspose
    once per pixel it gets, Dense once. Additions of biases, and the few operations per number of normalisation,
    activations and pools, are not counted, as is usual.
    """
    if is_plain(layer, Conv) or is_plain(layer, Dense):
        return math.prod(output_shape[1:-1]) * layer.weight.size
    if is_plain(layer, ConvTranspose):
        return math.prod(input_shape[1:-1]) * layer.weight.size
    normalises = any(is_plain(layer, kind) for kind in (BatchNorm, GroupNorm, LayerNorm))
    return 0 if normalises or not isinstance(layer, Layer) or not layer.params() else None


def _numbers(tensors: Sequence[Tensor]) -> int:
    return sum(x.size for x in tensors)


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(x.size * x.dtype.itemsize for x in tensors)
