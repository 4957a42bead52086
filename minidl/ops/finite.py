"""Which arrays a kernel has found finite while it wrote them, when they were in its registers anyway.

To read all gradients of VGG19 once more takes more than a hundredth of a training step, and half of them are those of
convolutions, which look at their numbers as they compute them.
"""

from typing import Any
from weakref import ref

from numpy.typing import NDArray

_known: dict[int, ref[NDArray[Any]]] = {}


def mark_finite(array: NDArray[Any]) -> None:
    """Remember that all numbers of a new array are finite. Nobody may change it before somebody asks."""
    key = id(array)
    _known[key] = ref(array, lambda _: _known.pop(key, None))


def is_known_to_be_finite(array: NDArray[Any]) -> bool:
    """Whether mark_finite() was told so of this very array."""
    return id(array) in _known and _known[id(array)]() is array
