"""What initializers share, and those that do not draw."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

Shape = Sequence[int]
Numbers = NDArray[Any]


class Initializer:
    """What initializers share. A new one defines __call__(), and get_config() if it is to be saved."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Numbers:
        """An array of that shape; float32 unless `dtype` says otherwise."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(shape)")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Initializer":
        """The initializer that get_config() described."""
        return cls(**config)


class Constant(Initializer):
    """`value` everywhere: a number, or an array that broadcasts to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = None) -> Numbers:
        return numpy.full(shape, self.value, dtype or numpy.float32)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist() if isinstance(self.value, numpy.ndarray) else self.value}


class Zeros(Initializer):
    """0 everywhere: Keras's choice for biases."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Numbers:
        return numpy.zeros(shape, dtype or numpy.float32)


class Ones(Initializer):
    """1 everywhere."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Numbers:
        return numpy.ones(shape, dtype or numpy.float32)


class Identity(Initializer):
    """gain on the diagonal of a matrix, 0 elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> Numbers:
        if len(shape) != 2:
            raise ValueError(f"Identity: expected the shape of a matrix, got {tuple(shape)}")
        return self.gain * numpy.eye(*shape, dtype=dtype or numpy.float32)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
