"""What is computed, written down once for all peers: networks as tables of layers, initial weights, batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = Mapping[str, Array]

CLASSES = 10
EPS, BATCH_MOMENTUM = 1e-5, 0.1  # of batch norm: Flux's and PyTorch's, set in Keras too
LEARNING_RATE, MOMENTUM = 0.001, 0.9


@dataclass(frozen=True)
class Conv:
    """3 x 3 filters, stride 1, images padded to keep their size."""

    inputs: int
    outputs: int
    relu: bool = True


@dataclass(frozen=True)
class BatchNorm:
    """Followed by relu."""

    channels: int


@dataclass(frozen=True)
class MaxPool:
    size: int


@dataclass(frozen=True)
class Flatten:
    """Only of images of one pixel: the peers keep larger ones in different orders."""


@dataclass(frozen=True)
class Dense:
    inputs: int
    outputs: int
    relu: bool = True


@dataclass(frozen=True)
class Dropout:
    rate: float


Layer: TypeAlias = Conv | BatchNorm | MaxPool | Flatten | Dense | Dropout
Network: TypeAlias = list[Layer]

VGG19: list[int | str] = [64, 64, "pool", 128, 128, "pool", *[256] * 4, "pool", *[512] * 4, "pool", *[512] * 4, "pool"]


def vgg19(batchnorm: bool) -> Network:
    """minidl.models.vgg19(); a test compares the two."""
    layers: Network = []
    channels = 3
    for entry in VGG19:
        if isinstance(entry, str):
            layers.append(MaxPool(2))
            continue
        layers.append(Conv(channels, entry, relu=not batchnorm))
        if batchnorm:
            layers.append(BatchNorm(entry))
        channels = entry
    classifier: Network = [
        Flatten(), Dense(512, 4096), Dropout(0.5), Dense(4096, 4096), Dropout(0.5), Dense(4096, CLASSES, relu=False),
    ]  # fmt: skip
    return layers + classifier


def tiny(batchnorm: bool) -> Network:
    """Every kind of layer, computed in no time: to try the benchmarks out."""
    first: Network = [Conv(3, 4, relu=not batchnorm)]
    if batchnorm:
        first.append(BatchNorm(4))
    rest: Network = [
        MaxPool(8), Conv(4, 8), MaxPool(4), Flatten(), Dense(8, 16), Dropout(0.5), Dense(16, CLASSES, relu=False),
    ]  # fmt: skip
    return first + rest


NETWORKS: dict[str, Network] = {
    "vgg19": vgg19(batchnorm=True),
    "vgg19-plain": vgg19(batchnorm=False),
    "tiny": tiny(batchnorm=True),
    "tiny-plain": tiny(batchnorm=False),
}
TITLES = {
    "vgg19": "VGG19 with batch norm", "vgg19-plain": "VGG19", "tiny": "tiny with batch norm", "tiny-plain": "tiny",
}  # fmt: skip


def without_dropout(network: Network) -> Network:
    """The same network with nothing random in it: every library draws its own masks."""
    return [replace(layer, rate=0.0) if isinstance(layer, Dropout) else layer for layer in network]


def ends(network: Network) -> dict[str, int]:
    """Where the first and the last layer with weights stand: an error anywhere reaches the gradient of the first."""
    with_weights = [i for i, layer in enumerate(network) if isinstance(layer, Conv | Dense)]
    return {"first": with_weights[0], "last": with_weights[-1]}


def initial_weights(network: Network, seed: int = 0) -> dict[str, Array]:
    """He's weights, named and shaped as in minidl: layers.0.weight (3, 3, in, out).

    What usually starts as zeros and ones is a little off here, so that a forgotten bias shows in the comparison.
    """
    random = np.random.default_rng(seed)

    def normal(shape: tuple[int, ...], deviation: float) -> Array:
        return random.standard_normal(shape, np.float32) * np.float32(deviation)

    def tensors(layer: Layer) -> Iterator[tuple[str, Array]]:
        if isinstance(layer, Conv | Dense):
            taps = (3, 3) if isinstance(layer, Conv) else ()
            deviation = math.sqrt(2 / (math.prod(taps) * layer.inputs))
            yield "weight", normal((*taps, layer.inputs, layer.outputs), deviation)
            yield "bias", normal((layer.outputs,), 0.01)
        elif isinstance(layer, BatchNorm):
            shape = (layer.channels,)
            yield from (("scale", 1 + normal(shape, 0.01)), ("shift", normal(shape, 0.01)))
            yield from (("mean", normal(shape, 0.01)), ("variance", np.abs(1 + normal(shape, 0.01))))

    return {f"layers.{i}.{name}": array for i, layer in enumerate(network) for name, array in tensors(layer)}


def random_batch(size: int, seed: int = 1) -> tuple[Array, Array]:
    """Images (size, 32, 32, 3) float32 from 0 to 1, labels (size,) int64."""
    random = np.random.default_rng(seed)
    return random.random((size, 32, 32, 3), np.float32), random.integers(0, CLASSES, size)


@dataclass(frozen=True)
class ConvCase:
    """One convolution of the network, with its relu, on a batch of square images."""

    batch: int
    pixels: int
    inputs: int
    outputs: int

    @property
    def needs_input_gradient(self) -> bool:
        """Nothing is learned in front of the first layer, so no peer computes its input gradient."""
        return self.inputs > 3

    def arrays(self) -> dict[str, Array]:
        """x, weight, bias, and the gradient dy that comes in; x as it leaves a relu."""
        random = np.random.default_rng(0)

        def normal(*shape: int) -> Array:
            return random.standard_normal(shape, np.float32)

        images = (self.batch, self.pixels, self.pixels)
        return {
            "x": np.maximum(normal(*images, self.inputs), 0),
            "weight": normal(3, 3, self.inputs, self.outputs) * np.float32(math.sqrt(2 / (9 * self.inputs))),
            "bias": normal(self.outputs) * np.float32(0.01),
            "dy": normal(*images, self.outputs),
        }


def convolutions(network: Network, batch: int) -> list[ConvCase]:
    """The distinct convolutions of a network for images of 32 x 32 pixels, in its order."""
    cases, pixels = [], 32
    for layer in network:
        if isinstance(layer, MaxPool):
            pixels //= layer.size
        elif isinstance(layer, Conv):
            cases.append(ConvCase(batch, pixels, layer.inputs, layer.outputs))
    return list(dict.fromkeys(cases))
