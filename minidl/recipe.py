"""What `minidl train` does, from settings to a finished run."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import numpy
from rich.console import Console

import minidl
from minidl import models
from minidl.backend import get_backend, use_backend
from minidl.data import Cutout, DataLoader, RandomCrop, RandomFlip, label_smoothing, load_data, onehotbatch, to_float
from minidl.functions import softmax
from minidl.layers import Chain
from minidl.losses import crossentropy, logitcrossentropy
from minidl.optimisers import Momentum
from minidl.randomness import seed
from minidl.schedules import Schedule, constant, cosine, one_cycle
from minidl.training.callbacks import KeepRunFolder, ProgressDisplay, StopOnInterrupt, WatchSignal
from minidl.training.checkpoint import load_checkpoint
from minidl.training.data_loader import AugmentationStep
from minidl.training.loop import Loss, Position, Training, evaluate
from minidl.training.run_folder import CHECKPOINT, RunFolder

MODELS: dict[str, Callable[[], Chain]] = {name: getattr(models, name) for name in models.__all__} | {
    f"{name}-plain": partial(getattr(models, name), batchnorm=False) for name in ("vgg11", "vgg13", "vgg16", "vgg19")
}
AUGMENTATION: dict[str, list[AugmentationStep]] = {
    "cifar10": [RandomCrop(4), RandomFlip()],
    "digits": [RandomCrop(4)],
}  # a mirrored 2 is no 2
SCHEDULES = ("cosine", "one-cycle", "constant")
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result of a run. Written to config.json, read back to resume."""

    model: str
    data: str = "auto"
    data_dir: str | None = None
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    augment: bool = True
    cutout: int = 0
    label_smoothing: float = 0.0
    backend: str = "cpu"
    seed: int = 0
    limit: int | None = None
    weights: str | None = None  # a checkpoint, or a run folder with one, whose weights this run starts from

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Settings).items():
            value = getattr(self, name)
            if not isinstance(value, int | float if kind is float else kind):
                raise ValueError(f"expected {name} of type {getattr(kind, '__name__', kind)}, got {value!r}")
        for name, choices in (("model", MODELS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}: choose one of {', '.join(choices)}")
        for name, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("limit", 2),
            ("seed", 0),
            ("learning_rate", 0),
            ("weight_decay", 0),
            ("cutout", 0),
        ):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(f"expected {name} of at least {least}, got {value}")
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(f"expected label_smoothing from 0 to 1, got {self.label_smoothing}")
        get_backend(self.backend)  # for its checks


def train_new(settings: Settings, out: str | None, console: Console) -> bool:
    """Start a run in folder `out` (runs/MODEL, numbered, unless given). Returns whether it came to its end."""
    folder = RunFolder.create(out or _free_folder(settings.model))
    train_data, test_data = load_data(settings.data, settings.data_dir, say(console))
    settings = replace(
        settings,
        data=type(train_data).__name__.lower(),  # "auto" has been decided now
        data_dir=settings.data_dir and str(Path(settings.data_dir).resolve()),  # to be resumed from any folder
        weights=settings.weights and str(Path(settings.weights).resolve()),
    )
    model = _start(settings)  # before there is a folder: weights that do not fit leave none
    folder.save_config(asdict(settings) | {"made_with": _versions()})
    return _run(folder, settings, model, train_data, test_data, console)


def resume(path: str, data_dir: str | None, console: Console) -> bool:
    """Go on with the run in folder `path`, bit for bit as if it had never stopped."""
    folder = RunFolder(path)
    settings = read_settings(folder)
    train_data, test_data = load_data(settings.data, data_dir or settings.data_dir, say(console))
    model = _build(settings) if folder.has_checkpoint() else _start(settings)
    return _run(folder, settings, model, train_data, test_data, console)


def read_settings(folder: RunFolder) -> Settings:
    """The settings in a run folder; ValueError when they are not those of a run."""
    config = folder.load_config()
    config.pop("made_with", None)
    try:
        return Settings(**config)
    except (TypeError, ValueError) as error:  # a setting is unknown, missing or out of range
        raise ValueError(f"{folder.path / 'config.json'}: not the settings of a run: {error}") from None


