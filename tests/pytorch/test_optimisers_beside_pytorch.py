"""Steps beside PyTorch's: parameters that come late or have no gradient in some steps, groups, and clipping."""

import numpy as np
import pytest

from minidl import Tensor
from minidl.gradient_rules import ClipGlobalNorm, WeightDecay
from minidl.optimisers import Adam, AdamW, Descent, Group, Momentum, RMSProp

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

NAMES, SHAPE = ["layers.0.weight", "layers.0.bias", "layers.1.scale"], (2, 3)
BETAS, EPS, DECAY = (0.8, 0.95), 1e-3, 0.125

# (ours, theirs) with a learning rate and options; PyTorch's SGD multiplies by the rate after the velocity, which is the
# same as long as the rate does not change
PAIRS = {
    "Descent": (Descent, torch.optim.SGD),
    "Momentum": (
        lambda rate, **options: Momentum(rate, 0.9, DECAY, **options),
        lambda groups, rate: torch.optim.SGD(groups, rate, momentum=0.9, weight_decay=DECAY),
    ),
    "RMSProp": (
        lambda rate, **options: RMSProp(rate, 0.9, EPS, **options),
        lambda groups, rate: torch.optim.RMSprop(groups, rate, alpha=0.9, eps=EPS),
    ),
    "Adam": (
        lambda rate, **options: Adam(rate, BETAS, EPS, **options),
        lambda groups, rate: torch.optim.Adam(groups, rate, BETAS, EPS),
    ),
    "AdamW": (
        lambda rate, **options: AdamW(rate, BETAS, DECAY, EPS, **options),
        lambda groups, rate: torch.optim.AdamW(groups, rate, BETAS, EPS, weight_decay=DECAY),
    ),
}
EVERY = pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS.keys())


def starts():
    random = np.random.default_rng(0)
    return {name: random.normal(size=SHAPE) for name in NAMES}


def our_parameters():
    return {name: Tensor(x.copy(), requires_grad=True) for name, x in starts().items()}


def their_parameters():
    return {name: torch.nn.Parameter(torch.tensor(x)) for name, x in starts().items()}


def both_step(ours, our, theirs, their, present, seed):
    """A step of both with the same gradients; parameters that are not in `present` have none."""
    random = np.random.default_rng(seed)
    for name in NAMES:
        gradient = random.normal(size=SHAPE)
        our[name].grad = Tensor(gradient) if name in present else None
        their[name].grad = torch.tensor(gradient) if name in present else None
    ours.step(our)
    theirs.step()


def assert_equal(our, their, tolerance=1e-12):
    for name in NAMES:
        np.testing.assert_allclose(our[name].numpy(), their[name].detach().numpy(), tolerance, tolerance, err_msg=name)


@EVERY
def test_parameters_without_a_gradient_in_some_steps(ours, theirs):
    our, their = our_parameters(), their_parameters()
    ours, theirs = ours(0.1), theirs(list(their.values()), 0.1)
    for step, present in enumerate([NAMES[:1], NAMES[:2], [], NAMES, NAMES[1:], NAMES[:1], NAMES]):
        both_step(ours, our, theirs, their, present, step)
    assert_equal(our, their)


@pytest.mark.parametrize(("name", "steps"), [("Adam", 10_000), ("AdamW", 500)])
def test_a_parameter_that_is_thawed_late(name, steps):
    ours, theirs = PAIRS[name]
    our, their = our_parameters(), their_parameters()
    ours, theirs = ours(0.001), theirs(list(their.values()), 0.001)
    for _ in range(steps):
        our[NAMES[0]].grad, their[NAMES[0]].grad = Tensor(np.ones(SHAPE)), torch.ones(SHAPE, dtype=torch.float64)
        ours.step(our)
        theirs.step()
    late = our[NAMES[1]].numpy().copy()
    for step in range(3):
        both_step(ours, our, theirs, their, NAMES, step)
        if step == 0 and name == "Adam":
            assert np.abs(our[NAMES[1]].numpy() - late).max() <= 0.001
    assert_equal(our, their, 1e-10)


@EVERY
def test_groups_are_pytorchs_parameter_groups(ours, theirs):
    our, their = our_parameters(), their_parameters()
    decays = ours in (PAIRS["Momentum"][0], PAIRS["AdamW"][0])
    options = {"weight_decay": 0.0} if decays else {}
    ours = ours(0.1, groups=[Group("*.bias", rate_factor=4, **options), Group("*.scale", rate_factor=0.5)])
    weight, bias, scale = their.values()
    theirs = theirs(
        [{"params": [weight]}, {"params": [bias], "lr": 0.4, **options}, {"params": [scale], "lr": 0.05}], 0.1
    )
    for step in range(5):
        both_step(ours, our, theirs, their, NAMES, step)
    assert_equal(our, their)


def test_decay_of_groups_by_a_rule_and_clipping():
    """What clip_grad_norm_ and Adam's weight_decay, which is part of the gradient, do in PyTorch."""
    our, their = our_parameters(), their_parameters()
    rules = [ClipGlobalNorm(0.5), WeightDecay(0.125)]
    ours = Adam(0.1, BETAS, EPS, rules=rules, groups=[Group("*.bias", "*.scale", weight_decay=0)])
    weight, bias, scale = their.values()
    theirs = torch.optim.Adam([{"params": [weight], "weight_decay": 0.125}, {"params": [bias, scale]}], 0.1, BETAS, EPS)
    clip = torch.nn.utils.clip_grad_norm_
    theirs.register_step_pre_hook(lambda *_: clip([*their.values()], 0.5) and None)
    for step in range(5):
        both_step(ours, our, theirs, their, NAMES, step)
    assert_equal(our, their, 1e-5)  # PyTorch adds 1e-6 to the norm it divides by
