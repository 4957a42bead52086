"""Checkpoints: everything that training needs to go on, in one safetensors file.

    model.layers.0.weight                  the tensors of the network
    optimiser.velocity.layers.0.weight     the state of the optimiser
    metadata: {"minidl": JSON}             the optimiser's step count, and whatever else the caller has to remember

Reading one runs no code, unlike pickle.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from minidl.backend import get_backend
from minidl.layers.layer import Layer
from minidl.optimisers import Optimiser

FORMAT = "minidl checkpoint 1"


def save_checkpoint(path: str | Path, model: Layer, optimiser: Optimiser | None = None, **memory: Any) -> None:
    """Write model, optimiser and `memory` (anything JSON can hold) to `path`, which is at no time half written.

    One safetensors file, which runs no code when it is read; load_checkpoint() reads it.
    """
    arrays = {f"model.{name}": x.numpy() for name, x in model.tensors().items()}
    header: dict[str, Any] = {"format": FORMAT, "memory": memory}
    if optimiser is not None:
        header |= {"optimiser": type(optimiser).__name__, "steps": optimiser.steps}
        host = get_backend("cpu")
        for kind, named in optimiser.state.items():
            arrays |= {f"optimiser.{kind}.{name}": host.asarray(array) for name, array in named.items()}
    replace_file(path, lambda temporary: save_file(arrays, temporary, {"minidl": json.dumps(header)}))


def load_checkpoint(path: str | Path, model: Layer, optimiser: Optimiser | None = None) -> dict[str, Any]:
    """Put a checkpoint back into `model` and, if given, `optimiser`; returns the `memory` saved with it.

    FileNotFoundError for a missing file, ValueError for one that is damaged, foreign or of another network; then
    nothing has been changed.
    """
    with _opened(path) as (file, header):
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    weights = {name.removeprefix("model."): x for name, x in arrays.items() if name.startswith("model.")}
    try:
        model.check_fits(weights)
        if optimiser is not None:
            optimiser.state = _state_of(optimiser, header, arrays, model)
            optimiser.steps = header["steps"]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    model.load(weights)
    memory: dict[str, Any] = header["memory"]
    return memory


def _state_of(
    optimiser: Optimiser, header: dict[str, Any], arrays: dict[str, Any], model: Layer
) -> dict[str, dict[str, Any]]:
    """What `optimiser.state` is to be; ValueError unless it is that of such an optimiser for this model."""
    if header.get("optimiser") != type(optimiser).__name__:
        raise ValueError(f"expected the state of optimiser {type(optimiser).__name__}, got {header.get('optimiser')}")
    state, params = {}, model.params()
    for kind in optimiser.memories:
        start = f"optimiser.{kind}."
        state[kind] = {name.removeprefix(start): x for name, x in arrays.items() if name.startswith(start)}
        for name, array in state[kind].items():
            if name not in params or (array.shape, array.dtype) != (params[name].shape, params[name].dtype):
                raise ValueError(
                    f"the optimiser's {kind} of {name}, {array.shape} {array.dtype}, is of another network"
                )
    return state


def checkpoint_memory(path: str | Path) -> dict[str, Any]:
    """The `memory` saved with a checkpoint, without reading the rest; the same errors as load_checkpoint."""
    with _opened(path) as (_, header):
        memory: dict[str, Any] = header["memory"]
        return memory


def replace_file(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a temporary file beside `path`, and rename it when it has safely reached the disk.

    It may be read by those who may read any new file of this user, whoever wrote it. OSError names `path`.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected the name of a file, got a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _reach_disk(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except SafetensorError as error:  # which has no number, but says what the system said
        raise OSError(f"{path}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The open file with its header; the errors that load_checkpoint promises."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no checkpoint there")
    try:
        with safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {}).get("minidl", "{}"))
            if header.get("format") != FORMAT:
                raise ValueError(f"{path}: expected a checkpoint of format {FORMAT!r}, got {header.get('format')!r}")
            yield file, header
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected a checkpoint of minidl; the file is damaged or foreign: {error}") from None


def _reach_disk(folder: Path) -> None:
    """Make a rename in `folder` outlive a power cut. Windows cannot open folders, and needs not."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
