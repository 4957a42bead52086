"""Flux's words for moving things: model = gpu(model)."""

from typing import TypeVar

from minidl.layers.layer import Layer
from minidl.tensor import Tensor

Movable = TypeVar("Movable", Layer, Tensor)


def cpu(thing: Movable) -> Movable:
    """A layer, moved in place, or a copy of a tensor, on backend "cpu"."""
    return thing.to("cpu")


def gpu(thing: Movable) -> Movable:
    """A layer, moved in place, or a copy of a tensor, on backend "gpu"; ImportError without CuPy."""
    return thing.to("gpu")
