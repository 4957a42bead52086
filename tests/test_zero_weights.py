"""0 * log 0 is 0: what has the weight 0 counts as nothing, even where it is infinite, in every loss of both doors."""

import math

import numpy as np
import pytest

from minidl import Tensor, functions, grad, losses, use_backend
from minidl.keras import losses as keras_losses

INF, NAN, LN2 = math.inf, math.nan, math.log(2)
E32 = float(np.finfo(np.float32).eps)

# loss, predicted, target, value, gradient with respect to the predictions
FLUX = [
    (losses.logitcrossentropy, [[0, -INF]], [[1, 0]], 0, [[0, 0]]),
    (losses.logitcrossentropy, [[0, -INF, 0]], [[1, 0, 0]], LN2, [[-0.5, 0, 0.5]]),
    (losses.logitcrossentropy, [[0, 0], [-INF, 3]], [[0.5, 0.5], [0, 1]], LN2 / 2, [[0, 0], [0, 0]]),
    (losses.logitcrossentropy, [[0, -INF]], [[0, 1]], INF, [[1, -1]]),
    (losses.logitcrossentropy, [[0, -INF]], [[0.5, 0.5]], INF, [[0.5, -0.5]]),
    (losses.logitcrossentropy, [[-INF, -INF]], [[1, 0]], NAN, [[NAN, NAN]]),  # no class is possible
    (losses.logitcrossentropy, [[0, NAN]], [[1, 0]], NAN, [[NAN, NAN]]),
    (losses.crossentropy, [[1, INF]], [[1, 0]], -math.log1p(E32), [[-1, 0]]),
    (losses.crossentropy, [[1, -E32]], [[1, 0]], -math.log1p(E32), [[-1, 0]]),
    (losses.crossentropy, [[1, NAN]], [[1, 0]], NAN, [[-1, NAN]]),
    (losses.binarycrossentropy, [-E32], [0], -math.log1p(2 * E32), [1]),
    (losses.binarycrossentropy, [1 + E32], [1], -math.log1p(2 * E32), [-1]),
    (losses.logitbinarycrossentropy, [INF], [1], 0, [0]),
    (losses.logitbinarycrossentropy, [-INF], [0], 0, [0]),
    (losses.logitbinarycrossentropy, [INF], [0], INF, [1]),
    (losses.logitbinarycrossentropy, [-INF], [1], INF, [-1]),
    (losses.logitbinarycrossentropy, [-INF], [0.5], INF, [-0.5]),
    (losses.logitbinarycrossentropy, [NAN], [1], NAN, [NAN]),
    (losses.kldivergence, [[1, 0]], [[1, 0]], 0, [[-1, 0]]),
    (losses.kldivergence, [[1, INF]], [[1, 0]], 0, [[-1, 0]]),
    (losses.mse, [INF], [0], INF, [INF]),
    (losses.mae, [-INF], [0], INF, [-1]),
    (losses.huber_loss, [INF], [0], INF, [1]),  # not the gradient of the branch that was not taken
    (losses.huber_loss, [-INF], [0], INF, [-1]),
]

K = keras_losses
KERAS = [
    (lambda t, p: K.categorical_crossentropy(t, p, from_logits=True), [[0, -INF]], [[1, 0]], 0, [[0, 0]]),
    (lambda t, p: K.categorical_crossentropy(t, p, from_logits=True), [[0, -INF]], [[0, 1]], INF, [[1, -1]]),
    (lambda t, p: K.sparse_categorical_crossentropy(t, p, from_logits=True), [[0, -INF]], [0], 0, [[0, 0]]),
    (lambda t, p: K.sparse_categorical_crossentropy(t, p, from_logits=True), [[0, -INF]], [1], INF, [[1, -1]]),
    (lambda t, p: K.sparse_categorical_crossentropy(t, p, from_logits=True, ignore_class=9),
     [[0, -INF], [-INF, -INF]], [0, 9], 0, [[0, 0], [0, 0]]),
    (K.categorical_crossentropy, [[1, 0]], [[1, 0]], 1e-7, [[0, 0]]),
    (K.categorical_crossentropy, [[1, 0]], [[0, 1]], 16.118095, [[0, 0]]),
    (K.sparse_categorical_crossentropy, [[1, 0]], [0], 2e-7, [[0, 0]]),
    (lambda t, p: K.binary_crossentropy(t, p, from_logits=True), [[INF]], [[1]], 0, [[0]]),
    (lambda t, p: K.binary_crossentropy(t, p, from_logits=True), [[-INF]], [[0]], 0, [[0]]),
    (lambda t, p: K.binary_crossentropy(t, p, from_logits=True), [[INF]], [[0]], INF, [[1]]),
    (K.binary_crossentropy, [[0], [1]], [[0], [1]], 1e-7, [[0], [0]]),
    (K.kl_divergence, [[1, 0]], [[1, 0]], 0, [[-1, 0]]),
    (K.kl_divergence, [[0, INF]], [[0, 1]], 0, [[0, 0]]),
    (K.poisson, [[INF]], [[0]], INF, [[1]]),
    (K.poisson, [[0]], [[0]], 0, [[1]]),
    (K.huber, [[INF]], [[0]], INF, [[1]]),
    (lambda t, p: K.BinaryCrossentropy(from_logits=True)(t, p, sample_weight=np.array([0, 1])),
     [[-INF], [0]], [[1], [1]], LN2 / 2, [[0], [-0.25]]),
]  # fmt: skip


def check(loss, predicted, target, value, gradient):
    predicted = Tensor(predicted, requires_grad=True)
    result = functions.mean(loss(predicted, target))
    (found,) = grad(result, predicted, create_graph=True)
    np.testing.assert_allclose(result.item(), value, rtol=1e-5, atol=2e-7)
    np.testing.assert_allclose(found.numpy(), gradient, rtol=1e-5, atol=2e-7)
    if np.isfinite(value) and np.isfinite(gradient).all():  # the second order, too
        (second,) = grad((found * found).sum(), predicted) if found.requires_grad else (predicted,)
        assert np.isfinite(second.numpy()[np.isfinite(predicted.numpy())]).all()


@pytest.mark.parametrize("backend", ["reference", "cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("row", FLUX, ids=lambda row: f"{row[0].__name__}{row[1]}{row[2]}")
def test_losses(row, backend):
    with use_backend(backend):
        loss, predicted, target, *expected = row
        check(lambda p, t: loss(p, np.array(t, np.float32)), predicted, target, *expected)


@pytest.mark.parametrize("row", KERAS, ids=lambda row: f"{row[1]}{row[2]}")
def test_losses_of_keras(row):
    loss, predicted, target, *expected = row
    check(lambda p, t: loss(np.array(t), p), predicted, target, *expected)
