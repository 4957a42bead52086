"""Weights in torchvision's names and layouts: VGG and ResNet, in safetensors files.

torchvision numbers the modules of a VGG, activations and pools included, and names the blocks of a ResNet:

    features.0.weight     classifier.0.weight     conv1.weight     layer2.0.downsample.0.weight     fc.weight

Both kinds of names follow from the order of the layers, so that they are found by walking through the network. Layouts:

    Conv        (kh, kw, c, f)     here,  (f, c, kh, kw)     there
    Dense       (in, out)          here,  (out, in)          there
    BatchNorm   scale, shift, mean, variance  here,  weight, bias, running_mean, running_var  there

Behind flatten the rows of a dense weight are the numbers of an image in the order h, w, c here and c, h, w there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from minidl.backend import Array
from minidl.functions import flatten, identity
from minidl.interchange.shared import shared_once
from minidl.layers import (
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    Dense,
    GlobalMeanPool,
    Layer,
    Parallel,
    SkipConnection,
)
from minidl.layers.layer import check_same, is_plain, name_of
from minidl.tensor import Tensor
from minidl.training.checkpoint import replace_file

Named = tuple[str, Layer]

AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}  # of an array here, in the order they have there, by their number
BATCH_COUNT = ".num_batches_tracked"  # torchvision's BatchNorm counts batches, to no effect in its networks


def save_torchvision(path: str | Path, model: Chain, input_shape: Sequence[int] | None = None) -> None:
    """Write the network's weights to a safetensors file that fits torchvision's VGG or ResNet of the same layers.

    There: module.load_state_dict(safetensors.torch.load_file(path)). `input_shape` (n, h, w, c), that of the network's
    input, is needed where flatten meets images of more than one pixel. ValueError for layers that torchvision's
    networks have no name for.
    """
    slots = _slots(model, input_shape)
    arrays = {name: slot.theirs() for name, slot in slots.items()}
    for name in slots:
        if name.endswith(".running_mean"):
            arrays[name.removesuffix(".running_mean") + BATCH_COUNT] = numpy.array(0)
    replace_file(path, lambda temporary: save_file(arrays, temporary, {"format": "pt"}))


def load_torchvision(path: str | Path, model: Chain, input_shape: Sequence[int] | None = None) -> None:
    """Load a safetensors file with the weights of torchvision's VGG or ResNet of the same layers into `model`.

    Made there by safetensors.torch.save_file(module.state_dict(), path). `input_shape` as in save_torchvision().
    FileNotFoundError for a missing file; ValueError for one that is damaged or of another network, and for layers that
    torchvision has no name for; then nothing has been changed.
    """
    slots = _slots(model, input_shape)
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no weights there")
    try:
        came = {name: array for name, array in load_file(path).items() if not name.endswith(BATCH_COUNT)}
        check_same({name: slot.turned() for name, slot in slots.items()}, came)
    except (SafetensorError, TypeError) as error:  # a TypeError for numbers that NumPy does not know, such as bfloat16
        raise ValueError(f"{path}: expected float32 weights in a safetensors file; it is damaged or foreign: "
                         f"{error}") from None  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    pairs = [(name, slot.tensor, slot.ours(came[name])) for name, slot in slots.items()]
    model.load(shared_once(str(path), model, pairs))


def torchvision_names(model: Chain) -> dict[str, Layer]:
    """Each layer that owns weights by torchvision's name: "features.0", "layer1.0.conv2", "fc", ..., in order.

    A network with residual blocks (SkipConnection, Parallel) is named as a ResNet, another one as a VGG.
    """
    layers = list(_opened(model))
    has_blocks = any(_is_block(layer) for layer in layers)
    return dict(_resnet_names(layers) if has_blocks else _vgg_names(layers))


# Names ----------------------------------------------------------------------------------------------------------------


def _vgg_names(layers: Iterable[Callable[..., Any]]) -> Iterator[Named]:
    """Places among the features, and behind flatten in the classifier. An activation inside a layer takes one more."""
    part, place = "features", 0
    for layer in layers:
        if layer is flatten:
            part, place = "classifier", 0
        elif not isinstance(layer, AdaptiveMeanPool | GlobalMeanPool):  # torchvision's avgpool stands between the parts
            if isinstance(layer, Layer) and layer.tensors():
                yield f"{part}.{place}", layer
            place += 1 if getattr(layer, "activation", identity) is identity else 2


def _resnet_names(layers: Iterable[Callable[..., Any]]) -> Iterator[Named]:
    """conv1 and bn1 first, then layerS.B for block B of stage S, fc last. A stage ends where the width changes."""
    stage, block, width = 0, 0, 0
    outside: list[Layer] = []  # the blocks
    for layer in layers:
        if _is_block(layer):
            main, shortcut = _branches(layer)
            block += 1
            if _width(main) != width:
                stage, block, width = stage + 1, 0, _width(main)
            name = f"layer{stage}.{block}"
            yield from ((f"{name}.{inner}", part) for inner, part in _numbered(main))
            yield from ((f"{name}.downsample.{place}", part) for place, part in enumerate(shortcut))
        elif isinstance(layer, Dense):
            yield "fc", layer
        elif isinstance(layer, Layer) and layer.tensors():
            outside.append(layer)
    yield from _numbered(outside)


def _numbered(layers: Iterable[Layer]) -> Iterator[Named]:
    """conv1, bn1, conv2, ..."""
    counts = {"conv": 0, "bn": 0}
    for layer in layers:
        kind = "bn" if isinstance(layer, BatchNorm) else "conv"
        counts[kind] += 1
        yield f"{kind}{counts[kind]}", layer


def _is_block(layer: Callable[..., Any]) -> TypeGuard[SkipConnection | Parallel]:
    return is_plain(layer, SkipConnection) or is_plain(layer, Parallel)


def _branches(block: SkipConnection | Parallel) -> tuple[list[Layer], list[Layer]]:
    """The layers with weights of a residual block's main path, which has more of them, and of its shortcut."""
    parts = [block.layer] if isinstance(block, SkipConnection) else block.layers
    branches = sorted((_owners(part) for part in parts), key=len, reverse=True)
    main, shortcut = (*branches, [])[:2]
    inner = [part for branch in branches for part in branch]
    if (
        len(branches) > 2
        or len(main) == len(shortcut)
        or not all(is_plain(x, Conv) or is_plain(x, BatchNorm) for x in inner)
    ):
        raise ValueError(f"torchvision: expected a block of convolutions and BatchNorm beside a shortcut of fewer, "
                         f"got {name_of(block)}")  # fmt: skip
    return main, shortcut


