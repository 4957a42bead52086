"""Checkpoints: everything that training needs to go on, in one safetensors file.

    model.layers.0.weight                  the tensors of the network
    optimiser.velocity.layers.0.weight     the state of the optimiser
    metadata: {"minidl": JSON}             the optimiser's parts and counts, and whatever the caller has to remember

A checkpoint names the class of the optimiser, its rules and its groups, and goes into an optimiser of the same alone.
Their numbers - rates, decays, limits - are not compared: training may go on with others.

Reading one runs no code, unlike pickle.
"""

import errno
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
from minidl.optimiser_base import Optimiser

FORMAT = "minidl checkpoint 1"


def save_checkpoint(path: str | Path, model: Layer, optimiser: Optimiser | None = None, **memory: Any) -> None:
    """Write model, optimiser and `memory` (anything JSON can hold) to `path`, which is at no time half written.

    One safetensors file, which runs no code when it is read; load_checkpoint() reads it.
    """
    replace_file(path, checkpoint_writer(model, optimiser, memory))


def checkpoint_writer(model: Layer, optimiser: Optimiser | None, memory: dict[str, Any]) -> Callable[[Path], None]:
    """What save_checkpoint() lets write the file, for replace_file()."""
    arrays = {f"model.{name}": x.numpy() for name, x in model.tensors().items()}
    header: dict[str, Any] = {"format": FORMAT, "memory": memory}
    if optimiser is not None:
        names = optimiser.counts.keys() | {name for named in optimiser.state.values() for name in named}
        counts = {name: optimiser.updates(name) for name in sorted(names)}
        header |= optimiser.description() | {"steps": optimiser.steps, "counts": counts}
        host = get_backend("cpu")
        for kind, named in optimiser.state.items():
            arrays |= {f"optimiser.{kind}.{name}": host.asarray(array) for name, array in named.items()}
    metadata = {"minidl": json.dumps(header)}
    return lambda temporary: save_file(arrays, temporary, metadata)


