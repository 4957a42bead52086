"""A Chain's weights in Keras's files. The layouts are the same: both keep channels and features last.

Conv             Conv2D                 kernel, bias                    weight, bias
ConvTranspose    Conv2DTranspose        kernel, bias                    weight, bias
Dense            Dense                  kernel, bias                    weight, bias
BatchNorm        BatchNormalization     gamma, beta, moving_mean/variance    scale, shift, mean, variance
GroupNorm        GroupNormalization     gamma, beta                     scale, shift
LayerNorm        LayerNormalization     gamma, beta                     scale, shift
Chain in it      Sequential             layers of its own
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from minidl.interchange.keras_files import (
    ARCHIVE_SUFFIX,
    Weights,
    layers_of_config,
    numbered_names,
    read_keras_archive,
    read_weights_h5,
    write_weights_h5,
)
from minidl.interchange.shared import shared_once
from minidl.layers import BatchNorm, Chain, Conv, ConvTranspose, Dense, GroupNorm, Layer, LayerNorm
from minidl.layers.layer import check_same, is_plain, name_of
from minidl.tensor import Tensor

CLASSES: dict[type[Layer], tuple[str, tuple[str, ...]]] = {
    Conv: ("Conv2D", ("weight", "bias")),
    ConvTranspose: ("Conv2DTranspose", ("weight", "bias")),
    Dense: ("Dense", ("weight", "bias")),
    BatchNorm: ("BatchNormalization", ("scale", "shift", "mean", "variance")),
    GroupNorm: ("GroupNormalization", ("scale", "shift")),
    LayerNorm: ("LayerNormalization", ("scale", "shift")),
}
NOT_WEIGHTS = "seed_generator"  # the state of Keras's random numbers, which lies among the weights


def save_keras_weights(path: str | Path, model: Chain, names: Sequence[str] | None = None) -> None:
    """Write NAME.weights.h5, which Keras's model.load_weights(path) takes for a Sequential of the same layers.

    A Chain in the Chain stands for a Sequential in the Sequential. For a functional model, `names` says what each layer
    with weights is called in Keras's file, in the order of this network, residual blocks opened: ["conv2d",
    "batch_normalization", "conv2d_1", ...]. ValueError for layers that Keras has no counterpart of.
    """
    write_weights_h5(path, [(name, [x.numpy() for x in tensors]) for name, tensors in _places(model, names).items()])


def load_keras_weights(path: str | Path, model: Chain, names: Sequence[str] | None = None) -> None:
    """Load what Keras's model.save_weights() or model.save() wrote for the same layers; `names` as when saving.

    A weights file does not say with which epsilon Keras normalises, by default 1e-3, not 1e-5: make the network with
    BatchNorm(..., eps=1e-3). FileNotFoundError for a missing file; ValueError for one that is damaged, or of another
    network, and for a .keras file with another epsilon than the model's; then nothing has been changed.
    """
    places = _places(model, names)
    config = None
    if str(path).endswith(ARCHIVE_SUFFIX):
        config, weights = read_keras_archive(path)
    else:
        weights = read_weights_h5(path)
    came = {name: arrays for name, arrays in weights.items() if not name.endswith(NOT_WEIGHTS)}
    try:
        check_same(_numbered(places), _numbered(came))
        if config is not None:
            _check_epsilon(config, dict(_named_layers(model, names)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    pairs = [(name, x, array) for name, tensors in places.items() for x, array in zip(tensors, came[name], strict=True)]
    model.load(shared_once(str(path), model, pairs))


def _places(model: Chain, names: Sequence[str] | None) -> dict[str, list[Tensor]]:
    """The tensors of each layer by Keras's name for it; ValueError when one has none."""
    places = {}
    for name, layer in _named_layers(model, names):
        if isinstance(layer, ConvTranspose) and layer.groups > 1:
            raise ValueError(f"Keras has no transposed convolution in groups: {name_of(layer)}")
        tensors = [getattr(layer, attribute) for attribute in CLASSES[_kind_of(layer)][1]]
        places[name] = [x for x in tensors if x is not None]
    placed = {id(x) for tensors in places.values() for x in tensors}
    for name, x in model.tensors().items():
        if id(x) not in placed:
            raise ValueError(f"Keras has no counterpart of the layer of {name}; it has those of "
                             f"{', '.join(kind.__name__ for kind in CLASSES)}")  # fmt: skip
    return places


def _named_layers(model: Chain, names: Sequence[str] | None) -> list[tuple[str, Layer]]:
    if names is None:
        _class_of(model)  # for its check
        return list(_of_sequential(model, ""))
    layers = [layer for layer in model.layers_inside() if _kind_of(layer) in CLASSES]
    if len(names) != len(layers) or len(set(names)) != len(names):
        raise ValueError(f"expected {len(layers)} different names, one for each layer with weights, got {list(names)}")
    return list(zip(names, layers, strict=True))


def _of_sequential(chain: Chain, start: str) -> Iterator[tuple[str, Layer]]:
    """The layers with weights by the names that Keras gives them in a Sequential."""
    layers = [layer for layer in chain.layers if isinstance(layer, Chain) or _owns_tensors(layer)]
    names = numbered_names(_class_of(layer) for layer in layers)
    for name, layer in zip(names, layers, strict=True):
        if isinstance(layer, Chain):
            yield from _of_sequential(layer, f"{start}{name}/layers/")
        elif isinstance(layer, Layer):
            yield start + name, layer


def _owns_tensors(layer: Callable[..., Any]) -> bool:
    return isinstance(layer, Layer) and bool(layer.tensors())


def _class_of(layer: Any) -> str:
    if is_plain(layer, Chain):
        return "Sequential"
    kind = _kind_of(layer)
    if kind not in CLASSES:
        raise ValueError(f"Keras's Sequential has no counterpart of {name_of(layer)}; for a functional model, say with "
                         f"names=[...] what the layers with weights are called in its file")  # fmt: skip
    return CLASSES[kind][0]


def _kind_of(layer: object) -> type:
    """The class of minidl that a layer is of; of a class of yours that computes something else, that one."""
    return next((kind for kind in CLASSES if is_plain(layer, kind)), type(layer))


def _numbered(layers: dict[str, list[Tensor]] | Weights) -> dict[str, Any]:
    """Each array by its own name: conv2d/vars/0."""
    return {f"{name}/vars/{number}": x for name, arrays in layers.items() for number, x in enumerate(arrays)}


def _check_epsilon(config: dict[str, Any], layers: dict[str, Layer]) -> None:
    for name, kind, arguments in layers_of_config(config):
        ours = getattr(layers.get(name), "eps", None)
        if ours is not None and arguments.get("epsilon", ours) != ours:
            theirs = arguments["epsilon"]
            raise ValueError(f"{kind} {name} has epsilon {theirs}, the model's {ours}; make that with eps={theirs}")