def evaluate_run(path: str, data_dir: str | None, console: Console) -> dict[str, float]:
    """Loss and accuracy of the run in folder `path` on its test images."""
    folder = RunFolder(path)
    settings = read_settings(folder)
    _, test_data = load_data(settings.data, data_dir or settings.data_dir, say(console))
    model = _build(settings)
    folder.load_checkpoint(model)
    return evaluate(model, loss_for(model), _batches(test_data, settings, training=False))


def say(console: Console, style: str | None = None) -> Callable[[str], None]:
    """Print text as it is, a line of it as a line: paths and commands stay whole."""
    return partial(console.print, style=style, soft_wrap=True, markup=False)


def loss_for(model: Chain) -> Loss:
    """Cross-entropy in the form that fits the end of the network: probabilities, or scores."""
    return crossentropy if model[-1] is softmax else logitcrossentropy


def _run(
    folder: RunFolder, settings: Settings, model: Chain, train_data: Any, test_data: Any, console: Console
) -> bool:
    batches = _batches(train_data, settings, training=True)
    steps = settings.epochs * len(batches)
    optimiser = Momentum(settings.learning_rate, settings.momentum, settings.weight_decay)
    position = folder.load_checkpoint(model, optimiser) if folder.has_checkpoint() else Position()
    if settings.weights and not folder.has_checkpoint():
        folder.save_checkpoint(model, optimiser, position)  # from here on, the weights of the other run may change
    training = Training(
        model, loss_for(model), batches, optimiser, settings.epochs,
        validation=_batches(test_data, settings, training=False),
        schedule=_schedule(settings, steps), position=position,
    )  # fmt: skip
    some_images = to_float(train_data.images[:32])
    with ProgressDisplay(console) as progress, StopOnInterrupt() as interrupt:
        watch = WatchSignal(some_images, say(console, style="bold yellow"))
        training.run([interrupt, progress, watch, KeepRunFolder(folder)])
    if training.position.epoch < settings.epochs:
        say(console)(f"Stopped and saved. Go on with:  minidl train --resume {shlex.quote(str(folder.path))}")
        return False
    say(console)(f"Finished: {folder.path}")
    return True


def _build(settings: Settings) -> Chain:
    seed(settings.seed)
    with use_backend(settings.backend):
        return MODELS[settings.model]()


def _start(settings: Settings) -> Chain:
    """The network as it is before the first step: with random weights, or those of another run."""
    model = _build(settings)
    if settings.weights is not None:
        path = Path(settings.weights)
        load_checkpoint(path / CHECKPOINT if path.is_dir() else path, model)
    return model


def _batches(data: Any, settings: Settings, training: bool) -> DataLoader:
    images, labels = data[: settings.limit]
    targets = onehotbatch(labels, range(len(data.classes)))
    if not training:
        return DataLoader((images, targets), EVALUATION_BATCH, augment=[to_float])
    smoothed = label_smoothing(targets, settings.label_smoothing)
    changes: list[AugmentationStep] = [
        *(AUGMENTATION[settings.data] if settings.augment else []),
        *([Cutout(settings.cutout)] if settings.cutout else []),
        to_float,
    ]
    return DataLoader((images, smoothed), settings.batch_size, shuffle=True, seed=settings.seed, augment=changes)


def _schedule(settings: Settings, steps: int) -> Schedule:
    """Cosine with a short rise: momentum on a fresh network needs a few steps to find its direction."""
    if settings.schedule == "constant":
        return constant(settings.learning_rate)
    if settings.schedule == "one-cycle":
        return one_cycle(settings.learning_rate, steps) if steps > 1 else constant(settings.learning_rate)
    return cosine(settings.learning_rate, steps, warmup=min(200, steps // 10))


def _free_folder(model: str) -> Path:
    """runs/MODEL, or the first of runs/MODEL-2, runs/MODEL-3, ... that is free."""
    path, number = Path("runs", model), 1
    while path.exists():
        number += 1
        path = Path("runs", f"{model}-{number}")
    return path


def _versions() -> dict[str, str]:
    return {"minidl": minidl.__version__, "python": platform.python_version(), "numpy": numpy.__version__}
