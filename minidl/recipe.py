"""What `minidl train` does, from settings to a finished run."""

from __future__ import annotations

import math
import platform
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, get_type_hints

import numpy
from rich.console import Console

import minidl
from minidl import models
from minidl.backend import get_backend, use_backend
from minidl.choices import OPTIMISERS, SCHEDULES, Rates, UsageError, make_optimiser, make_schedule, parse_groups, suited
from minidl.data import Cutout, DataLoader, RandomCrop, RandomFlip, label_smoothing, load_data, onehotbatch, to_float
from minidl.data.selection import NAMES
from minidl.functions import softmax
from minidl.layers import Chain
from minidl.layers.layer import is_plain
from minidl.losses import crossentropy, logitcrossentropy
from minidl.randomness import seed
from minidl.training.callbacks import KeepRunFolder, ProgressDisplay, StopOnInterrupt, WatchSignal
from minidl.training.checkpoint import load_checkpoint
from minidl.training.data_loader import AugmentationStep
from minidl.training.loop import Loss, Training, evaluate
from minidl.training.run_folder import CHECKPOINT, RunFolder
from minidl.training.run_owner import InUseError
from minidl.training.signals import SAMPLES, RecordSignals

MODELS: dict[str, Callable[[], Chain]] = {name: getattr(models, name) for name in models.__all__} | {
    f"{name}-plain": partial(getattr(models, name), batchnorm=False) for name in ("vgg11", "vgg13", "vgg16", "vgg19")
}
AUGMENTATION: dict[str, list[AugmentationStep]] = {
    "cifar10": [RandomCrop(4), RandomFlip()],
    "digits": [RandomCrop(4)],
}  # a mirrored 2 is no 2
PREPROCESSING: list[AugmentationStep] = [to_float]  # of every image, in training, evaluation and prediction
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result of a run. Written to config.json, read back to resume."""

    model: str
    data: str = "auto"
    data_dir: str | None = None
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float | None = None  # these three: None until the run begins, with what suits the optimiser
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str = "cosine"
    augment: bool = True
    cutout: int = 0
    label_smoothing: float = 0.0
    backend: str = "cpu"
    seed: int = 0
    limit: int | None = None
    optimiser: str = "momentum"
    clip_norm: float | None = None
    warmup: int | None = None
    groups: str | None = None  # of parameters, with rates of their own: see parse_groups()
    weights: str | None = None  # a checkpoint, or a run folder with one, whose weights this run starts from

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Settings).items():
            value = getattr(self, name)
            if not isinstance(value, int | kind if kind in (float, float | None) else kind):
                raise ValueError(f"expected {name} of type {getattr(kind, '__name__', kind)}, got {value!r}")
        for name, choices in (("model", MODELS), ("data", NAMES), ("schedule", SCHEDULES), ("optimiser", OPTIMISERS)):
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
            ("warmup", 0),
        ):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(f"expected {name} of at least {least}, got {value}")
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(f"expected label_smoothing from 0 to 1, got {self.label_smoothing}")
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise ValueError(f"expected momentum from 0 to below 1, got {self.momentum}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"expected clip_norm above 0, got {self.clip_norm}")
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            if getattr(self, name) == math.inf:
                raise ValueError(f"expected {name} to be finite, got inf")
        if self.momentum is not None and OPTIMISERS[self.optimiser].momentum is None:
            raise ValueError(f"momentum is for the optimisers momentum and nesterov; {self.optimiser} has none to set")
        if self.warmup is not None and self.schedule == "one-cycle":
            raise ValueError("warmup is for the other schedules; one-cycle has a rise of its own")
        if self.groups is not None:
            parse_groups(self.groups)  # for its checks
        get_backend(self.backend)

    @property
    def rates(self) -> Rates:
        """What the optimiser is made with: what suits it wherever nothing was asked for."""
        given = {name: getattr(self, name) for name in ("learning_rate", "momentum", "weight_decay")}
        return suited(self.optimiser, **given)


def train_new(settings: Settings, out: str | None, console: Console) -> bool:
    """Start a run in folder `out` (runs/MODEL, numbered, unless given). Returns whether it came to its end."""
    if out:
        RunFolder.create(out)  # for its errors, before anything takes time
    train_data, test_data = load_data(settings.data, settings.data_dir, say(console))
    settings = replace(
        settings,
        **asdict(settings.rates),
        data=type(train_data).__name__.lower(),  # "auto" has been decided now
        data_dir=settings.data_dir and str(Path(settings.data_dir).resolve()),  # to be resumed from any folder
        weights=settings.weights and str(Path(settings.weights).resolve()),
    )
    training = _prepare(settings, train_data, test_data)
    if settings.weights:
        load_weights(settings.weights, training.model)  # before there is a folder: weights that do not fit leave none
    with _new_folder(out, settings.model) as folder:
        _save_config(folder, settings, _versions())
        if settings.weights:  # from here on, those of the other run may change
            folder.save_checkpoint(training.model, training.optimiser, training.position)
        return _run(folder, training, train_data, console)


def resume(path: str, data_dir: str | None, console: Console, epochs: int | None = None) -> bool:
    """Go on with the run in folder `path`, bit for bit as if it had never stopped.

    With another number of `epochs` than it began with, its schedule is from now on that of a run of so many. ValueError
    when more of them are done already.
    """
    folder = RunFolder(path)
    read_settings(folder)  # for its errors: a folder without a run stays as it is
    with folder.owned():
        settings = read_settings(folder)
        before, settings = settings.epochs, replace(settings, epochs=epochs or settings.epochs)
        train_data, test_data = load_data(settings.data, data_dir or settings.data_dir, say(console))
        training = _prepare(settings, train_data, test_data)
        if folder.has_checkpoint():
            training.position = folder.load_checkpoint(training.model, training.optimiser)
        elif settings.weights:
            load_weights(settings.weights, training.model)
        if settings.epochs != before:
            say(console)(_other_epochs(folder, training, settings, before))
            _save_config(folder, settings, folder.load_config().get("made_with"))
        return _run(folder, training, train_data, console)


def _other_epochs(folder: RunFolder, training: Training, settings: Settings, before: int) -> str:
    """What becomes of the schedule, in words; ValueError when there are more epochs behind than are to be."""
    position, schedule = training.position, training.schedule
    begun = position.epoch + (position.batch > 0)
    if settings.epochs < begun:
        raise ValueError(f"{folder.path}: expected --epochs of at least {begun}, for so many are done or begun, got "
                         f"{settings.epochs}")  # fmt: skip
    changed = f"Epochs: {settings.epochs}, {before} before."
    if settings.schedule == "constant" or schedule is None:
        return changed
    rate = schedule(training.optimiser.steps)
    return (f"{changed} The schedule ({settings.schedule}) goes on as that of a run of {settings.epochs} epochs, at a "
            f"learning rate of {rate:.3g}")  # fmt: skip


@contextmanager
def _new_folder(out: str | None, model: str) -> Iterator[RunFolder]:
    """Folder `out`, ours, with no run in it; without a name, the first that is free: runs/MODEL, runs/MODEL-2, ..."""
    for number in count(1):
        folder = RunFolder.create(out) if out else RunFolder(_numbered(model, number))
        if not out and folder.path.exists():
            continue
        with ExitStack() as ours:
            try:
                ours.enter_context(folder.owned(new=True))
            except (FileExistsError, InUseError):  # of a run that has just been started, too
                if out:
                    raise
                continue
            yield folder
            return


def _save_config(folder: RunFolder, settings: Settings, made_with: Any) -> None:
    folder.settings = asdict(settings)
    folder.save_config(folder.settings | {"made_with": made_with})


def read_settings(folder: RunFolder, backend: str | None = None) -> Settings:
    """The settings in a run folder; ValueError when they are not those of a run. `backend` replaces that of the run."""
    config = folder.load_config() | ({"backend": backend} if backend else {})
    config.pop("made_with", None)
    try:
        settings = Settings(**config)
    except (TypeError, ValueError) as error:  # a setting is unknown, missing or out of range
        raise ValueError(f"{folder.path / 'config.json'}: not the settings of a run: {error}") from None
    folder.settings = asdict(settings)
    return settings


def settings_of(model_or_run: str) -> Settings:
    """The defaults for a model, or the settings in a run folder, on backend "cpu"."""
    return Settings(model_or_run) if model_or_run in MODELS else read_settings(RunFolder(model_or_run), "cpu")


def evaluate_run(path: str, data_dir: str | None, backend: str | None, console: Console) -> dict[str, float]:
    """Loss and accuracy of the run in folder `path` on its test images; `backend` replaces that of the run."""
    folder = RunFolder(path)
    settings = read_settings(folder, backend)
    _, test_data = load_data(settings.data, data_dir or settings.data_dir, say(console))
    model = build(settings)
    folder.load_checkpoint(model)
    return evaluate(model, loss_for(model), _batches(test_data, settings, training=False))


def say(console: Console, style: str | None = None) -> Callable[[str], None]:
    """Print text as it is, a line of it as a line: paths and commands stay whole."""
    return partial(console.print, style=style, soft_wrap=True, markup=False)


def loss_for(model: Chain) -> Loss:
    """Cross-entropy in the form that fits the end of the network: probabilities, or scores."""
    return crossentropy if ends_in_softmax(model) else logitcrossentropy


def ends_in_softmax(model: object) -> bool:
    """Whether a network gives probabilities: its last layer is softmax, or has it as its activation."""
    if is_plain(model, Chain):
        return bool(model.layers) and ends_in_softmax(model.layers[-1])
    return model is softmax or getattr(model, "activation", None) is softmax


def _prepare(settings: Settings, train_data: Any, test_data: Any) -> Training:
    """Everything that takes part, as it is before the first step."""
    model, batches = build(settings), _batches(train_data, settings, training=True)
    groups = parse_groups(settings.groups) if settings.groups else []
    optimiser = make_optimiser(settings.optimiser, settings.rates, settings.clip_norm, groups)
    try:
        optimiser.check_groups(model.params())
    except ValueError as error:
        raise UsageError(str(error)) from None
    steps = settings.epochs * len(batches)
    schedule = make_schedule(settings.schedule, settings.rates.learning_rate, steps, settings.warmup)
    validation = _batches(test_data, settings, training=False)
    return Training(model, loss_for(model), batches, optimiser, settings.epochs, validation, schedule)


def _run(folder: RunFolder, training: Training, train_data: Any, console: Console) -> bool:
    images, labels = train_data[:SAMPLES]
    some_images, some_targets = to_float(images), onehotbatch(labels, range(len(train_data.classes)))
    with ProgressDisplay(console) as progress, StopOnInterrupt() as interrupt:
        watch = WatchSignal(some_images, say(console, style="bold yellow"))
        record = RecordSignals(folder, some_images, some_targets)
        # signals first: what is newer than the checkpoint is seen again; and what is printed has been saved
        training.run([interrupt, record, KeepRunFolder(folder), progress, watch])
    if training.position.epoch < training.epochs:
        say(console)(f"Stopped and saved. Go on with:  minidl train --resume {shlex.quote(str(folder.path))}")
        return False
    say(console)(f"Finished: {folder.path}")
    return True


def build(settings: Settings) -> Chain:
    """The network of a run as it is at its start."""
    seed(settings.seed)
    with use_backend(settings.backend):
        return MODELS[settings.model]()


def load_weights(path: str, model: Chain) -> None:
    """Put the weights of a run folder's checkpoint, or of a checkpoint elsewhere, into `model`.

    The errors of minidl.training.load_checkpoint.
    """
    load_checkpoint(Path(path) / CHECKPOINT if Path(path).is_dir() else path, model)


def _batches(data: Any, settings: Settings, training: bool) -> DataLoader:
    images, labels = data[: settings.limit]
    targets = onehotbatch(labels, range(len(data.classes)))
    if not training:
        return DataLoader((images, targets), EVALUATION_BATCH, augment=PREPROCESSING)
    smoothed = label_smoothing(targets, settings.label_smoothing)
    changes: list[AugmentationStep] = [
        *(AUGMENTATION[settings.data] if settings.augment else []),
        *([Cutout(settings.cutout)] if settings.cutout else []),
        *PREPROCESSING,
    ]
    return DataLoader((images, smoothed), settings.batch_size, shuffle=True, seed=settings.seed, augment=changes)


def _numbered(model: str, number: int) -> Path:
    return Path("runs", model if number == 1 else f"{model}-{number}")


def _versions() -> dict[str, str]:
    return {"minidl": minidl.__version__, "python": platform.python_version(), "numpy": numpy.__version__}
