"""Losses: numbers worked out by hand, Flux's eps, order and shapes of the arguments, gradients."""

import math

import numpy as np
import pytest

from minidl import Tensor, check_gradients, losses, sigmoid, softmax
from minidl.losses import (
    binarycrossentropy,
    crossentropy,
    huber_loss,
    kldivergence,
    logitbinarycrossentropy,
    logitcrossentropy,
    mae,
    mse,
)

LN2 = math.log(2)

BY_HAND = [
    (crossentropy, [[0.5, 0.25, 0.25], [0.125, 0.5, 0.375]], [[1, 0, 0], [1, 0, 0]], (LN2 + 3 * LN2) / 2),
    (crossentropy, [[0.5, 0.5]], [[0.25, 0.75]], LN2),  # targets need not be one-hot
    (logitcrossentropy, [[0, 0], [7, 7]], [[1, 0], [0, 1]], LN2),
    (logitcrossentropy, [[0, math.log(3)]], [[0, 1]], math.log(4 / 3)),
    (logitcrossentropy, [[1000, -1000]], [[0, 1]], 2000),  # not infinity, not 15.94
    (binarycrossentropy, [0.5, 0.25], [1, 0], (LN2 + math.log(4 / 3)) / 2),
    (logitbinarycrossentropy, [0, math.log(3)], [1, 0], (LN2 + math.log(4)) / 2),
    (logitbinarycrossentropy, [1000, -1000], [0, 1], 1000),
    (mse, [[1, 2], [3, 5]], [[0, 2], [3, 2]], (1 + 9) / 4),
    (mae, [[1, 2], [3, 5]], [[0, 2], [3, 8]], (1 + 3) / 4),
    (huber_loss, [0, 0, 0], [0.5, 1, -3], (0.125 + 0.5 + 2.5) / 3),
    (kldivergence, [[0.5, 0.5]], [[0.25, 0.75]], 0.25 * math.log(0.5) + 0.75 * math.log(1.5)),
    (kldivergence, [[0.5, 0.5], [0.5, 0.5]], [[1, 0], [0.5, 0.5]], LN2 / 2),  # 0 * log 0 counts as 0
]


def name(value):
    return value.__name__ if callable(value) else ""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "predicted", "target", "expected"), BY_HAND, ids=name)
def test_by_hand(loss, predicted, target, expected, dtype):
    value = loss(np.array(predicted, dtype), np.array(target, dtype))
    assert value.shape == ()
    assert value.dtype == dtype
    assert value.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)  # eps inside log shifts it by a few 1e-7


def test_every_loss_is_worked_out():
    defined = {name for name, value in vars(losses).items() if getattr(value, "__module__", "") == losses.__name__}
    public = {name for name in defined if not name.startswith("_") and name != "Aggregate"}
    assert public == {loss.__name__ for loss, *_ in BY_HAND} == {loss.__name__ for loss, *_ in GRADIENTS}


@pytest.mark.parametrize(("dtype", "cost"), [(np.float32, 15.942385), (np.float64, 36.04365338911715)])
def test_a_class_given_probability_0_costs_what_it_does_in_flux(dtype, cost):
    """eps, the float type's own, is added and not clipped: 15.94 in float32 (Keras: 16.12; PyTorch takes scores)."""
    assert crossentropy(np.array([[0, 1]], dtype), np.array([[1, 0]], dtype)).item() == pytest.approx(cost, rel=1e-6)
    assert binarycrossentropy(np.array([0], dtype), np.array([1], dtype)).item() == pytest.approx(cost, rel=1e-6)
    sure_and_right = crossentropy(np.array([[0, 1]], dtype), np.array([[0, 1]], dtype)).item()
    assert sure_and_right == pytest.approx(-np.finfo(dtype).eps, rel=0.1)  # log(1 + eps): below zero


def test_agg_says_how_the_samples_are_summed_up():
    predicted, target = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32), np.eye(2, dtype=np.float32)[[0, 0]]
    each = [LN2, 2 * LN2]
    for agg, expected in [(lambda x: x.sum(), sum(each)), (lambda x: x, each), (lambda x: x.max(), max(each))]:
        np.testing.assert_allclose(crossentropy(predicted, target, agg=agg).numpy(), expected, rtol=1e-6)
    assert mse(predicted, target, agg=lambda x: x).shape == (2, 2)


def test_predictions_come_first():
    predicted, target = Tensor([[0.9, 0.1]]), Tensor([[0.5, 0.5]])
    for loss in (crossentropy, kldivergence, binarycrossentropy, logitcrossentropy):
        assert loss(predicted, target).item() != pytest.approx(loss(target, predicted).item(), rel=0.01)


def test_logit_losses_equal_the_plain_ones_behind_their_activation():
    random = np.random.default_rng(0)
    scores, target = random.normal(size=(5, 4)), random.dirichlet(np.ones(4), 5)
    for logit_loss, loss, activation in [
        (logitcrossentropy, crossentropy, softmax),
        (logitbinarycrossentropy, binarycrossentropy, sigmoid),
    ]:
        expected = loss(activation(scores), target).item()
        assert logit_loss(scores, target).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", dict.fromkeys(loss for loss, *_ in BY_HAND), ids=name)
def test_shapes_that_do_not_fit(loss):
    with pytest.raises(ValueError, match=rf"{loss.__name__}: .*\(4, 3\) and \(4,\); turn labels into rows with onehot"):
        loss(np.zeros((4, 3), np.float32), np.zeros(4, np.float32))
    for labels in [np.array([0, 2, 1, 1]), Tensor(np.array([0, 2, 1, 1])), [0, 2, 1, 1]]:
        with pytest.raises(ValueError, match=rf"{loss.__name__}: .*; turn labels into rows with onehotbatch"):
            loss(Tensor(np.zeros((4, 3), np.float32)), labels)
    with pytest.raises(ValueError, match=rf"{loss.__name__}: expected at least one sample, got shape \(0, 3\)"):
        loss(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    with pytest.raises(TypeError, match=f"{loss.__name__}: inputs have different dtypes, float32 and float64"):
        loss(np.zeros((4, 3), np.float32), np.zeros((4, 3)))


PROBABILITIES = np.random.default_rng(1).dirichlet(np.ones(3), 4) * 0.9 + 0.03
SCORES = np.random.default_rng(2).normal(size=(4, 3))
ONE_HOT = np.eye(3)[[0, 2, 1, 1]]

GRADIENTS = [
    (crossentropy, PROBABILITIES),
    (logitcrossentropy, SCORES),
    (binarycrossentropy, PROBABILITIES),
    (logitbinarycrossentropy, SCORES),
    (mse, SCORES),
    (mae, SCORES),
    (huber_loss, SCORES),
    (kldivergence, PROBABILITIES),
]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("loss", "predicted"), GRADIENTS, ids=name)
def test_gradients(loss, predicted, order):
    check_gradients(lambda x: loss(x, ONE_HOT), [predicted], order=order)


@pytest.mark.parametrize(("loss", "predicted"), GRADIENTS, ids=name)
def test_gradients_with_respect_to_soft_targets(loss, predicted):
    target = np.random.default_rng(3).dirichlet(np.ones(3), 4) * 0.9 + 0.03
    check_gradients(loss, [predicted, target])


def test_the_gradient_of_logitcrossentropy_is_softmax_minus_target():
    scores = Tensor(SCORES, requires_grad=True)
    logitcrossentropy(scores, ONE_HOT).backward()
    np.testing.assert_allclose(scores.grad.numpy(), (softmax(SCORES).numpy() - ONE_HOT) / 4, rtol=1e-12)
