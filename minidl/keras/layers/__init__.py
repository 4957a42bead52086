"""Keras's layers."""

from minidl.keras.layers.convolution import Conv2D, Conv2DTranspose
from minidl.keras.layers.dense import (
    ELU,
    Activation,
    Dense,
    Dropout,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
    SpatialDropout2D,
)
from minidl.keras.layers.input import Input, InputLayer
from minidl.keras.layers.layer import Layer
from minidl.keras.layers.merging import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    maximum,
    minimum,
    multiply,
    subtract,
)
from minidl.keras.layers.normalisation import BatchNormalization, GroupNormalization, LayerNormalization
from minidl.keras.layers.pooling import (
    AveragePooling2D,
    AvgPool2D,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    GlobalMaxPooling2D,
    MaxPool2D,
    MaxPooling2D,
)
from minidl.keras.layers.preprocessing import Normalization, RandomBrightness, RandomCrop, RandomFlip, Rescaling
from minidl.keras.layers.reshaping import Cropping2D, Flatten, Permute, Reshape, UpSampling2D, ZeroPadding2D
from minidl.keras.unsupported import LAYERS, refusing

# Keras's own names
Convolution2D, Convolution2DTranspose = Conv2D, Conv2DTranspose

__all__ = [
    "ELU", "Activation", "Add", "Average", "AveragePooling2D", "AvgPool2D", "BatchNormalization", "Concatenate",
    "Conv2D", "Conv2DTranspose", "Convolution2D", "Convolution2DTranspose", "Cropping2D", "Dense", "Dropout", "Flatten",
    "GlobalAveragePooling2D", "GlobalAvgPool2D", "GlobalMaxPool2D", "GlobalMaxPooling2D", "GroupNormalization", "Input",
    "InputLayer", "Layer", "LayerNormalization", "LeakyReLU", "MaxPool2D", "MaxPooling2D", "Maximum", "Minimum",
    "Multiply", "Normalization", "PReLU", "Permute", "RandomBrightness", "RandomCrop", "RandomFlip", "ReLU",
    "Rescaling", "Reshape", "Softmax", "SpatialDropout2D", "Subtract", "UpSampling2D", "ZeroPadding2D", "add",
    "average", "concatenate", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip

__getattr__ = refusing(__name__, LAYERS)
