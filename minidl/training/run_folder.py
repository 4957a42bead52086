"""A run folder: what a training run leaves behind, and all that it needs to go on.

    config.json              the settings
    history.csv              a row of figures for each epoch
    checkpoint.safetensors   model, optimiser, and where training stands
    signals.json             how large activations and gradients were, layer by layer
    curves.png               loss and accuracy, where matplotlib is installed

Every file is written beside and renamed, so that none is ever half written. One process at a time trains in a folder
(run_owner.py); reading changes nothing in it, whoever trains there.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minidl.layers.layer import Layer
from minidl.optimiser_base import Optimiser
from minidl.randomness import current_seed
from minidl.training.checkpoint import (
    Identity,
    checkpoint_memory,
    checkpoint_writer,
    identity,
    load_checkpoint,
    replace_file,
    whole_number,
)
from minidl.training.loop import Position, Totals
from minidl.training.run_owner import owned, refuse_if_in_use, remove_leftovers
from minidl.training.run_schemas import History, check_history, check_signals, digest

CHECKPOINT = "checkpoint.safetensors"
RUN_FILES = (CHECKPOINT, "config.json", "history.csv", "signals.json", "curves.png")
MAY_CHANGE = {"model", "data_dir", "epochs", "backend", "weights"}  # settings that a checkpoint does not insist on


class RunFolder:
    """One folder and its files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.settings: dict[str, Any] = {}  # goes into each checkpoint, and has to be the same when one is read
        self._identity: Identity | None = None  # of the folder, while we own it

    @classmethod
    def create(cls, path: str | Path) -> "RunFolder":
        """A new folder, made with its first file; FileExistsError when there is a run in it already."""
        folder = cls(path)
        if folder.path.exists() and not folder.path.is_dir():
            raise FileExistsError(f"{path} is a file: name a folder with --out")
        folder._refuse_a_run()
        return folder

    @contextmanager
    def owned(self, new: bool = False) -> Iterator[None]:
        """Train inside this block: the folder is ours alone, without what killed runs have left half written.

        InUseError when another process trains in it, OSError when it cannot be written; with `new`, FileExistsError
        when there is a run in it.
        """
        with owned(self.path):
            self._identity = identity(self.path)
            try:
                if new:
                    self._refuse_a_run()
                remove_leftovers(self.path, RUN_FILES)
                yield
            finally:
                self._identity = None

    def _refuse_a_run(self) -> None:
        if (self.path / "config.json").exists():
            if self._identity is None:
                refuse_if_in_use(self.path)
            raise FileExistsError(
                f"{self.path} holds a run already: go on with --resume {self.path}, or name another folder with --out"
            )

    def save_config(self, config: dict[str, Any]) -> None:
        self._write_text("config.json", json.dumps(config, indent=2) + "\n")

    def load_config(self) -> dict[str, Any]:
        """The settings; FileNotFoundError or ValueError when there is no run in this folder."""
        path = self.path / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{self.path} holds no run: expected a file config.json in it")
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:  # not JSON, or not even text
            raise ValueError(f"{path}: expected JSON, but {error}") from None
        if not isinstance(config, dict):
            raise ValueError(f"{path}: expected settings by name, got a {type(config).__name__}")
        return config

    def save_checkpoint(self, model: Layer, optimiser: Optimiser, position: Position) -> None:
        """Model, optimiser with its step count, position, and the seed, from which all else follows."""
        memory = {"seed": current_seed(), "position": asdict(replace(position, totals=position.totals.read()))}
        if self.settings:
            memory["settings"] = self.settings
        self._replace(CHECKPOINT, checkpoint_writer(model, optimiser, memory))

    def load_checkpoint(self, model: Layer, optimiser: Optimiser | None = None) -> Position:
        """Put the checkpoint into model and optimiser; returns where training stands.

        The errors of minidl.training.load_checkpoint, and ValueError for the checkpoint of another seed, of other
        settings or of no run; then nothing has been changed.
        """
        path = self.path / CHECKPOINT
        memory = checkpoint_memory(path)
        if "position" not in memory:
            raise ValueError(f"{self.path}: the checkpoint does not say where training stood; it is not that of a run")
        if memory.get("seed", current_seed()) != current_seed():
            raise ValueError(f"{self.path}: the checkpoint is of seed {memory['seed']}, not {current_seed()}: "
                             f"config.json has been changed")  # fmt: skip
        try:
            position = Position(**memory["position"] | {"totals": Totals(**memory["position"]["totals"])})
            for count in (position.epoch, position.batch):
                whole_number("count", count)
        except (TypeError, LookupError, ValueError):  # something is missing, unknown, or no count
            raise ValueError(f"{path}: expected where training stood, got {memory['position']!r}") from None
        for name, value in memory.get("settings", {}).items():
            if name not in MAY_CHANGE and name in self.settings and self.settings[name] != value:
                raise ValueError(f"{self.path}: the checkpoint is of {name} {value!r}, not {self.settings[name]!r}: "
                                 f"config.json has been changed")  # fmt: skip
        load_checkpoint(path, model, optimiser)
        return position

    def has_checkpoint(self) -> bool:
        return (self.path / CHECKPOINT).is_file()

    def save_history(self, history: History) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        self._write_text("history.csv", text.getvalue())

    def load_history(self, position: Position | None = None) -> History:
        """The rows of history.csv; none where there is no such file.

        ValueError when it is something else, or says something else of the epochs before `position`.
        """
        path = self.path / "history.csv"
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                lines = list(csv.reader(file, strict=True))
            header, *rows = lines
            table = [dict(zip(header, map(float, row), strict=True)) for row in rows]
            check_history(table)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}: expected a table of numbers, as minidl train writes it, but {error}") from None
        if position is not None and table[: position.epoch] != position.history:
            raise ValueError(f"{path}: differs from what the checkpoint remembers of these epochs; it has been changed")
        return table

    def save_signals(self, records: list[dict[str, Any]]) -> None:
        plain = _without_nan(records)
        self._write_text("signals.json", json.dumps({"records": plain, "sha256": digest(plain)}, allow_nan=False))

    def load_signals(self) -> list[dict[str, Any]]:
        """What save_signals() was given last; nothing where there is no such file, ValueError when it is another."""
        path = self.path / "signals.json"
        if not path.is_file():
            return []
        try:
            records = check_signals(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: expected what minidl train keeps of its layers, but {error}; it can be "
                             "deleted") from None  # fmt: skip
        return _with_nan(records)  # type: ignore[no-any-return]

    def save_curves(self, history: History) -> None:
        """Draw curves.png; does nothing without matplotlib (the extra `plot`)."""
        if find_spec("matplotlib") is None:
            return
        from minidl.training.curves import draw_curves

        self._replace("curves.png", lambda temporary: draw_curves(history, temporary))

    def _write_text(self, name: str, text: str) -> None:
        self._replace(name, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def _replace(self, name: str, write: Callable[[Path], object]) -> None:
        """Refuse to make the folder anew, which would be a run of which only a part is there."""
        self._refuse_if_vanished()
        try:
            replace_file(self.path / name, write, self._identity)
        except OSError:
            self._refuse_if_vanished()
            raise

    def _refuse_if_vanished(self) -> None:
        if self._identity not in (None, identity(self.path)):
            raise FileNotFoundError(f"{self.path}: the run folder has been removed or renamed while it was trained in; "
                                    f"nothing more is saved")  # fmt: skip


def _without_nan(thing: Any) -> Any:
    """Numbers that are not finite, which JSON has no words for, as null."""
    if isinstance(thing, dict):
        return {name: _without_nan(value) for name, value in thing.items()}
    if isinstance(thing, list):
        return [_without_nan(value) for value in thing]
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing


def _with_nan(thing: Any) -> Any:
    """null as nan again, but for `dead`, which some layers have none of."""
    if isinstance(thing, dict):
        return {
            name: math.nan if value is None and name != "dead" else _with_nan(value) for name, value in thing.items()
        }
    return [_with_nan(value) for value in thing] if isinstance(thing, list) else thing
