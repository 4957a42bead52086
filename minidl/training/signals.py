"""How the signal fares inside a network while it trains: how large activations and gradients are, layer by layer.

`minidl train` keeps this in its run folder, as signals.json, and `minidl explain run` draws it. A few training images,
always the same, are looked at before the first step, early on, and after each epoch. Looking leaves no trace.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from minidl.backend import get_backend
from minidl.layers.chain import Chain, activations, as_chain, layer_by_layer
from minidl.layers.dropout import Dropout
from minidl.layers.layer import name_of
from minidl.modes import no_grad, training_mode
from minidl.tensor import Tensor, grad
from minidl.training.diagnosis import signal_of, untouched, without_dropout
from minidl.training.loop import Callback, Loss, Training
from minidl.training.run_folder import RunFolder

Numbers = NDArray[Any]

SAMPLES = 64  # images that are looked at
EARLY_STEPS = (10, 100)  # beside step 0 and the end of each epoch
LOWEST, HIGHEST = -24, 8  # magnitudes are counted between powers of two, from 2 ** LOWEST up to 2 ** HIGHEST


@dataclass(frozen=True)
class LayerSignal:
    """What comes out of a layer for a batch, dropout left out, and what the loss asks of it.

    mean, deviation     of all numbers
    signal              how much they differ from image to image: the standard deviation over the batch, on average
    dead                the share of units (channels) that are 0 for every image and pixel; None where some number is
                        negative, so that nothing was cut off, and for a Dropout, which has no units
    magnitudes          how many numbers lie between 2 ** k and 2 ** (k + 1), for k from LOWEST to HIGHEST - 1; smaller
                        and larger ones count with the first and the last, zeros nowhere
    gradient            root mean square of the loss's gradient with respect to these numbers, times the batch size:
                        that of a single image's loss
    gradient_magnitudes magnitudes of the same
    """

    name: str
    mean: float
    deviation: float
    signal: float
    dead: float | None
    magnitudes: list[int]
    gradient: float
    gradient_magnitudes: list[int]


@dataclass(frozen=True)
class ParameterSignal:
    """The size of a parameter and of the loss's gradient with respect to it, root mean square of each."""

    name: str
    weight: float
    gradient: float


@dataclass(frozen=True)
class Signals:
    """All layers and parameters at one moment; `input_signal` is the signal of the images themselves."""

    step: int
    epoch: int
    loss: float
    input_signal: float
    layers: list[LayerSignal]
    parameters: list[ParameterSignal]


def look_inside(model: Chain, x: Any, y: Any, loss: Loss, step: int = 0, epoch: int = 0) -> Signals:
    """Run a batch forward and backward, as in training step `step`. The network is left as it was.

    What comes out of the layers is looked at without dropout: its zeros are no dead units, and its masks would be taken
    for differences between images. Loss and gradients are those of the step, dropout included.

    x (n, ...) with at least two inputs, y as loss(model(x), y) wants it. ValueError for fewer inputs.
    """
    n = len(x)
    if n < 2:
        raise ValueError(f"look_inside: expected at least two inputs, to see how they differ, got {n}")
    images = get_backend("cpu").asarray(x)
    trained = model.params()
    chain = as_chain(model)
    with untouched(model), no_grad(), without_dropout(model), training_mode(step):
        seen = [
            _seen(layer, y.numpy())
            for layer, y in zip(chain.layers, layer_by_layer(chain, Tensor(x, model.backend)), strict=True)
        ]
    with untouched(model), training_mode(step):
        outputs = activations(chain, Tensor(x, model.backend, requires_grad=True))
        value = loss(outputs[-1], y)
        gradients = grad(value, [*outputs, *trained.values()])
    asked = [gradient.numpy() * n for gradient in gradients[: len(outputs)]]
    layers = [
        LayerSignal(name_of(layer), **figures, gradient=_size(gradient), gradient_magnitudes=magnitudes(gradient))
        for layer, figures, gradient in zip(chain.layers, seen, asked, strict=True)
    ]
    parameters = [
        ParameterSignal(name, _size(parameter.numpy()), _size(gradient.numpy()))
        for (name, parameter), gradient in zip(trained.items(), gradients[len(outputs) :], strict=True)
    ]
    return Signals(step, epoch, value.item(), signal_of(images), layers, parameters)


def magnitudes(numbers: Numbers) -> list[int]:
    """How many of the numbers lie between two powers of two each; see LayerSignal."""
    sizes = numpy.abs(numbers[numpy.isfinite(numbers) & (numbers != 0)])
    exponents = numpy.floor(numpy.log2(sizes)).clip(LOWEST, HIGHEST - 1).astype(int) - LOWEST
    return [int(count) for count in numpy.bincount(exponents, minlength=HIGHEST - LOWEST)]


class RecordSignals(Callback):
    """Look inside before the first step, early on and after each epoch, and keep what was seen in the run folder."""

    def __init__(self, folder: RunFolder, x: Numbers, y: Numbers) -> None:
        self.folder, self.x, self.y = folder, x[:SAMPLES], y[:SAMPLES]
        self.records: list[dict[str, Any]] = []

    def training_began(self, training: Training) -> None:
        steps = training.optimiser.steps  # a resumed run forgets what came after its checkpoint, and sees it again
        self.records = [record for record in self.folder.load_signals() if record["step"] <= steps]
        if steps == 0:
            self._record(training)

    def batch_ended(self, training: Training) -> None:
        if training.optimiser.steps in EARLY_STEPS:
            self._record(training)

    def epoch_ended(self, training: Training) -> None:
        self._record(training)

    def _record(self, training: Training) -> None:
        step, epoch = training.optimiser.steps, training.position.epoch
        if len(self.x) < 2 or any(record["step"] == step for record in self.records):
            return
        self.records.append(asdict(look_inside(training.model, self.x, self.y, training.loss, step, epoch)))
        self.folder.save_signals(self.records)


def _seen(layer: object, y: Numbers) -> dict[str, Any]:
    """The figures of a LayerSignal that do not need the loss."""
    axes = tuple(range(y.ndim - 1))
    has_units = not isinstance(layer, Dropout) and y.ndim > 1 and y.min() >= 0
    return {
        "mean": float(y.mean(dtype=numpy.float64)),
        "deviation": float(y.std(dtype=numpy.float64)),
        "signal": signal_of(y),
        "dead": float((y.max(axis=axes) <= 0).mean(dtype=numpy.float64)) if has_units else None,
        "magnitudes": magnitudes(y),
    }


def _size(numbers: Numbers) -> float:
    """Root mean square."""
    return float(numpy.sqrt(numpy.mean(numbers.astype(numpy.float64) ** 2, dtype=numpy.float64)))
