"""Residual networks (He et al. 2015) from one table: each block adds what it has learned to what it was given.

Four stages of blocks, with 64, 128, 256 and 512 filters; the first block of stages 2 to 4 halves the image. A block is
two 3 x 3 convolutions, each with its normalisation; relu comes behind the addition. Where a block changes the shape,
its input goes through a 1 x 1 convolution before the two are added (the paper's option B).
"""

from collections.abc import Callable
from typing import Any

from minidl import functions as f
from minidl.layers import (
    BatchNorm,
    Chain,
    Conv,
    Dense,
    GlobalMeanPool,
    MaxPool,
    Parallel,
    SkipConnection,
    he_normal,
)

FILTERS = (64, 128, 256, 512)  # of the stages
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}  # in each stage


def resnet18(classes: int = 10, imagenet_stem: bool = False) -> Chain:
    """ResNet of 17 convolutions and a dense layer: images (n, 32, 32, 3) -> scores (n, classes).

    The first convolution keeps every pixel, as is usual for CIFAR-10. With `imagenet_stem` it is the paper's, 7 x 7
    with stride 2 and a pool behind it, for images of 224 x 224 pixels. Either network takes other sizes, too.
    """
    return _resnet("resnet18", classes, imagenet_stem)


def resnet34(classes: int = 10, imagenet_stem: bool = False) -> Chain:
    """ResNet of 33 convolutions and a dense layer: images (n, 32, 32, 3) -> scores (n, classes); see resnet18()."""
    return _resnet("resnet34", classes, imagenet_stem)


def _resnet(name: str, classes: int, imagenet_stem: bool) -> Chain:
    channels = FILTERS[0]
    size, stride = (7, 2) if imagenet_stem else (3, 1)
    layers = _conv_norm(size, 3, channels, stride, f.relu)
    if imagenet_stem:
        layers.append(MaxPool((3, 3), stride=2, pad=1))
    for stage, (filters, blocks) in enumerate(zip(FILTERS, BLOCKS[name], strict=True)):
        for block in range(blocks):
            halves = stage > 0 and block == 0
            layers += [_block(channels, filters, 2 if halves else 1), f.relu]
            channels = filters
    return Chain(*layers, GlobalMeanPool(), f.flatten, Dense(channels, classes, init=he_normal))


def _block(channels: int, filters: int, stride: int) -> Callable[..., Any]:
    body = Chain(*_conv_norm(3, channels, filters, stride, f.relu), *_conv_norm(3, filters, filters, 1, f.identity))
    if (channels, stride) == (filters, 1):
        return SkipConnection(body, f.add)
    return Parallel(f.add, body, Chain(*_conv_norm(1, channels, filters, stride, f.identity)))


def _conv_norm(
    size: int, channels: int, filters: int, stride: int, activation: Callable[..., Any]
) -> list[Callable[..., Any]]:
    """A convolution that keeps the image's size, but for its stride, and a BatchNorm. That makes a bias superfluous."""
    convolution = Conv((size, size), (channels, filters), stride=stride, pad=size // 2, bias=False, init=he_normal)
    return [convolution, BatchNorm(filters, activation)]
