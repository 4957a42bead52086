"""Models in files.

    NAME.safetensors    minidl's: weights, optimizer, and the architecture as JSON in the header
    NAME.keras          Keras's: architecture and weights (the extra `keras`)
    NAME.weights.h5     Keras's: weights alone (the extra `keras`)

The architecture is described as Keras does it, in all of them. Reading a file runs no code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minidl.interchange.keras_files import (
    ARCHIVE_SUFFIX,
    WEIGHTS_SUFFIX,
    read_keras_archive,
    read_weights_h5,
    write_keras_archive,
    write_weights_h5,
)
from minidl.keras import losses, metrics, optimizers
from minidl.keras.models.architecture import described, revived
from minidl.keras.models.model import Model
from minidl.keras.objects import plain, serialise
from minidl.layers.layer import Layer as MinidlLayer
from minidl.optimiser_base import at_least_0
from minidl.tensor import Tensor
from minidl.training.checkpoint import checkpoint_memory, load_checkpoint, save_checkpoint, whole_number

SUFFIX = ".safetensors"


class Weights(MinidlLayer):
    """A model's weights as minidl's checkpoints take them, by place: "conv2d_1/kernel"."""

    def __init__(self, model: Model) -> None:
        self.named = model.placed_weights()

    def tensors(self) -> dict[str, Tensor]:
        return self.named


# Whole models ---------------------------------------------------------------------------------------------------------


def save_model(model: Model, filepath: str | Path, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write NAME.safetensors or NAME.keras, for load_model(). The latter leaves the optimizer's state out."""
    path = _writable(filepath, overwrite, (SUFFIX, ARCHIVE_SUFFIX))
    _check_built(model)
    description = described(model)
    compiled = _compile_config(model) if include_optimizer else None
    if path.name.endswith(ARCHIVE_SUFFIX):
        write_keras_archive(path, description | {"compile_config": compiled}, _arrays(model))
        return
    optimizer = model.optimizer if include_optimizer and model.compiled else None
    save_checkpoint(path, Weights(model), optimizer, architecture=description, compiled=compiled,
                    progress=_progress(model))  # fmt: skip