def _owners(part: Callable[..., Any]) -> list[Layer]:
    return [layer for layer in _opened(part) if isinstance(layer, Layer) and layer.tensors()]


def _opened(part: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The layers of a Chain, those of Chains inside it among them."""
    if is_plain(part, Chain):
        for layer in part.layers:
            yield from _opened(layer)
    else:
        yield part


def _width(layers: Iterable[Layer]) -> int:
    """How many channels come out."""
    *_, last = (layer for layer in layers if isinstance(layer, Conv))
    return last.weight.shape[-1]


# Layouts --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Slot:
    """A tensor of the network; `image` (h, w, c) when its rows are the numbers of an image."""

    tensor: Tensor
    image: tuple[int, ...] | None = None

    def turned(self) -> Array:
        """In their shape, but for the order of pixels."""
        return self.tensor.numpy().transpose(AXES[self.tensor.ndim])

    def theirs(self) -> Array:
        array = self.turned()
        if self.image is not None:
            array = array.reshape(-1, *self.image).transpose(0, 3, 1, 2).reshape(array.shape)
        return numpy.ascontiguousarray(array)

    def ours(self, array: Array) -> Array:
        if self.image is not None:
            h, w, c = self.image
            array = array.reshape(-1, c, h, w).transpose(0, 2, 3, 1).reshape(array.shape)
        return array.transpose(numpy.argsort(AXES[array.ndim]))


def _slots(model: Chain, input_shape: Sequence[int] | None) -> dict[str, _Slot]:
    """The place of each tensor by torchvision's full name; ValueError when one has none."""
    first, image = _behind_flatten(model, input_shape)
    slots = {}
    for name, layer in torchvision_names(model).items():
        if is_plain(layer, BatchNorm):
            slots[f"{name}.weight"], slots[f"{name}.bias"] = _Slot(layer.scale), _Slot(layer.shift)
            slots[f"{name}.running_mean"], slots[f"{name}.running_var"] = _Slot(layer.mean), _Slot(layer.variance)
        elif is_plain(layer, Conv) or is_plain(layer, Dense):
            slots[f"{name}.weight"] = _Slot(layer.weight, image if layer is first else None)
            if layer.bias is not None:
                slots[f"{name}.bias"] = _Slot(layer.bias)
        else:
            raise ValueError(f"torchvision: its VGG and ResNet have Conv, BatchNorm and Dense, no {name_of(layer)}; "
                             f"use save_checkpoint or export_onnx")  # fmt: skip
    placed = {id(slot.tensor) for slot in slots.values()}
    for name, x in model.tensors().items():
        if id(x) not in placed:
            raise ValueError(f"torchvision: its VGG and ResNet have no name for {name}")
    return slots


def _behind_flatten(
    model: Chain, input_shape: Sequence[int] | None
) -> tuple[Callable[..., Any] | None, tuple[int, ...] | None]:
    """The dense layer behind flatten, and (h, w, c) of the images that flatten takes apart for it; None for 1 x 1."""
    layers = list(_opened(model))
    if flatten not in layers:
        return None, None
    before, after = layers[: layers.index(flatten)], layers[layers.index(flatten) :]
    dense = next((layer for layer in after if isinstance(layer, Dense)), None)
    channels = [x.weight.shape[-1] for x in Chain(*before).layers_inside() if isinstance(x, Conv)]
    if dense is None or channels[-1:] == [dense.weight.shape[0]]:
        return None, None  # images of one pixel
    if input_shape is None:
        raise ValueError(f"torchvision: the rows of {name_of(dense)} are pixels in another order there; "
                         f"give input_shape=(n, h, w, c), the shape of the network's input")  # fmt: skip
    return dense, Chain(*before).outputsize(input_shape)[1:]
