"""A network and data so small that a test can train: digits of 8 x 8 pixels, with everything that makes runs differ."""

import numpy as np

import minidl
from minidl import BatchNorm, Chain, Conv, Dense, Dropout, MaxPool, flatten, relu
from minidl.data import DataLoader, Digits, RandomCrop, onehotbatch, to_float
from minidl.losses import logitcrossentropy
from minidl.optimisers import Momentum
from minidl.schedules import cosine
from minidl.training import Training


def digits(count, split="train"):
    """(images (count, 8, 8, 1) uint8, one-hot labels): real digits, without their enlargement to 32 x 32."""
    images, labels = Digits(split)[:count]
    return images[:, ::4, ::4, :1], onehotbatch(labels, range(10))


def small_network():
    return Chain(
        Conv((3, 3), (1, 8), pad=1), BatchNorm(8, relu), MaxPool((2, 2)), flatten,
        Dense(128, 32, relu), Dropout(0.25), Dense(32, 10),
    )  # fmt: skip


def small_training(seed=0, epochs=2, count=36, batchsize=8, **options):
    """A Training with shuffling, augmentation, dropout, batch norm, momentum and a schedule; 5 batches an epoch."""
    minidl.seed(seed)
    data = DataLoader(digits(count), batchsize, shuffle=True, seed=seed, augment=[RandomCrop(1), to_float])
    validation = DataLoader(digits(20, "test"), 8, augment=[to_float])
    schedule = cosine(0.05, epochs * len(data), warmup=1)
    return Training(small_network(), logitcrossentropy, data, Momentum(), epochs, validation, schedule, **options)


def copies(model):
    return {name: x.numpy().copy() for name, x in model.tensors().items()}


def assert_equal(arrays, others):
    assert arrays.keys() == others.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], err_msg=name)


def without_clock(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]
