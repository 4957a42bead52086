"""What has gone wrong inside a network that does not learn, and in which layer.

Two illnesses have clear signs. A loss that is nan or infinite comes from one layer that made the first such number. A
loss that stays at ln(classes), the loss of guessing, often comes from a signal that has died: layer by layer the
outputs differ less from image to image, until all images look the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy

from minidl.backend import get_backend, ieee
from minidl.layers.chain import Chain, as_chain, layer_by_layer
from minidl.layers.dropout import Dropout
from minidl.layers.layer import Layer, name_of
from minidl.modes import no_grad, training_mode
from minidl.optimisers import Optimiser

DEAD = 0.01  # a signal this small beside that of the input has died


class NotFiniteError(ArithmeticError):
    """A loss or a gradient has become nan or infinite."""


def explain_not_finite(model: Chain, x: Any, loss: float, optimiser: Optimiser) -> str:
    """Name the step and the first layer whose numbers are not finite, for a loss that is not."""
    start = f"step {optimiser.steps + 1}: the loss is {loss}. "
    remedy = f"Lower the learning rate (now {optimiser.learning_rate:g}), or normalise with BatchNorm"
    if not numpy.isfinite(get_backend("cpu").asarray(x)).all():
        return start + "The input itself holds numbers that are not finite: look at the data"
    broken = first_broken_parameter(model)
    if broken is not None:
        return start + f"{broken} holds numbers that are not finite, from a step before. {remedy}"
    for i, layer, y in _outputs(model, x, optimiser.steps):
        if not numpy.isfinite(y).all():
            return start + f"The first layer whose output is not finite is layer {i}, {name_of(layer)}. {remedy}"
    return start + f"Every layer's output is finite: the loss function itself overflows. {remedy}"


def explain_gradient(name: str, loss: float | None, learning_rate: float, model: Layer | None = None) -> str:
    """Say, behind the step, that the gradient of a parameter is not finite, and what to do."""
    layer = _layer_of(name, model) if isinstance(model, Chain) else ""
    value = "finite" if loss is None else f"{loss:g}"
    return (f"the loss is {value}, but the gradient of {name}{layer} is not finite: the first on the way back from the "
            f"loss. No parameter has been moved. Lower the learning rate (now {learning_rate:g}), or look between that "
            f"layer and the loss for a function without a slope there, such as sqrt at 0")  # fmt: skip


def _layer_of(name: str, model: Chain) -> str:
    """In brackets, the layer that "layers.4.weight" is in."""
    parts = name.split(".")
    return f" (layer {parts[1]}, {name_of(model[int(parts[1])])})" if parts[0] == "layers" else ""


def first_broken_parameter(model: Layer) -> str | None:
    """The name of the first parameter that holds nan or infinite numbers, None when all are finite."""
    return next((name for name, x in model.params().items() if not numpy.isfinite(x.numpy()).all()), None)


def explain_dead_signal(model: Chain, x: Any, step: int = 0) -> str | None:
    """Name the first layer whose signal has died, and what to change; None when the signal arrives.

    x is a batch of at least two inputs (n, ...). The signal is how much the numbers differ from image to image: the
    standard deviation over the batch, averaged over everything else. Dropout is left out: masks differ, too.
    """
    at_start = signal_of(get_backend("cpu").asarray(x))
    with without_dropout(model):
        signals = ((i, layer, signal_of(y)) for i, layer, y in _outputs(model, x, step))
        dead = next((one for one in signals if one[2] < DEAD * at_start and isinstance(one[1], Layer)), None)
    if dead is None:
        return None
    i, layer, signal = dead
    return (
        f"{died(i, name_of(layer), signal / at_start)}. Put a BatchNorm behind each convolution, or draw the weights "
        f"with init=he_normal"
    )


def died(i: int, name: str, share: float) -> str:
    """That the signal has died in layer i, where `share` is left of it, in words."""
    return (
        f"the signal has died in layer {i}, {name}: its outputs differ between images by {share:.2%} of what the "
        f"images do, so every image looks alike to the layers behind"
    )


def _outputs(model: Chain, x: Any, step: int) -> Iterator[tuple[int, Callable[..., Any], numpy.ndarray[Any, Any]]]:
    """Each layer of the chain with its output, as in training step `step`. Looking leaves no trace in the network."""
    chain = as_chain(model)
    with untouched(model), no_grad(), training_mode(step):
        for i, y in enumerate(layer_by_layer(chain, x)):
            yield i, chain.layers[i], y.numpy()


@contextmanager
def without_dropout(model: Layer) -> Iterator[None]:
    """A block in which dropout inside lets everything pass."""
    before = [(layer, layer.active) for layer in model.layers_inside() if isinstance(layer, Dropout)]
    try:
        for layer, _ in before:
            layer.active = False
        yield
    finally:
        for layer, active in before:
            layer.active = active


@contextmanager
def untouched(model: Layer) -> Iterator[None]:
    """A block in which the network may run in training mode, and behind which its running statistics are as before."""
    before = [(tensor, tensor.array) for tensor in model.tensors().values()]
    try:
        yield
    finally:
        for tensor, array in before:
            if tensor.array is not array:  # setting it counts as a change to those who wait for a backward pass
                tensor.array = array


@ieee
def signal_of(y: numpy.ndarray[Any, Any]) -> float:
    """How much the numbers of a batch (n, ...) differ from image to image, on average."""
    return float(y.std(axis=0, dtype=numpy.float64).mean(dtype=numpy.float64))
