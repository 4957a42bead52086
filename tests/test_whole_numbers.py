"""Whole numbers may be Python's or NumPy's; True, 2.5 and "2" are refused at once, wherever a count is asked for."""

import numpy as np
import pytest

import minidl
from minidl import keras, losses, schedules
from minidl import layers as L
from minidl.data import Cutout, DataLoader, RandomCrop
from minidl.optimisers import Descent
from minidl.randomness import current_seed
from minidl.training import epochs, fit

PAIRS = np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
LOADER = DataLoader(PAIRS, batchsize=2)


def keras_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


WANTED = {
    "seed": minidl.seed,
    "Dense inputs": lambda n: L.Dense(n, 3),
    "Dense outputs": lambda n: L.Dense(3, n),
    "Conv size": lambda n: L.Conv((n, n), (2, 2)),
    "Conv inputs": lambda n: L.Conv((3, 3), (n, 2)),
    "Conv outputs": lambda n: L.Conv((3, 3), (2, n)),
    "Conv stride": lambda n: L.Conv((3, 3), (2, 2), stride=n),
    "Conv pad": lambda n: L.Conv((3, 3), (2, 2), pad=n),
    "Conv dilation": lambda n: L.Conv((3, 3), (2, 2), dilation=n),
    "Conv groups": lambda n: L.Conv((3, 3), (2, 2), groups=n),
    "ConvTranspose outputs": lambda n: L.ConvTranspose((3, 3), (2, n)),
    "MaxPool size": lambda n: L.MaxPool(n),
    "MeanPool stride": lambda n: L.MeanPool(2, stride=n),
    "AdaptiveMaxPool": lambda n: L.AdaptiveMaxPool((n, 2)),
    "BatchNorm": lambda n: L.BatchNorm(n),
    "GroupNorm channels": lambda n: L.GroupNorm(n, 1),
    "GroupNorm groups": lambda n: L.GroupNorm(2, n),
    "LayerNorm": lambda n: L.LayerNorm(n),
    "LayerNorm sizes": lambda n: L.LayerNorm((3, n)),
    "Upsample": lambda n: L.Upsample(n),
    "DataLoader batchsize": lambda n: DataLoader(np.arange(4), batchsize=n),
    "DataLoader seed": lambda n: DataLoader(np.arange(4), seed=n),
    "DataLoader prefetch": lambda n: DataLoader(np.arange(4), prefetch=n),
    "DataLoader epoch": lambda n: list(DataLoader(np.arange(4)).batches(n)),
    "DataLoader start": lambda n: list(DataLoader(np.arange(4)).batches(0, n)),
    "RandomCrop": RandomCrop,
    "Cutout": Cutout,
    "cosine steps": lambda n: schedules.cosine(0.1, n),
    "cosine warmup": lambda n: schedules.cosine(0.1, 9, n),
    "one_cycle steps": lambda n: schedules.one_cycle(0.1, n),
    "exponential every": lambda n: schedules.exponential(0.1, every=n),
    "warmed_up": lambda n: schedules.warmed_up(schedules.constant(0.1), n),
    "fit": lambda n: fit(L.Chain(L.Dense(2, 1)), losses.mse, LOADER, Descent(0.1), n),
    "epochs": lambda n: list(epochs(n)),
    "reshape": lambda n: minidl.Tensor(np.zeros(4)).reshape(n, 2),
    "sum over an axis": lambda n: minidl.Tensor(np.zeros((2, 2, 3))).sum(n),
    "keras fit epochs": lambda n: keras_model().fit(*PAIRS, epochs=n, verbose=0),
    "keras fit initial_epoch": lambda n: keras_model().fit(*PAIRS, epochs=3, initial_epoch=n, verbose=0),
    "keras fit batch_size": lambda n: keras_model().fit(*PAIRS, batch_size=n, verbose=0),
    "keras fit steps_per_epoch": lambda n: keras_model().fit(*PAIRS, batch_size=2, steps_per_epoch=n, verbose=0),
    "keras fit validation_freq": lambda n: keras_model().fit(
        *PAIRS, epochs=2, validation_data=PAIRS, validation_freq=n, verbose=0
    ),
    "keras evaluate steps": lambda n: keras_model().evaluate(*PAIRS, batch_size=2, steps=n, verbose=0),
    "keras predict batch_size": lambda n: keras_model().predict(PAIRS[0], batch_size=n, verbose=0),
    "keras Dense": lambda n: keras.layers.Dense(n),
    "keras Conv2D filters": lambda n: keras.layers.Conv2D(n, 3),
    "keras Conv2D kernel_size": lambda n: keras.layers.Conv2D(2, n),
    "keras MaxPooling2D": lambda n: keras.layers.MaxPooling2D(n),
    "keras UpSampling2D": lambda n: keras.layers.UpSampling2D(n),
    "keras set_random_seed": lambda n: keras.utils.set_random_seed(n),
}


@pytest.fixture(autouse=True)
def _seed_is_put_back():
    before = current_seed()
    yield
    minidl.seed(before)


@pytest.mark.parametrize("name", WANTED)
def test_numpys_whole_numbers_count_as_pythons(name):
    for number in [2, np.int64(2), np.uint8(2)]:
        WANTED[name](number)


@pytest.mark.parametrize("wrong", [2.5, 2.0, True, "2", np.float64(2), np.True_])
@pytest.mark.parametrize("name", WANTED)
def test_what_is_no_whole_number_is_refused_at_once(name, wrong):
    with pytest.raises((ValueError, TypeError), match="expected"):
        WANTED[name](wrong)


def test_a_seed_of_numpys_is_kept_as_a_plain_number():
    minidl.seed(np.int64(3))
    assert type(current_seed()) is int


def test_augmentation_steps_are_looked_at_when_a_loader_is_made():
    with pytest.raises(TypeError, match="expected augmentation steps, functions"):
        DataLoader(np.arange(4), augment=[3])
