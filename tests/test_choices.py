"""Optimisers and schedules by name: what they are made of, and that every rate arrives."""

import json

import numpy as np
import pytest

from minidl import Tensor
from minidl.choices import OPTIMISERS, SCHEDULES, Rates, make_optimiser, make_schedule, parse_groups, suited
from minidl.gradient_rules import ClipGlobalNorm, OptimiserChain, WeightDecay
from minidl.optimisers import Adam, AdamW, Descent, Momentum, Nesterov, RMSProp
from minidl.recipe import Settings

KINDS = {
    "momentum": Momentum, "nesterov": Nesterov, "adam": Adam, "adamw": AdamW, "rmsprop": RMSProp, "descent": Descent,
}  # fmt: skip


def after_one_step(optimiser, value, gradient):
    parameter = Tensor(np.array(value), requires_grad=True)
    parameter.grad = Tensor(np.array(gradient))
    optimiser.step({"x": parameter})
    return parameter.numpy()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_name_is_an_optimiser_with_rates_of_its_own(name):
    optimiser = make_optimiser(name, suited(name))
    assert type(optimiser) is KINDS[name]
    assert optimiser.learning_rate == OPTIMISERS[name].learning_rate
    assert getattr(optimiser, "momentum", None) == OPTIMISERS[name].momentum


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Rates(0.005, 0.9, 0.0)),
        ({"learning_rate": None, "momentum": None, "weight_decay": None}, Rates(0.005, 0.9, 0.0)),
        ({"learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.2}, Rates(0.1, 0.0, 0.2)),
    ],
)
def test_what_is_given_is_taken(given, expected):
    assert suited("nesterov", **given) == expected


@pytest.mark.parametrize("name", ["momentum", "nesterov", "rmsprop", "descent", "adam"])
def test_decay_is_part_of_the_gradient(name):
    """A step with decay 0.5 at weight 2 and gradient 3 is one without decay and with gradient 4."""
    decayed = after_one_step(make_optimiser(name, suited(name, weight_decay=0.5)), [2.0], [3.0])
    np.testing.assert_allclose(decayed, after_one_step(make_optimiser(name, suited(name)), [2.0], [4.0]), rtol=1e-12)


def test_adamw_shrinks_weights_beside_its_step():
    shrunk = after_one_step(make_optimiser("adamw", Rates(0.1, None, 0.5)), [2.0], [3.0])
    kept = after_one_step(make_optimiser("adamw", Rates(0.1)), [2.0], [3.0])
    np.testing.assert_allclose(kept - shrunk, 0.1 * 0.5 * 2.0, rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_gradients_are_clipped_before_decay(name):
    """(30, 40) has norm 50; at 5 it is (3, 4), to which decay adds half of the weights."""
    clipped = make_optimiser(name, suited(name, weight_decay=0.5), clip_norm=5.0)
    plain = make_optimiser(name, suited(name, weight_decay=0.5))
    np.testing.assert_allclose(
        after_one_step(clipped, [2.0, 1.0], [30.0, 40.0]), after_one_step(plain, [2.0, 1.0], [3.0, 4.0]), rtol=1e-6
    )


def test_rules_are_made_only_where_they_are_needed():
    assert type(make_optimiser("momentum", Rates(0.1, 0.9, 0.5))) is Momentum  # which decays on its own
    chained = make_optimiser("adam", Rates(0.1, None, 0.5), clip_norm=1.0)
    assert isinstance(chained, OptimiserChain)
    assert [type(rule) for rule in chained.rules] == [ClipGlobalNorm, WeightDecay]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*.bias:rate_factor=64", [(("*.bias",), 64, None)]),
        ("*.bias:rate_factor=64,weight_decay=0", [(("*.bias",), 64, 0)]),
        ("*.scale,*.shift:weight_decay=0;  layers.0.*:rate_factor=1e-1", [
            (("*.scale", "*.shift"), 1, 0), (("layers.0.*",), 0.1, None),
        ]),
    ],
)  # fmt: skip
def test_groups_as_they_are_typed(text, expected):
    assert [(group.patterns, group.rate_factor, group.weight_decay) for group in parse_groups(text)] == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", ";", "*.bias:rate_factor=2;",
     "*.bias", "*.bias:", ":rate_factor=2", "*.bias,:rate_factor=2", "*.bias:rate=2", "*.bias:rate_factor=x",
     "*.bias:rate_factor=-1", "*.bias:weight_decay=nan", "*.bias:weight_decay=inf", "*.bias:rate_factor=2,"],
)  # fmt: skip
def test_groups_that_make_no_sense(text):
    with pytest.raises(ValueError, match=r"groups: expected '\*.bias:rate_factor=2,weight_decay=0' or the like, got"):
        parse_groups(text)


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_groups_reach_every_optimiser(name, decay):
    groups = parse_groups("x:rate_factor=2,weight_decay=0.25")
    grouped = after_one_step(make_optimiser(name, suited(name, weight_decay=decay), groups=groups), [2.0], [3.0])
    rates = suited(name, weight_decay=0.25, learning_rate=2 * suited(name).learning_rate)
    np.testing.assert_array_equal(grouped, after_one_step(make_optimiser(name, rates), [2.0], [3.0]))


