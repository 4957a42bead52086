"""keras.optimizers: how gradients move parameters."""

from collections.abc import Mapping
from typing import Any

from minidl.keras.objects import deserialise, example, look_up, serialise
from minidl.keras.optimizers import schedules
from minidl.keras.optimizers.optimizer import Optimizer
from minidl.keras.optimizers.optimizers import SGD, Adagrad, Adam, AdamW, Nadam, RMSprop

__all__ = [
    "SGD", "Adagrad", "Adam", "AdamW", "Nadam", "Optimizer", "RMSprop", "deserialize", "get", "schedules", "serialize",
]  # fmt: skip

KNOWN = {kind.__name__.lower(): kind for kind in (SGD, Adam, AdamW, RMSprop, Adagrad, Nadam)}
MISSING = [
    "adadelta", "adafactor", "adamax", "ftrl", "lamb", "lion", "lossscaleoptimizer", "multioptimizer", "muon",
    "schedulefreeadamw",
]  # fmt: skip


def get(identifier: Any) -> Any:
    """The optimizer of a name ("adam", in any case), of a dict made by serialize(), or the optimizer itself.

    None stays None. ValueError for anything else, NotImplementedError for an optimizer that only Keras has.
    """
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return look_up("optimizer", identifier.lower(), KNOWN, MISSING)()
    if identifier is not None and not isinstance(identifier, Optimizer):
        raise ValueError(f"optimizer: expected a name, such as {example(KNOWN)}, or an object of "
                         f"minidl.keras.optimizers, got {identifier!r}")  # fmt: skip
    return identifier


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """A dict that deserialize(), here and in Keras, makes an equal optimizer of, at its beginning."""
    return serialise("keras.optimizers", optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, type[Optimizer]] | None = None) -> Any:
    """The optimizer that serialize() described."""
    custom = {name.lower(): kind for name, kind in (custom_objects or {}).items()}
    if "class_name" in config:
        config = {**config, "class_name": config["class_name"].lower()}
    return deserialise("optimizer", config, KNOWN, custom)
