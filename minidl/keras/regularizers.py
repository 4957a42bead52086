"""keras.regularizers: what is added to the loss so that weights stay small. Functions from a weight to one number."""

import math
from collections.abc import Mapping
from typing import Any

from minidl.functions import absolute
from minidl.keras.objects import deserialise, find, names_of, serialise
from minidl.tensor import Tensor

__all__ = ["L1", "L1L2", "L2", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2", "serialize"]


class Regularizer:
    """What regularizers share. A new one defines __call__(), and get_config() if it is to be saved."""

    def __call__(self, x: Tensor) -> Tensor:
        """One number for a weight."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(x)")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer: those of the constructor, kept under their names."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Regularizer":
        """The regularizer that get_config() described."""
        return cls(**config)


class L1(Regularizer):
    """l1 * the sum of |x|, which drives weights to 0."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("l1", l1)

    def __call__(self, x: Tensor) -> Tensor:
        return self.l1 * absolute(x).sum()


class L2(Regularizer):
    """l2 * the sum of x ** 2: its gradient, 2 * l2 * x, is a weight decay before the optimizer."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("l2", l2)

    def __call__(self, x: Tensor) -> Tensor:
        return self.l2 * (x * x).sum()


class L1L2(Regularizer):
    """L1 and L2 together; one that is 0 costs nothing."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor("l1", l1), _factor("l2", l2)

    def __call__(self, x: Tensor) -> Tensor:
        parts = [L1(self.l1)(x)] if self.l1 else []
        parts += [L2(self.l2)(x)] if self.l2 else []
        return sum(parts[1:], parts[0]) if parts else Tensor(x.backend.xp.zeros((), x.dtype), x.backend)


l1, l2, l1_l2 = L1, L2, L1L2

KNOWN = names_of(L1, L2, L1L2) | {"l1_l2": L1L2}
MISSING = ["OrthogonalRegularizer"]


def get(identifier: Any) -> Any:
    """The regularizer of a name ("l2"), of a dict made by serialize(), a class, or a function itself; None for None.

    ValueError for anything else, NotImplementedError for a regularizer that only Keras has.
    """
    return find("regularizer", identifier, KNOWN, MISSING)


def serialize(regularizer: Regularizer) -> dict[str, Any]:
    """A dict that deserialize(), here and in Keras, makes an equal regularizer of."""
    return serialise("keras.regularizers", regularizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, type[Regularizer]] | None = None) -> Any:
    """The regularizer that serialize() described."""
    return deserialise("regularizer", config, KNOWN, custom_objects)


def _factor(name: str, value: float) -> float:
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"regularizer: expected {name} of 0 or more, got {value}")
    return float(value)
