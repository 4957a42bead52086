"""Weights for networks in which a layer is at several places."""

from __future__ import annotations

from collections.abc import Iterable

import numpy

from minidl.backend import Array
from minidl.layers import Layer
from minidl.tensor import Tensor


def shared_once(source: str, model: Layer, pairs: Iterable[tuple[str, Tensor, Array]]) -> dict[str, Array]:
    """(place, tensor, its new numbers) as model.load() takes them; ValueError when one tensor is to be two things."""
    found: dict[int, tuple[str, Array]] = {}
    for place, x, array in pairs:
        first, there = found.setdefault(id(x), (place, array))
        if not numpy.array_equal(there, array):
            raise ValueError(f"{source}: {first} and {place} hold different numbers, and are one layer in this network")
    return {name: found[id(x)][1] for name, x in model.tensors().items()}
