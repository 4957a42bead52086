"""Initial weights: functions (shape, generator) -> float32 array, drawn on the host so that they are equal everywhere.

Weights are (..., in, out): the last two axes count channels, those before them the taps of a window. A weight's fan-in
is the number of inputs each output sums, taps * in; its fan-out is taps * out.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

Initialiser = Callable[[Sequence[int], numpy.random.Generator], NDArray[Any]]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of that shape."""
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


def glorot_uniform(shape: Sequence[int], generator: numpy.random.Generator) -> NDArray[Any]:
    """Uniform within +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): the default of Flux and Keras.

    Made for tanh. Behind relu, which drops half of the signal, it shrinks layer by layer: see he_normal.
    """
    return _uniform(shape, math.sqrt(6 / sum(fans(shape))), generator)


def glorot_normal(shape: Sequence[int], generator: numpy.random.Generator) -> NDArray[Any]:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return _normal(shape, math.sqrt(2 / sum(fans(shape))), generator)


def he_uniform(shape: Sequence[int], generator: numpy.random.Generator) -> NDArray[Any]:
    """Uniform within +-sqrt(6 / fan_in) (He et al. 2015): Flux's kaiming_uniform."""
    return _uniform(shape, math.sqrt(6 / fans(shape)[0]), generator)


def he_normal(shape: Sequence[int], generator: numpy.random.Generator) -> NDArray[Any]:
    """Normal with variance 2 / fan_in (He et al. 2015): keeps the size of the signal through relu layers."""
    return _normal(shape, math.sqrt(2 / fans(shape)[0]), generator)


def _uniform(shape: Sequence[int], limit: float, generator: numpy.random.Generator) -> NDArray[Any]:
    return (generator.random(shape, numpy.float32) * 2 - 1) * numpy.float32(limit)


def _normal(shape: Sequence[int], deviation: float, generator: numpy.random.Generator) -> NDArray[Any]:
    return generator.standard_normal(shape, numpy.float32) * numpy.float32(deviation)
