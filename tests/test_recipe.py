"""What `minidl train` decides from its settings."""

import json

import numpy as np
import pytest

from minidl import Chain, Dense, recipe, relu, softmax
from minidl.data import load_data
from minidl.losses import crossentropy, logitcrossentropy
from minidl.recipe import Settings, read_settings
from minidl.training.run_folder import RunFolder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "vgg12"}, "unknown model 'vgg12': choose one of .*vgg11, .*vgg19-plain"),
        ({"schedule": "linear"}, "unknown schedule 'linear': choose one of cosine, one-cycle, step, constant"),
        ({"optimiser": "sgd"}, "unknown optimiser 'sgd': choose one of momentum, nesterov, adam"),
        ({"optimiser": "adam", "momentum": 0.9}, "momentum is for the optimisers momentum and nesterov; adam has none"),
        ({"momentum": 1.0}, "expected momentum from 0 to below 1, got 1.0"),
        ({"clip_norm": 0}, "expected clip_norm above 0, got 0"),
        ({"clip_norm": float("nan")}, "expected clip_norm above 0, got nan"),
        ({"warmup": -1}, "expected warmup of at least 0, got -1"),
        ({"warmup": 5, "schedule": "one-cycle"}, "warmup is for the other schedules; one-cycle has a rise of its own"),
        ({"warmup": 0.5}, r"expected warmup of type int \| None, got 0.5"),
        ({"learning_rate": "fast"}, r"expected learning_rate of type float \| None, got 'fast'"),
        ({"backend": "tpu"}, "unknown backend 'tpu': choose one of"),
        ({"epochs": 0}, "expected epochs of at least 1, got 0"),
        ({"batch_size": 0}, "expected batch_size of at least 1, got 0"),
        ({"limit": 1}, "expected limit of at least 2, got 1"),
        ({"seed": -1}, "expected seed of at least 0, got -1"),
        ({"learning_rate": -0.1}, "expected learning_rate of at least 0, got -0.1"),
        ({"learning_rate": float("nan")}, "expected learning_rate of at least 0, got nan"),
        ({"weight_decay": -0.1}, "expected weight_decay of at least 0, got -0.1"),
        ({"cutout": -1}, "expected cutout of at least 0, got -1"),
        ({"label_smoothing": 1.5}, "expected label_smoothing from 0 to 1, got 1.5"),
        ({"epochs": "3"}, "expected epochs of type int, got '3'"),
        ({"epochs": None}, "expected epochs of type int, got None"),
        ({"groups": "*.bias:rate=2"}, "groups: expected '.*' or the like, got '.*bias:rate=2': .*'rate'"),
        ({"groups": ["*.bias"]}, r"expected groups of type str \| None, got "),
        ({"data_dir": 3}, r"expected data_dir of type str \| None, got 3"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**{"model": "vgg11", **changes})


def test_a_whole_number_will_do_for_a_rate():
    assert Settings("vgg11", learning_rate=1, limit=2).learning_rate == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "not the settings of a run: .*model"),
        ({"model": "vgg11", "colour": "red"}, "not the settings of a run: .*colour"),
        ({"model": "vgg12"}, "not the settings of a run: unknown model 'vgg12'"),
        ({"model": ["vgg11"]}, "not the settings of a run: expected model of type str"),
    ],
    ids=str,
)
def test_a_config_with_other_settings(tmp_path, config, message):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"config\.json: {message}"):
        read_settings(RunFolder(tmp_path))


def test_settings_come_back_from_the_run_folder(tmp_path):
    config = {"model": "vgg16-plain", "epochs": 3, "limit": 10, "made_with": {"minidl": "0"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_settings(RunFolder(tmp_path)) == Settings("vgg16-plain", epochs=3, limit=10)


def test_the_loss_fits_the_end_of_the_network():
    assert recipe.loss_for(Chain(Dense(2, 2), softmax)) is crossentropy
    assert recipe.loss_for(Chain(Dense(2, 2))) is logitcrossentropy
    assert recipe.loss_for(Chain(softmax, Dense(2, 2), relu)) is logitcrossentropy


def test_every_model_has_a_name_and_plain_ones_have_no_batch_norm():
    names = ["vgg11", "vgg13", "vgg16", "vgg19"]
    others = {"article_flux", "article_keras", "lenet", "mlp", "resnet18", "resnet34", "small_cnn"}
    assert set(recipe.MODELS) == {*others, *names, *(f"{name}-plain" for name in names)}
    assert "BatchNorm" in repr(recipe.MODELS["vgg11"]())
    assert "BatchNorm" not in repr(recipe.MODELS["vgg11-plain"]())


def test_digits_are_shifted_but_never_mirrored():
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, 10:20, 16:20] = 255  # more on its right than on its left
    for number in range(20):
        changed = image
        for step in recipe.AUGMENTATION["digits"]:
            changed = step(changed, np.random.default_rng(number))
        rows, columns = np.nonzero(changed[0, :, :, 0])
        assert (len(set(rows)), len(set(columns))) == (10, 4)
        assert columns.mean() > 16 + 1.5 - 4.1
    assert len(recipe.AUGMENTATION["cifar10"]) == len(recipe.AUGMENTATION["digits"]) + 1


def test_training_batches_are_covered_and_smoothed_and_test_batches_are_not():
    data, _ = load_data("digits", None, print)
    settings = Settings("vgg11", "digits", augment=False, cutout=8, label_smoothing=0.5, batch_size=100, limit=100)
    (train_images, train_targets), *_ = recipe._batches(data, settings, training=True)
    (test_images, test_targets), *_ = recipe._batches(data, settings, training=False)
    np.testing.assert_array_equal(np.unique(train_targets), np.float32([0.05, 0.55]))
    np.testing.assert_array_equal(np.unique(test_targets), np.float32([0, 1]))
    plain = {image.tobytes() for image in test_images}
    assert sum(image.tobytes() in plain for image in train_images) < 10
