"""keras.initializers: initial weights, with Keras's names, defaults and distributions, drawn by NumPy.

An initializer is called with a shape and returns a NumPy array. Without a seed it draws from the stream that
minidl.seed() starts; with one, it gives the same numbers at each call. They are not the numbers of Keras.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy

from minidl.keras.initializers.constant import Constant, Identity, Initializer, Numbers, Ones, Shape, Zeros
from minidl.keras.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from minidl.keras.objects import deserialise, find, names_of, serialise
from minidl.tensor import Tensor

constant, zeros, ones, identity, orthogonal = Constant, Zeros, Ones, Identity, Orthogonal
random_normal, truncated_normal, random_uniform = RandomNormal, TruncatedNormal, RandomUniform
variance_scaling, glorot_uniform, glorot_normal = VarianceScaling, GlorotUniform, GlorotNormal
he_normal, he_uniform, lecun_normal, lecun_uniform = HeNormal, HeUniform, LecunNormal, LecunUniform

CLASSES = (
    Constant, Zeros, Ones, Identity, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling, GlorotUniform,
    GlorotNormal, HeNormal, HeUniform, LecunNormal, LecunUniform, Orthogonal,
)  # fmt: skip
KNOWN = names_of(*CLASSES) | {"zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform}
MISSING = ["STFT"]

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "Initializer", "LecunNormal",
    "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "Zeros", "constant", "deserialize", "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity",
    "lecun_normal", "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform", "serialize",
    "truncated_normal", "variance_scaling", "zeros",
]  # fmt: skip


def get(identifier: Any) -> Any:
    """The initializer of a name ("he_normal"), of a dict made by serialize(), a class, or a function itself.

    None stays None; an array becomes an initializer that returns it, for its own shape. ValueError for anything else.
    """
    if isinstance(identifier, numpy.ndarray | Tensor):
        return _of_array(numpy.asarray(identifier))
    return find("initializer", identifier, KNOWN, MISSING)


def serialize(initializer: Initializer) -> dict[str, Any]:
    """A dict that deserialize(), here and in Keras, makes an equal initializer of."""
    return serialise("keras.initializers", initializer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, type[Initializer]] | None = None) -> Any:
    """The initializer that serialize() described."""
    return deserialise("initializer", config, KNOWN, custom_objects)


def _of_array(array: Numbers) -> Callable[..., Numbers]:
    def initializer(shape: Shape, dtype: Any = None) -> Numbers:
        if tuple(shape) != array.shape:
            raise ValueError(f"initializer: expected an array of shape {tuple(shape)}, got {array.shape}")
        return array.astype(dtype or numpy.float32)

    return initializer
