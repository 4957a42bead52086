"""The networks of minidl.models, written in Keras's way: the same layers and, with copied weights, the same scores."""

from __future__ import annotations

from typing import Any

from minidl.keras.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    ReLU,
    ZeroPadding2D,
)
from minidl.keras.models import Model, Sequential
from minidl.models.resnet import BLOCKS, FILTERS
from minidl.models.vgg import LAYERS

IMAGES = (32, 32, 3)
HE: dict[str, Any] = {"kernel_initializer": "he_normal"}
NORM: dict[str, Any] = {"epsilon": 1e-5, "momentum": 0.9}  # minidl's defaults, by Keras's names


def vgg16(classes: int = 10, batchnorm: bool = True) -> Sequential:
    """VGG (Simonyan and Zisserman 2014) with 13 convolutions: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _vgg("vgg16", classes, batchnorm)


def vgg19(classes: int = 10, batchnorm: bool = True) -> Sequential:
    """VGG with 16 convolutions: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _vgg("vgg19", classes, batchnorm)


def _vgg(name: str, classes: int, batchnorm: bool) -> Sequential:
    model = Sequential([Input(IMAGES)], name=name)
    init = "glorot_uniform" if batchnorm else "he_normal"
    for entry in LAYERS[name]:
        if isinstance(entry, str):
            model.add(MaxPooling2D())
            continue
        model.add(Conv2D(entry, 3, padding="same", kernel_initializer=init))
        if batchnorm:
            model.add(BatchNormalization(**NORM))
        model.add(ReLU())
    model.add(Flatten())
    for _ in range(2):
        model.add(Dense(4096, activation="relu", kernel_initializer=init))
        model.add(Dropout(0.5))
    model.add(Dense(classes, kernel_initializer=init))
    return model


def resnet18(classes: int = 10) -> Model:
    """ResNet (He et al. 2015) of 17 convolutions and a dense layer: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _resnet("resnet18", classes)


def resnet34(classes: int = 10) -> Model:
    """ResNet of 33 convolutions and a dense layer: images (n, 32, 32, 3) -> scores (n, classes)."""
    return _resnet("resnet34", classes)


def _resnet(name: str, classes: int) -> Model:
    inputs = Input(IMAGES)
    x = ReLU()(_conv_norm(inputs, 3, FILTERS[0], 1))
    for stage, (filters, blocks) in enumerate(zip(FILTERS, BLOCKS[name], strict=True)):
        for block in range(blocks):
            x = _block(x, filters, 2 if stage > 0 and block == 0 else 1)
    x = GlobalAveragePooling2D()(x)
    return Model(inputs, Dense(classes, kernel_initializer="he_normal")(x), name=name)


def _block(x: Any, filters: int, stride: int) -> Any:
    """Two convolutions, and what comes in added to them; through a 1 x 1 convolution where the shape changes."""
    body = ReLU()(_conv_norm(x, 3, filters, stride))
    body = _conv_norm(body, 3, filters, 1)
    if (x.shape[-1], stride) != (filters, 1):
        x = _conv_norm(x, 1, filters, stride)
    return ReLU()(Add()([body, x]))


def _conv_norm(x: Any, size: int, filters: int, stride: int) -> Any:
    padding = "same" if stride == 1 else "valid"
    if stride == 2 and size == 3:
        x = ZeroPadding2D(1)(x)  # one pixel on each side, where "same" would put one behind
    convolution = Conv2D(filters, size, strides=stride, padding=padding, use_bias=False, **HE)
    return BatchNormalization(**NORM)(convolution(x))


def small_cnn(classes: int = 10) -> Sequential:
    """Three blocks of convolution, batch norm and pool: images (n, 32, 32, 3) -> scores (n, classes)."""
    model = Sequential([Input(IMAGES)], name="small_cnn")
    for filters in (32, 64, 128):
        model.add(Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"))
        model.add(BatchNormalization(**NORM))
        model.add(ReLU())
        model.add(MaxPooling2D())
    model.add(Flatten())
    model.add(Dense(classes, kernel_initializer="he_normal"))
    return model


def lenet(classes: int = 10) -> Sequential:
    """LeNet-5 (LeCun et al. 1998) as it is written today: images (n, 32, 32, 3) -> scores (n, classes)."""
    return Sequential(
        [
            Input(IMAGES),
            Conv2D(6, 5, activation="relu", **HE),
            MaxPooling2D(),
            Conv2D(16, 5, activation="relu", **HE),
            MaxPooling2D(),
            Flatten(),
            Dense(120, activation="relu", **HE),
            Dense(84, activation="relu", **HE),
            Dense(classes, **HE),
        ],
        name="lenet",
    )


def mlp(classes: int = 10) -> Sequential:
    """Three dense layers: images (n, 32, 32, 3) -> scores (n, classes)."""
    return Sequential(
        [
            Input(IMAGES),
            Flatten(),
            Dense(512, activation="relu", **HE),
            Dense(256, activation="relu", **HE),
            Dense(classes, **HE),
        ],
        name="mlp",
    )
