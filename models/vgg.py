"""VGG (Simonyan and Zisserman 2014) for images of 32 x 32 pixels, from one table.

A number is a 3 x 3 convolution with so many filters, "pool" halves the image. Five pools bring 32 x 32 pixels down to
one, so the classifier starts from 512 numbers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from minidl import functions as f
from minidl.layers import BatchNorm, Chain, Conv, Dense, Dropout, MaxPool, glorot_uniform, he_normal

LAYERS: dict[str, Sequence[int | str]] = {
    "vgg11": [64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool"],
    "vgg13": [64, 64, "pool", 128, 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool"],
    "vgg16": [64, 64, "pool", 128, 128, "pool", *[256] * 3, "pool", *[512] * 3, "pool", *[512] * 3, "pool"],
    "vgg19": [64, 64, "pool", 128, 128, "pool", *[256] * 4, "pool", *[512] * 4, "pool", *[512] * 4, "pool"],
}


def vgg11(classes: int = 10, batchnorm: bool = True) -> Chain:
    """VGG with 8 convolutions and 3 dense layers: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _vgg("vgg11", classes, batchnorm)


def vgg13(classes: int = 10, batchnorm: bool = True) -> Chain:
    """VGG with 10 convolutions and 3 dense layers: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _vgg("vgg13", classes, batchnorm)


def vgg16(classes: int = 10, batchnorm: bool = True) -> Chain:
    """VGG with 13 convolutions and 3 dense layers: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _vgg("vgg16", classes, batchnorm)


def vgg19(classes: int = 10, batchnorm: bool = True) -> Chain:
    """VGG with 16 convolutions and 3 dense layers: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _vgg("vgg19", classes, batchnorm)


def _vgg(name: str, classes: int, batchnorm: bool) -> Chain:
    """Without normalisation He's weights keep the signal alive behind relu; with it, Glorot's smaller ones will do."""
    init = glorot_uniform if batchnorm else he_normal
    layers: list[Callable[..., Any]] = []
    channels = 3
    for entry in LAYERS[name]:
        if isinstance(entry, str):
            layers.append(MaxPool((2, 2)))
            continue
        activation = f.identity if batchnorm else f.relu
        layers.append(Conv((3, 3), (channels, entry), activation, pad=1, init=init))
        if batchnorm:
            layers.append(BatchNorm(entry, f.relu))
        channels = entry
    return Chain(
        *layers,
        f.flatten,
        Dense(channels, 4096, f.relu, init=init),
        Dropout(0.5),
        Dense(4096, 4096, f.relu, init=init),
        Dropout(0.5),
        Dense(4096, classes, init=init),
    )


# The article's networks -----------------------------------------------------------------------------------------------
# 13 convolutions with Glorot's weights, and softmax at the end. Kept to show what goes wrong: without normalisation the
# signal shrinks from layer to layer until all images look the same, and the loss stays at ln 10 = 2.3026.


def article_flux() -> Chain:
    """The Flux network of the article: one BatchNorm(512) behind the convolutions, and two Dropout(0.5)."""
    return Chain(
        *_article_convolutions(),
        BatchNorm(512),
        f.flatten,
        Dense(512, 4096, f.relu),
        Dropout(0.5),
        Dense(4096, 4096, f.relu),
        Dropout(0.5),
        Dense(4096, 10),
        f.softmax,
    )


def article_keras() -> Chain:
    """The Keras network of the article: the same, without normalisation and without dropout."""
    return Chain(
        *_article_convolutions(),
        f.flatten,
        Dense(512, 4096, f.relu),
        Dense(4096, 4096, f.relu),
        Dense(4096, 10),
        f.softmax,
    )


def _article_convolutions() -> list[Callable[..., Any]]:
    layers: list[Callable[..., Any]] = []
    channels = 3
    for entry in LAYERS["vgg16"]:
        if isinstance(entry, str):
            layers.append(MaxPool((2, 2)))
        else:
            layers.append(Conv((3, 3), (channels, entry), f.relu, pad=(1, 1), stride=(1, 1)))
            channels = entry
    return layers