def load_model(filepath: str | Path, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """Read what save_model() or Keras's model.save() wrote; custom_objects are your layer classes by name."""
    path = Path(filepath)
    if path.name.endswith(ARCHIVE_SUFFIX):
        description, weights = read_keras_archive(path)
        model = revived(description, custom_objects, path)
        _set_arrays(model, weights, path)
        _recompile(model, description.get("compile_config") if compile else None, custom_objects)
        return model
    _check_suffix(path, (SUFFIX, ARCHIVE_SUFFIX))
    memory = checkpoint_memory(path)
    if "architecture" not in memory:
        raise ValueError(f"{path}: holds weights only; build the model and use model.load_weights()")
    _check_progress(path, memory)
    compiled = memory["compiled"] if compile else None
    model = revived(memory["architecture"], custom_objects, path)
    _recompile(model, compiled, custom_objects)
    load_checkpoint(path, Weights(model), model.optimizer if compiled else None)
    _set_progress(model, memory["progress"])
    return model


def save_state(model: Model, filepath: str | Path, memory: Mapping[str, Any]) -> None:
    """Weights and optimizer, and what else training has to remember."""
    _check_built(model)
    save_checkpoint(filepath, Weights(model), model.optimizer, progress=_progress(model), **memory)


def load_state(model: Model, filepath: str | Path) -> dict[str, Any]:
    """What save_state() wrote goes back into the model; returns the memory."""
    _check_progress(filepath, checkpoint_memory(filepath))
    memory = load_checkpoint(filepath, Weights(model), model.optimizer)
    _set_progress(model, memory.pop("progress"))
    return memory


# Weights --------------------------------------------------------------------------------------------------------------


def save_weights(model: Model, filepath: str | Path, overwrite: bool = True) -> None:
    """Write the weights to NAME.safetensors or NAME.weights.h5."""
    path = _writable(filepath, overwrite, (SUFFIX, WEIGHTS_SUFFIX))
    _check_built(model)
    if path.name.endswith(WEIGHTS_SUFFIX):
        write_weights_h5(path, _arrays(model))
    else:
        save_checkpoint(path, Weights(model))


def load_weights(model: Model, filepath: str | Path) -> None:
    """Read weights from any of the files above; ValueError, and nothing changed, unless they fit."""
    path = Path(filepath)
    _check_suffix(path, (SUFFIX, WEIGHTS_SUFFIX, ARCHIVE_SUFFIX))
    _check_built(model)
    if path.name.endswith(SUFFIX):
        load_checkpoint(path, Weights(model))
    else:
        _set_arrays(model, read_keras_archive(path)[1] if path.name.endswith(ARCHIVE_SUFFIX) else read_weights_h5(path),
                    path)  # fmt: skip


def _arrays(model: Model) -> list[tuple[str, list[Any]]]:
    return [(place, [x.numpy() for x in own.values()]) for place, own in model.weights_by_place().items()]


def _set_arrays(model: Model, weights: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Weights of Keras's files by place; ValueError, and nothing changed, unless they fit."""
    mine = model.weights_by_place()
    named: dict[str, Any] = {}
    for place in mine.keys() | weights.keys():
        names = list(mine.get(place, {}))
        arrays = weights.get(place, [])
        names += [f"weight {number}" for number in range(len(names), len(arrays))]
        named |= {f"{place}/{name}": _as_float(array) for name, array in zip(names, arrays, strict=False)}
    try:
        Weights(model).load(named)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _as_float(array: Any) -> Any:
    """Keras counts what it has adapted to in integers."""
    return array.astype("float32") if array.dtype.kind in "iu" else array


def _check_built(model: Model) -> None:
    if not model.built:
        raise ValueError(f"{model.name} has no weights yet: give it an Input, or call it on data first")


def _writable(filepath: str | Path, overwrite: bool, suffixes: Sequence[str]) -> Path:
    path = Path(filepath)
    _check_suffix(path, suffixes)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists, and overwrite is False")
    return path


def _check_suffix(path: Path, suffixes: Sequence[str]) -> None:
    if not path.name.endswith(tuple(suffixes)):
        raise ValueError(f"{path}: expected a file called {' or '.join(f'NAME{suffix}' for suffix in suffixes)}")


# What it was compiled with --------------------------------------------------------------------------------------------


def _compile_config(model: Model) -> dict[str, Any] | None:
    if not model.compiled:
        return None
    return {
        "optimizer": serialise("keras.optimizers", model.optimizer),
        "loss": _plain(model.loss, "keras.losses"),
        "metrics": [_plain(asked, "keras.metrics") for asked in model._scoring.plain],
        "weighted_metrics": [_plain(asked, "keras.metrics") for asked in model._scoring.weighted],
    }


def _plain(thing: Any, module: str) -> Any:
    return serialise(module, thing) if hasattr(thing, "get_config") else plain(thing)


def _recompile(model: Model, config: Any, custom_objects: Mapping[str, Any] | None) -> None:
    if not config:
        return
    custom = custom_objects or {}
    try:
        model.compile(
            optimizers.get(config["optimizer"]),
            _found(config["loss"], custom, losses.get),
            metrics=[_found(one, custom, metrics.get) for one in config.get("metrics") or []],
            weighted_metrics=[_found(one, custom, metrics.get) for one in config.get("weighted_metrics") or []],
        )
    except ValueError as error:
        raise ValueError(f"{error}; what is yours has to be in custom_objects, by its name, or compile=False leaves "
                         f"it out") from None  # fmt: skip


def _found(thing: Any, custom: Mapping[str, Any], get: Callable[[Any], Any]) -> Any:
    """A loss or metric of a name or description; Keras describes functions as objects of class "function"."""
    if isinstance(thing, dict) and thing.get("class_name") == "function":
        thing = thing["config"]
    if isinstance(thing, dict):
        kind = custom.get(thing.get("class_name", ""))
        return get(thing) if kind is None else kind.from_config(thing["config"])
    return custom.get(thing, thing) if isinstance(thing, str) else thing


# Copies ---------------------------------------------------------------------------------------------------------------


def parts_of(model: Model) -> tuple[Any, ...]:
    """What put_together() makes an equal model of."""
    classes = {type(layer).__name__: type(layer) for layer in model.layers}
    optimizer = (model.optimizer.steps, model.optimizer.counts, model.optimizer.state) if model.compiled else None
    compiled = _compile_config(model)
    if compiled is not None:  # objects are copied as they are
        compiled |= {"loss": model.loss, "metrics": model._scoring.plain, "weighted_metrics": model._scoring.weighted}
    return described(model), classes, model.get_weights(), compiled, optimizer, _progress(model)


def put_together(
    description: Any, classes: Mapping[str, Any], weights: Sequence[Any], compiled: Any, optimizer: Any, progress: Any
) -> Model:
    """The inverse of parts_of()."""
    model = revived(description, classes, "copy")
    model.set_weights(weights)
    _recompile(model, compiled, None)
    if optimizer is not None:
        model.optimizer.restore(*optimizer)
    _set_progress(model, progress)
    return model


def _progress(model: Model) -> dict[str, Any]:
    """What training has to remember beside weights and the optimizer's state."""
    rate = model.optimizer.get_config()["learning_rate"] if model.compiled else None
    return {"learning_rate": rate if isinstance(rate, float) else None, "epochs_seen": model._epochs_seen}


def _check_progress(path: str | Path, memory: Mapping[str, Any]) -> None:
    """ValueError unless _set_progress() can go on with what a file remembers."""
    progress = memory.get("progress")
    if not isinstance(progress, dict) or progress.keys() != {"learning_rate", "epochs_seen"}:
        raise ValueError(f"{path}: expected how far training was, got {progress!r}")
    if not isinstance(progress["learning_rate"], float | None):
        raise ValueError(f"{path}: expected a learning rate, got {progress['learning_rate']!r}")
    at_least_0(f"{path}: expected a learning rate", progress["learning_rate"] or 0.0)
    for count in (progress["epochs_seen"], memory.get("epoch", 0)):
        whole_number(f"number of epochs in {path}", count)


def _set_progress(model: Model, progress: Mapping[str, Any]) -> None:
    model._epochs_seen = progress["epochs_seen"]
    if model.compiled and progress["learning_rate"] is not None:
        model.optimizer.learning_rate = progress["learning_rate"]
