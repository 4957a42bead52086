"""Keras 3's files, read and written without Keras, through h5py (the extra `keras`).

    NAME.weights.h5     HDF5: every layer's arrays are layers/LAYER/vars/0, 1, ..., in the order in which it made them
    NAME.keras          a zip of config.json (layers and arguments), model.weights.h5 and metadata.json

LAYER is not the layer's name but its class in small letters, counted: conv2d, conv2d_1, dense, ... A model in a model,
or a layer in a layer, is a path: sequential/layers/conv2d. HDF5 sorts names as text, so a weights file tells nothing of
the order of layers of different classes; the config of a .keras file does.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from minidl.backend import Array
from minidl.training.checkpoint import replace_file

WEIGHTS_SUFFIX, ARCHIVE_SUFFIX = ".weights.h5", ".keras"  # Keras loads no files of other names
INNER_WEIGHTS = "model.weights.h5"
Weights = dict[str, list[Array]]


def read_weights_h5(file: str | Path | BinaryIO) -> Weights:
    """The arrays of each layer that has some: {"conv2d": [kernel, bias], "conv2d_1": [...], ...}.

    Layers of one class are in the network's order, classes in that of the alphabet. The optimiser's state is left out.
    FileNotFoundError for a missing file, ValueError for one that is damaged or not Keras 3's.
    """
    with _opened(file) as root:
        if "layer_names" in root.attrs or "model_weights" in root:
            raise ValueError("these are Keras 2's; load them in Keras 3 and save them again as .weights.h5")
        if "layers" not in root:
            raise ValueError("there is no group 'layers' in it")
        found = dict(_arrays_in(root["layers"], "", set()))
    return {name: found[name] for name in sorted(found, key=_by_number)}


def write_weights_h5(file: str | Path | BinaryIO, layers: Iterable[tuple[str, Sequence[Array]]]) -> None:
    """Write [("conv2d", [kernel, bias]), ...] as Keras does, so that model.load_weights(file) takes it.

    The names are those of numbered_names(); layers without arrays may be left out. ValueError for a file that is not
    called NAME.weights.h5, or two layers of one name.
    """
    if isinstance(file, str | Path):
        if not str(file).endswith(WEIGHTS_SUFFIX):
            raise ValueError(f"{file}: Keras loads weights only from files called NAME{WEIGHTS_SUFFIX}")
        kept = list(layers)
        replace_file(file, lambda temporary: _write(str(temporary), kept))
    else:
        _write(file, layers)


def read_keras_archive(path: str | Path) -> tuple[dict[str, Any], Weights]:
    """The config of a .keras file and its weights, those in the order of the layers; errors as in read_weights_h5()."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no file there")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            weights = read_weights_h5(io.BytesIO(archive.read(INNER_WEIGHTS)))
        order = [name for name, _, _ in layers_of_config(config)]
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{path}: expected a model saved by Keras 3; the file is damaged or foreign: {error}"
        ) from None
    places = {name: place for place, name in enumerate(order)}
    return config, {name: weights[name] for name in sorted(weights, key=lambda name: _place(name, places))}


def write_keras_archive(
    path: str | Path, config: dict[str, Any], layers: Iterable[tuple[str, Sequence[Array]]]
) -> None:
    """Write a .keras file: `config` is what Keras's model.to_json() gives, `layers` as in write_weights_h5()."""
    if not str(path).endswith(ARCHIVE_SUFFIX):
        raise ValueError(f"{path}: Keras loads models only from files called NAME{ARCHIVE_SUFFIX}")
    weights = io.BytesIO()
    write_weights_h5(weights, layers)
    metadata = {"keras_version": "3", "date_saved": f"{datetime.now():%Y-%m-%d@%H:%M:%S}"}

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr("metadata.json", json.dumps(metadata))
            archive.writestr("config.json", json.dumps(config))
            archive.writestr(INNER_WEIGHTS, weights.getvalue())

    replace_file(path, write)


def snake_case(name: str) -> str:
    """Keras's small letters for a class: MeanSquaredError -> mean_squared_error, ReLU -> re_lu, Conv2D -> conv2d."""
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name).lower()