def load_checkpoint(path: str | Path, model: Layer, optimiser: Optimiser | None = None) -> dict[str, Any]:
    """Put a checkpoint back into `model` and, if given, `optimiser`; returns the `memory` saved with it.

    FileNotFoundError for a missing file, ValueError for one that is damaged, foreign, of another network or of another
    optimiser, with other rules, groups or memories; then nothing has been changed.
    """
    with _opened(path) as (file, header):
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    weights = {name.removeprefix("model."): x for name, x in arrays.items() if name.startswith("model.")}
    try:
        model.check_fits(weights)
        restored = None if optimiser is None else _restored(optimiser, header, arrays, model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    model.load(weights)
    if optimiser is not None and restored is not None:
        optimiser.restore(*restored)
    memory: dict[str, Any] = header["memory"]
    return memory


Restored = tuple[int, dict[str, int], dict[str, dict[str, Any]]]


def _restored(optimiser: Optimiser, header: dict[str, Any], arrays: dict[str, Any], model: Layer) -> Restored:
    """Steps, counts and state; ValueError unless they are those of such an optimiser for this model."""
    _check_made_of(optimiser, header)
    steps, tensors = whole_number("number of steps", header.get("steps")), model.tensors()
    state: dict[str, dict[str, Any]] = {memory: {} for memory in optimiser.memories}
    for full_name, array in arrays.items():
        part, _, rest = full_name.partition(".")
        memory, _, name = rest.partition(".")
        if part != "optimiser":
            continue
        if memory not in state:
            raise ValueError(f"expected only the memories {list(state)} of the optimiser, got a {memory} of {name}")
        if name not in tensors or (array.shape, array.dtype) != (tensors[name].shape, tensors[name].dtype):
            raise ValueError(f"the optimiser's {memory} of {name}, {array.shape} {array.dtype}, is of another network")
        state[memory][name] = array
    counts = _counts(header, steps, state, model)
    for memory, named in state.items():
        for name in sorted(counts.keys() ^ named.keys()):
            lacking = f"the optimiser's {memory}" if name in counts else "the number of updates"
            raise ValueError(f"{lacking} of {name} is missing")
    return steps, counts, state


def _counts(header: dict[str, Any], steps: int, state: dict[str, dict[str, Any]], model: Layer) -> dict[str, int]:
    """Updates by name. A file of an earlier version has none: all parameters that were trained had those of `steps`."""
    trained = {*(model.params() if steps else ()), *(name for named in state.values() for name in named)}
    counts = header.get("counts", dict.fromkeys(trained, steps))
    if not isinstance(counts, dict) or not counts.keys() <= model.tensors().keys():
        raise ValueError(f"expected the numbers of updates of this network's parameters, got {counts!r}")
    return {name: whole_number(f"number of updates of {name}", count) for name, count in counts.items()}


def whole_number(what: str, value: object) -> int:
    """The value; ValueError unless it is what a file may have as a number of things."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected a {what}, whole and 0 or more, got {value!r}")
    return value


def _check_made_of(optimiser: Optimiser, header: dict[str, Any]) -> None:
    """ValueError unless the header names this optimiser, its rules and its groups."""
    expected = optimiser.description()
    came = {part: header.get(part) for part in expected}
    if "rules" not in header:  # a file of an earlier version named the class alone, and a chain not what was in it
        name = expected["optimiser"]
        chain = expected["rules"] and not name.startswith("keras.")
        if came["optimiser"] == ("OptimiserChain" if chain else name.removeprefix("keras.")):
            came |= {"optimiser": name, "rules": expected["rules"]}
        came["groups"] = []
    if came != expected:
        raise ValueError(f"expected the state of optimiser {_in_words(expected)}, got {_in_words(came)}")


def _in_words(parts: dict[str, Any]) -> str:
    extras = ", ".join(f"{part}={parts[part]}" for part in ("rules", "groups") if parts[part])
    return f"{parts['optimiser']}({extras})" if extras else str(parts["optimiser"])


def checkpoint_memory(path: str | Path) -> dict[str, Any]:
    """The `memory` saved with a checkpoint, without reading the rest; the same errors as load_checkpoint."""
    with _opened(path) as (_, header):
        memory: dict[str, Any] = header["memory"]
        return memory


Identity = tuple[int, int]  # of a folder, whatever its name


def replace_file(path: str | Path, write: Callable[[Path], object], expected: Identity | None = None) -> None:
    """Let `write` make a temporary file beside `path`, and rename it when it has safely reached the disk.

    It may be read by those who may read any new file of this user, whoever wrote it. OSError names `path`. Where the
    folder has to be a certain one, `expected` is its identity(); another one that took its name gets no file.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected the name of a file, got a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _folder(path.parent, expected) as folder:
            temporary.touch()
            mode = temporary.stat().st_mode
            write(temporary)
            temporary.chmod(mode)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            if folder is None:
                temporary.replace(path)
            else:
                _check_is(path.parent, folder, identity(path.parent))
                os.replace(temporary.name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)  # so that the rename outlives a power cut
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
            if not isinstance(header, dict) or header.get("format") != FORMAT:
                came = header.get("format") if isinstance(header, dict) else header
                raise ValueError(f"{path}: expected a checkpoint of format {FORMAT!r}, got {came!r}")
            if not isinstance(header.get("memory"), dict):
                raise ValueError(f"{path}: expected a memory, things by name, got {header.get('memory')!r}")
            yield file, header
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected a checkpoint of minidl; the file is damaged or foreign: {error}") from None


@contextmanager
def _folder(path: Path, expected: Identity | None) -> Iterator[int | None]:
    """The descriptor of this folder, which stays its own when another takes its name; Windows has none, hence None."""
    if os.name != "posix":
        yield None
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _check_is(path, descriptor, expected or identity(path))
        yield descriptor
    finally:
        os.close(descriptor)


def _check_is(path: Path, folder: int, expected: Identity | None) -> None:
    found = os.fstat(folder)
    if (found.st_dev, found.st_ino) != expected:
        raise FileNotFoundError(errno.ENOENT, "its folder has been replaced by another one", str(path))


def identity(folder: Path) -> Identity | None:
    """Which folder it is, whatever its name; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
