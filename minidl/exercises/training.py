"""A small network trained twice on the digits: with the student's kernels, and with the framework's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from minidl.backend import use_backend, use_kernels
from minidl.data import DataLoader, Digits, onehotbatch
from minidl.exercises.lessons import Lesson
from minidl.functions import flatten, relu, softmax
from minidl.layers import BatchNorm, Chain, Conv, Dense, Dropout, MaxPool, MeanPool, he_normal
from minidl.optimisers import Momentum
from minidl.randomness import seed
from minidl.recipe import loss_for
from minidl.schedules import cosine
from minidl.training.loop import Training, fit

Block = Callable[[], AbstractContextManager[None]]

EPOCHS, BATCH, RATE = 3, 32, 0.05
PATIENCE = 8.0  # seconds that training with the student's kernels may take, about
AGREEMENT = 0.01  # by how much losses may differ, relatively; and accuracies, absolutely


@dataclass
class Comparison:
    """Rows of figures, one for each epoch, of both networks; how many images they learned from."""

    yours: list[dict[str, float]]
    theirs: list[dict[str, float]]
    images: int
    of_images: int
    seconds_per_step: float

    @property
    def agrees(self) -> bool:
        """Whether all losses and accuracies are the same, but for what rounding makes of them."""
        return all(
            abs(mine[name] - theirs[name]) <= AGREEMENT * (abs(theirs[name]) if "loss" in name else 1)
            for mine, theirs in zip(self.yours, self.theirs, strict=True)
            for name in ("loss", "accuracy", "validation_loss", "validation_accuracy")
        )


def train_both(lesson: Lesson, kernels: ModuleType) -> Comparison:
    """Train both for EPOCHS; slow kernels get fewer images, and so does their rival."""
    yours: Block = partial(use_kernels, lesson.op, kernels)
    _time_of_step(lesson, yours)  # Numba compiles when it is first called
    seconds = _time_of_step(lesson, yours)
    of_images = len(Digits("train"))
    affordable = int(PATIENCE / seconds) // EPOCHS * BATCH
    images = of_images if affordable >= of_images else max(affordable, BATCH)
    mine, theirs = (_train(lesson, block, images) for block in (yours, partial(use_backend, "reference")))
    return Comparison(mine, theirs, images, of_images, seconds)


def small_network(lesson: Lesson) -> Chain:
    """Every op that can be exercised: images (n, 8, 8, 1) -> scores (n, 10), or probabilities where softmax is it."""
    layers: list[Callable[..., Any]] = [
        Conv((3, 3), (1, 8), pad=1, init=he_normal),
        BatchNorm(8, relu),
        MaxPool((3, 3), stride=2, pad=1),
        Conv((3, 3), (8, 16), relu, pad=1, init=he_normal),
        MeanPool((2, 2)),
        flatten,
        Dense(64, 32, relu, init=he_normal),
        Dropout(0.1),
        Dense(32, 10, init=he_normal),
    ]
    return Chain(*layers, softmax) if lesson.name == "softmax" else Chain(*layers)


def _time_of_step(lesson: Lesson, block: Block) -> float:
    x, y = _digits("train", BATCH)
    with block():
        model = small_network(lesson)
        training = Training(model, loss_for(model), DataLoader((x, y), BATCH), Momentum(RATE, 0.9), 1)
        started = time.perf_counter()
        training.step(x, y)
        return time.perf_counter() - started


def _train(lesson: Lesson, block: Block, count: int) -> list[dict[str, float]]:
    seed(0)
    with block():
        model = small_network(lesson)
        data = DataLoader(_digits("train", count), BATCH, shuffle=True)
        test = DataLoader(_digits("test", max(BATCH, count // 4)), BATCH)
        return fit(model, loss_for(model), data, Momentum(RATE, 0.9), EPOCHS, test, cosine(RATE, EPOCHS * len(data)))


def _digits(split: str, count: int) -> tuple[Any, Any]:
    """The first images in their own size, (n, 8, 8, 1) float32 from 0 to 1, and one-hot labels (n, 10)."""
    images, labels = Digits(split).arrays()
    return np.ascontiguousarray(images[:count, ::4, ::4, :1]), onehotbatch(labels[:count], range(10))
