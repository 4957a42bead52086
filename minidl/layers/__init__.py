"""Layers: functions that own their parameters."""

from minidl.layers.chain import Chain, SkipConnection
from minidl.layers.conv import Conv
from minidl.layers.dense import Dense
from minidl.layers.dropout import Dropout
from minidl.layers.initialisers import glorot_normal, glorot_uniform, he_normal, he_uniform
from minidl.layers.layer import Layer
from minidl.layers.normalisation import BatchNorm
from minidl.layers.pooling import GlobalMeanPool, MaxPool, MeanPool

__all__ = [
    "BatchNorm", "Chain", "Conv", "Dense", "Dropout", "GlobalMeanPool", "Layer", "MaxPool", "MeanPool",
    "SkipConnection", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform",
]  # fmt: skip
