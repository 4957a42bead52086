"""Objects by name, as Keras takes them: "adam", {"class_name": "Adam", "config": {...}}, a class, or the object itself.

Optimizers, losses, metrics, initializers, regularizers and activations all come this way.
"""

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy

from minidl.interchange.keras_files import snake_case
from minidl.ops.memory import release

_given: Counter[str] = Counter()


def auto_name(class_name: str) -> str:
    """The name of an object that was given none: 'dense' for the first Dense, then 'dense_1', 'dense_2', ..."""
    name = snake_case(class_name)
    _given[name] += 1
    return name if _given[name] == 1 else f"{name}_{_given[name] - 1}"


def clear_session(free_memory: bool = True) -> None:
    """Count names from the start again, and give memory back that kernels keep for later; there is no other state."""
    _given.clear()
    if free_memory:
        release()


def names_of(*classes: type) -> dict[str, type]:
    """Each class by its name and by its name in snake case."""
    return {name: kind for kind in classes for name in (kind.__name__, snake_case(kind.__name__))}


def find(what: str, identifier: Any, known: Mapping[str, Any], missing: Iterable[str] = ()) -> Any:
    """What `identifier` means: a name in `known`, a dict made by serialize(), a class, or something callable.

    A class is called without arguments. None stays None. ValueError, saying what a `what` may be, for anything else;
    NotImplementedError for a name among `missing`: those that Keras has and minidl has not.
    """
    if isinstance(identifier, Mapping):
        return deserialise(what, identifier, known)
    found = look_up(what, identifier, known, missing) if isinstance(identifier, str) else identifier
    if inspect.isclass(found):
        return found()
    if found is not None and not callable(found):
        raise ValueError(f"{what}: expected a name, such as {example(known)}, a class, or an object, got {found!r}")
    return found


def look_up(what: str, name: str, known: Mapping[str, Any], missing: Iterable[str] = ()) -> Any:
    """known[name]; the errors that find() promises."""
    if name in known:
        return known[name]
    names = ", ".join(sorted(known))
    if name in missing or name in map(snake_case, missing):
        raise NotImplementedError(f"{what}: minidl does not have Keras's {name!r}; it has {names}")
    raise ValueError(f"{what}: expected one of {names}; got {name!r}")


def example(known: Mapping[str, Any]) -> str:
    """A name that could have been given, for an error."""
    return repr(min(known, key=lambda name: (name != name.lower(), name)))


def serialise(module: str, thing: Any) -> dict[str, Any]:
    """What deserialise() makes an equal object of; JSON can hold it, and Keras reads it. `module` is Keras's."""
    return {
        "module": module, "class_name": type(thing).__name__, "config": thing.get_config(), "registered_name": None,
    }  # fmt: skip


def plain(value: Any) -> Any:
    """An argument as JSON can hold it: objects as serialise() has them, functions by their names, tuples as lists."""
    if hasattr(value, "get_config"):
        module = type(value).__module__.removeprefix("minidl.keras.").split(".")[0]  # layers, initializers, ...
        return serialise(f"keras.{module}", value)
    if callable(value):
        return snake_case(value.__name__)
    if isinstance(value, numpy.ndarray | numpy.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def deserialise(
    what: str, config: Mapping[str, Any], known: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """The object of a dict {"class_name": ..., "config": {...}}; custom_objects adds classes to the known ones."""
    if "class_name" not in config:
        raise ValueError(f"{what}: expected a dict with 'class_name' and 'config', got {dict(config)}")
    kind: Any = look_up(what, config["class_name"], {**known, **(custom_objects or {})})
    if not hasattr(kind, "from_config"):
        raise ValueError(f"{what}: expected the name of a class, got {config['class_name']!r}; functions go by name")
    return kind.from_config(dict(config.get("config") or {}))


def check_dtype(what: str, dtype: Any) -> None:
    """NotImplementedError unless nothing but float32 is asked for."""
    if dtype is not None and str(dtype) not in ("float32", "<class 'numpy.float32'>"):
        raise NotImplementedError(f"{what}: expected dtype None or 'float32', got {dtype!r}; numbers keep the float "
                                  f"type of the predictions, so convert those with .to(dtype=...)")  # fmt: skip
