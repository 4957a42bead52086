"""Initializers that draw, from NumPy's generators."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy

from minidl import randomness
from minidl.keras.initializers.constant import Initializer, Numbers, Shape
from minidl.layers import initialisers
from minidl.operands import is_whole_number

TRUNCATED_DEVIATION = 0.87962566103423978  # of a standard normal distribution cut off at 2


class RandomInitializer(Initializer):
    """What those that draw share. A new one defines draw()."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not is_whole_number(seed):
            raise TypeError(f"{type(self).__name__}: expected a whole number or None as seed, got {seed!r}")
        self.seed = seed

    def __call__(self, shape: Shape, dtype: Any = None) -> Numbers:
        generator = randomness.generator() if self.seed is None else numpy.random.default_rng(self.seed)
        return self.draw(tuple(shape), generator).astype(dtype or numpy.float32, copy=False)

    def draw(self, shape: Shape, generator: numpy.random.Generator) -> Numbers:
        """float32 numbers of that shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define draw()")

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normal with that mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def draw(self, shape: Shape, generator: numpy.random.Generator) -> Numbers:
        return self.mean + self.stddev * generator.standard_normal(shape, numpy.float32)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """RandomNormal in which numbers further than 2 standard deviations from the mean are drawn again.

    What is left has 0.88 times that standard deviation.
    """

    def draw(self, shape: Shape, generator: numpy.random.Generator) -> Numbers:
        return self.mean + self.stddev * _truncated_normal(shape, generator)


class RandomUniform(RandomInitializer):
    """Uniform from minval to maxval."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def draw(self, shape: Shape, generator: numpy.random.Generator) -> Numbers:
        return self.minval + (self.maxval - self.minval) * generator.random(shape, numpy.float32)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class VarianceScaling(RandomInitializer):
    """Mean 0 and variance scale / fan, so that the signal keeps its size from layer to layer.

    mode: fan_in is the number of inputs that each output sums, fan_out the other way round, fan_avg their mean.
    distribution: uniform, untruncated_normal or truncated_normal (see TruncatedNormal).
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if not scale > 0 or mode not in FANS or distribution not in STANDARD_DRAWS:
            raise ValueError(f"VarianceScaling: expected a scale above 0, mode one of {', '.join(FANS)} and "
                             f"distribution one of {', '.join(STANDARD_DRAWS)}, got {scale}, {mode!r} and "
                             f"{distribution!r}")  # fmt: skip
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def draw(self, shape: Shape, generator: numpy.random.Generator) -> Numbers:
        deviation = math.sqrt(self.scale / max(1, FANS[self.mode](*_fans(shape))))
        return deviation * STANDARD_DRAWS[self.distribution](shape, generator)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Initializer":
        config = dict(config)
        for name in ("input_axes", "output_axes"):
            if config.pop(name, None) is not None:
                raise NotImplementedError(f"{cls.__name__}: minidl does not have {name}; inputs and outputs are the "
                                          f"last two axes of a weight")  # fmt: skip
        return cls(**config)


class _Named(VarianceScaling):
    """A VarianceScaling whose settings have a name of their own."""

    settings: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.settings, seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Named):
    """minidl's glorot_uniform (Glorot and Bengio 2010): the default of Keras's layers."""

    settings = (1.0, "fan_avg", "uniform")

    def draw(self, shape: Shape, generator: numpy.random.Generator) -> Numbers:
        return initialisers.glorot_uniform(shape, generator) if len(shape) > 1 else super().draw(shape, generator)


class GlorotNormal(_Named):
    """Truncated normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""

    settings = (1.0, "fan_avg", "truncated_normal")


class HeNormal(_Named):
    """Truncated normal with variance 2 / fan_in (He et al. 2015); minidl's he_normal is not truncated."""

    settings = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform with variance 2 / fan_in (He et al. 2015)."""

    settings = (2.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal with variance 1 / fan_in (LeCun et al. 1998)."""

    settings = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform with variance 1 / fan_in (LeCun et al. 1998)."""

    settings = (1.0, "fan_in", "uniform")


class Orthogonal(RandomInitializer):
    """A weight whose matrix (all axes but the last in a row, last axis) has orthogonal columns, or rows if those are
    fewer, of length gain (Saxe et al. 2013)."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def draw(self, shape: Shape, generator: numpy.random.Generator) -> Numbers:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of two axes or more, got {tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = numpy.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
        q *= numpy.sign(numpy.diag(r))  # which makes every orthogonal matrix as likely
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape).astype(numpy.float32)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


def _fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out): a vector's are both its length."""
    return initialisers.fans(shape) if len(shape) > 1 else (math.prod(shape), math.prod(shape))


def _uniform(shape: Shape, generator: numpy.random.Generator) -> Numbers:
    return math.sqrt(3) * (2 * generator.random(shape, numpy.float32) - 1)


def _normal(shape: Shape, generator: numpy.random.Generator) -> Numbers:
    return generator.standard_normal(shape, numpy.float32)


def _truncated_normal(shape: Shape, generator: numpy.random.Generator) -> Numbers:
    """Standard normal, but drawn again where further than 2 from 0."""
    numbers = numpy.asarray(_normal(shape, generator))
    while (far := abs(numbers) > 2).any():
        numbers[far] = _normal((int(far.sum()),), generator)
    return numbers


FANS: dict[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
}
STANDARD_DRAWS: dict[str, Callable[[Shape, numpy.random.Generator], Numbers]] = {  # of variance 1
    "uniform": _uniform,
    "untruncated_normal": _normal,
    "truncated_normal": lambda shape, generator: _truncated_normal(shape, generator) / TRUNCATED_DEVIATION,
}