def numbered_names(classes: Iterable[str]) -> list[str]:
    """Keras's names in files for layers of these classes: Conv2D, ReLU, Conv2D -> conv2d, re_lu, conv2d_1."""
    names, counts = [], Counter[str]()
    for name in map(snake_case, classes):
        names.append(f"{name}_{counts[name]}" if counts[name] else name)
        counts[name] += 1
    return names


def layers_of_config(config: dict[str, Any], start: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name in files, class, arguments) of each layer of a model's config, in order; those of models in it among them.

    KeyError or TypeError for what is no config of a Sequential or functional model.
    """
    layers = config["config"]["layers"]
    names = numbered_names(layer["class_name"] for layer in layers)
    for name, layer in zip(names, layers, strict=True):
        if "layers" in layer["config"]:
            yield from layers_of_config(layer, f"{start}{name}/layers/")
        else:
            yield start + name, layer["class_name"], layer["config"]


def _place(name: str, places: dict[str, int]) -> int:
    """Where the layer stands that is called so, or that holds the one of this path; behind all others if none does."""
    parts = name.split("/")
    starts = ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((places[start] for start in starts if start in places), len(places))


def _by_number(name: str) -> list[tuple[str, int]]:
    """conv2d_9 before conv2d_10: each part of the path as its class and its number."""
    parts = (re.fullmatch(r"(.*?)(?:_(\d+))?", part) for part in name.split("/"))
    return [(part[1], int(part[2] or 0)) for part in parts if part]


# HDF5 -----------------------------------------------------------------------------------------------------------------


def _h5py() -> Any:
    try:
        return import_module("h5py")
    except ImportError as error:
        raise ImportError(f"Keras's files need h5py ({error}); install it with: pip install 'minidl[keras]'") from None


@contextmanager
def _opened(file: str | Path | BinaryIO) -> Iterator[Any]:
    """The open file; every error in it is a ValueError that names it."""
    h5py = _h5py()
    if isinstance(file, str | Path) and not Path(file).is_file():
        raise FileNotFoundError(f"{file}: no file there")
    try:
        with h5py.File(file, "r") as root:
            yield root
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        name = file if isinstance(file, str | Path) else INNER_WEIGHTS
        raise ValueError(f"{name}: expected weights saved by Keras 3; the file is damaged or foreign: "
                         f"{error}") from None  # fmt: skip


def _arrays_in(group: Any, name: str, seen: set[int]) -> Iterator[tuple[str, list[Array]]]:
    """The arrays in this group's `vars`, if there are any, and those in the groups within; `seen`: where these lie."""
    for key in group:
        if not _is_hard(group, key):
            raise ValueError(f"{group.name}/{key} leads out of the file")
        inner = group[key]
        address = _h5py().h5o.get_info(inner.id).addr
        if address in seen:
            raise ValueError(f"{group.name}/{key} is in it twice")
        seen.add(address)
        if key == "vars":
            arrays = [_read(inner, str(number)) for number in range(len(inner))]
            if arrays:
                yield name, arrays
        elif hasattr(inner, "keys"):
            yield from _arrays_in(inner, f"{name}/{key}" if name else key, seen)


def _is_hard(group: Any, key: str) -> bool:
    """Whether the entry lies in this file, at this place: links could lead to any file, or round in circles."""
    return isinstance(group.get(key, getlink=True), _h5py().HardLink)


def _read(group: Any, key: str) -> Array:
    """An array as Keras stores it, plainly: so its declared size is bounded by what the file really holds."""
    if key not in group or not _is_hard(group, key):
        raise ValueError(f"{group.name} has no array {key}")
    data = group[key]
    if not hasattr(data, "dtype") or data.dtype.kind not in "biuf":
        raise ValueError(f"{data.name} holds no numbers")
    if data.is_virtual or data.external or data.id.get_storage_size() != data.size * data.dtype.itemsize:
        raise ValueError(f"{data.name} does not hold its numbers plainly")
    return data[...]


def _write(file: str | BinaryIO, layers: Iterable[tuple[str, Sequence[Array]]]) -> None:
    with _h5py().File(file, "w") as root:
        root.create_group("vars")
        root.create_group("layers")
        for name, arrays in layers:
            group = root.create_group(f"layers/{name}/vars")
            group.attrs["name"] = name.split("/")[-1]
            for number, array in enumerate(arrays):
                group[str(number)] = array
