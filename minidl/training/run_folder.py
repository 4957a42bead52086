"""A run folder: what a training run leaves behind, and all that it needs to go on.

    config.json              the settings
    history.csv              a row of figures for each epoch
    checkpoint.safetensors   model, optimiser, and where training stands
    signals.json             how large activations and gradients were, layer by layer
    curves.png               loss and accuracy, where matplotlib is installed

Every file is written beside and renamed, so that none is ever half written.
"""

import csv
import io
import json
import math
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minidl.layers.layer import Layer
from minidl.optimiser_base import Optimiser
from minidl.randomness import current_seed
from minidl.training.checkpoint import checkpoint_memory, load_checkpoint, replace_file, save_checkpoint, whole_number
from minidl.training.loop import Position, Totals

CHECKPOINT = "checkpoint.safetensors"
RUN_FILES = (CHECKPOINT, "config.json", "history.csv", "signals.json", "curves.png")
SIGNAL_KEYS = {"step", "epoch", "loss", "input_signal", "layers", "parameters"}
History = list[dict[str, float]]


class RunFolder:
    """One folder and its files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: str | Path) -> "RunFolder":
        """A new folder, made with its first file; FileExistsError when there is a run in it already."""
        folder = cls(path)
        if folder.path.exists() and not folder.path.is_dir():
            raise FileExistsError(f"{path} is a file: name a folder with --out")
        if (folder.path / "config.json").exists():
            raise FileExistsError(
                f"{path} holds a run already: go on with --resume {path}, or name another folder with --out"
            )
        return folder

    def save_config(self, config: dict[str, Any]) -> None:
        self._write_text("config.json", json.dumps(config, indent=2) + "\n")

    def load_config(self) -> dict[str, Any]:
        """The settings; FileNotFoundError or ValueError when there is no run in this folder."""
        path = self.path / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{self.path} holds no run: expected a file config.json in it")
        try:
            config = json.loads(path.read_text())
        except ValueError as error:  # not JSON, or not even text
            raise ValueError(f"{path}: expected JSON, but {error}") from None
        if not isinstance(config, dict):
            raise ValueError(f"{path}: expected settings by name, got a {type(config).__name__}")
        return config

    def save_checkpoint(self, model: Layer, optimiser: Optimiser, position: Position) -> None:
        """Model, optimiser with its step count, position, and the seed, from which all else follows."""
        path = self.path / CHECKPOINT
        position = replace(position, totals=position.totals.read())
        save_checkpoint(path, model, optimiser, seed=current_seed(), position=asdict(position))

    def load_checkpoint(self, model: Layer, optimiser: Optimiser | None = None) -> Position:
        """Put the checkpoint into model and optimiser; returns where training stands.

        The errors of minidl.training.load_checkpoint, and ValueError for the checkpoint of another seed or of no run;
        then nothing has been changed.
        """
        path = self.path / CHECKPOINT
        for unfinished in self.path.glob(f".{path.name}.*"):  # of a run that was killed while it wrote
            unfinished.unlink()
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

    def load_history(self) -> History:
        """The rows of history.csv; none where there is no such file, ValueError when it is something else."""
        path = self.path / "history.csv"
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        except (ValueError, TypeError):
            raise ValueError(f"{path}: expected a table of numbers, as minidl train writes it") from None

    def save_signals(self, records: list[dict[str, Any]]) -> None:
        self._write_text("signals.json", json.dumps({"records": _without_nan(records)}, allow_nan=False))

    def load_signals(self) -> list[dict[str, Any]]:
        """What save_signals() was given last; nothing where there is no such file, ValueError when it is another."""
        path = self.path / "signals.json"
        if not path.is_file():
            return []
        try:
            records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["records"]
            complete = all(record.keys() >= SIGNAL_KEYS for record in records)
            complete = complete and all(isinstance(record["layers"], list) for record in records)
        except (ValueError, LookupError, TypeError, AttributeError):
            complete = False
        if not complete:
            raise ValueError(f"{path}: expected what minidl train keeps of its layers, got something else; it can be "
                             "deleted")  # fmt: skip
        return _with_nan(records)  # type: ignore[no-any-return]

    def save_curves(self, history: History) -> None:
        """Draw curves.png; does nothing without matplotlib (the extra `plot`)."""
        if find_spec("matplotlib") is None:
            return
        from minidl.training.curves import draw_curves

        replace_file(self.path / "curves.png", lambda temporary: draw_curves(history, temporary))

    def _write_text(self, name: str, text: str) -> None:
        replace_file(self.path / name, lambda temporary: temporary.write_text(text))


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
