"""Layers: functions that own their parameters."""

from minidl.layers.chain import Chain, Parallel, SkipConnection, activations
from minidl.layers.conv import Conv, ConvTranspose
from minidl.layers.dense import Dense
from minidl.layers.dropout import Dropout
from minidl.layers.initialisers import glorot_normal, glorot_uniform, he_normal, he_uniform
from minidl.layers.layer import Layer, freeze, testmode, thaw, trainmode
from minidl.layers.normalisation import BatchNorm, GroupNorm, LayerNorm
from minidl.layers.padding import SamePad
from minidl.layers.pooling import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    GlobalMaxPool,
    GlobalMeanPool,
    MaxPool,
    MeanPool,
)
from minidl.layers.upsampling import Upsample

__all__ = [
    "AdaptiveMaxPool", "AdaptiveMeanPool", "BatchNorm", "Chain", "Conv", "ConvTranspose", "Dense", "Dropout",
    "GlobalMaxPool", "GlobalMeanPool", "GroupNorm", "Layer", "LayerNorm", "MaxPool", "MeanPool", "Parallel", "SamePad",
    "SkipConnection", "Upsample", "activations", "freeze", "glorot_normal", "glorot_uniform", "he_normal",
    "he_uniform", "testmode", "thaw", "trainmode",
]  # fmt: skip