@pytest.mark.parametrize(
    ("schedule", "steps", "warmup", "rates"),
    [
        ("cosine", 1000, None, {0: 0.01, 99: 1.0, 550: 0.5, 999: 3.046e-6}),
        ("cosine", 9000, None, {0: 0.005, 199: 1.0}),  # no more than 200 steps
        ("cosine", 1000, 0, {0: 1.0, 500: 0.5}),
        ("cosine", 1000, 4, {0: 0.25, 3: 1.0, 502: 0.5}),
        ("one-cycle", 1000, None, {0: 0.04, 299: 1.0, 999: 4e-6}),
        ("one-cycle", 1, None, {0: 1.0}),
        ("constant", 1000, None, {0: 1.0, 999: 1.0}),
        ("constant", 1000, 10, {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 999: 1.0}),
        ("step", 1000, None, {0: 1.0, 499: 1.0, 500: 0.1, 749: 0.1, 750: 0.01, 999: 0.01}),
        ("step", 1000, 10, {0: 0.1, 9: 1.0, 499: 1.0, 999: 0.01}),
        ("step", 1, None, {0: 1.0}),
        ("step", 3, None, {0: 1.0, 1: 1.0, 2: 0.1}),
    ],
)
def test_learning_rates_over_a_run(schedule, steps, warmup, rates):
    rate = make_schedule(schedule, 1.0, steps, warmup)
    assert {step: rate(step) for step in rates} == pytest.approx(rates, rel=1e-3)


@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - {"one-cycle"}))
def test_a_warmup_as_long_as_the_run(schedule):
    with pytest.raises(ValueError, match="expected a warmup of fewer steps than the 10 of the whole run, got 10"):
        make_schedule(schedule, 1.0, 10, 10)


def test_the_settings_of_an_old_run_still_mean_what_they_did():
    """A config.json of before there was a choice of optimisers."""
    config = {
        "model": "vgg19", "data": "cifar10", "data_dir": None, "epochs": 28, "batch_size": 128, "learning_rate": 0.06,
        "momentum": 0.8, "weight_decay": 0.0007, "schedule": "cosine", "augment": True, "backend": "cpu", "seed": 0,
        "limit": None,
    }  # fmt: skip
    settings = Settings(**json.loads(json.dumps(config)))
    optimiser = make_optimiser(settings.optimiser, settings.rates, settings.clip_norm)
    assert type(optimiser) is Momentum
    assert (optimiser.learning_rate, optimiser.momentum, optimiser.weight_decay) == (0.06, 0.8, 0.0007)
    assert (settings.weights, settings.warmup) == (None, None)
