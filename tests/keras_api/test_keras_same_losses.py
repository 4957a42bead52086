"""Losses beside Keras's own: values and gradients."""

import numpy as np
import pytest

from minidl.keras import losses
from minidl.tensor import Tensor

keras = pytest.importorskip("keras")
tensorflow = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.keras

random = np.random.default_rng(0)
SCORES = random.normal(0, 2, (6, 4)).astype(np.float32)
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(-1, keepdims=True)
EXTREME = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.5, 0.5, 0, 0], *[[0.25] * 4] * 3], np.float32)
UNEVEN = random.uniform(0, 0.9, (6, 4)).astype(np.float32)
LABELS = np.array([3, 0, 2, 1, 1, 0])
ROWS = np.eye(4, dtype=np.float32)[LABELS]
YES = random.integers(0, 2, (6, 4))
NUMBERS = random.normal(size=(6, 4)).astype(np.float32)
GRID, GRID_LABELS = random.normal(size=(6, 5, 4)).astype(np.float32), random.integers(0, 4, (6, 5))
CASES = [
    *((kind, {}, NUMBERS, SCORES) for kind in [
        "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Huber",
        "LogCosh", "CosineSimilarity", "Hinge", "CategoricalHinge"]),
    *((kind, {}, YES, SCORES) for kind in ["Hinge", "SquaredHinge", "MeanSquaredError", "MeanAbsolutePercentageError"]),
    ("CategoricalHinge", {}, ROWS, SCORES),
    ("Huber", {"delta": 0.3}, NUMBERS, SCORES),
    ("CosineSimilarity", {"axis": 0}, NUMBERS, SCORES),
    ("CosineSimilarity", {}, 0 * NUMBERS, SCORES),
    ("Poisson", {}, YES, UNEVEN),
    ("KLDivergence", {}, ROWS, PROBABILITIES),
    ("KLDivergence", {}, PROBABILITIES[::-1].copy(), UNEVEN),
    ("CategoricalCrossentropy", {}, ROWS, PROBABILITIES),
    ("CategoricalCrossentropy", {}, ROWS, UNEVEN),
    ("CategoricalCrossentropy", {}, ROWS, EXTREME),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, ROWS, PROBABILITIES),
    ("CategoricalCrossentropy", {"from_logits": True}, ROWS, SCORES),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, ROWS, SCORES),
    ("CategoricalCrossentropy", {"from_logits": True}, np.eye(4)[GRID_LABELS], GRID),
    ("SparseCategoricalCrossentropy", {}, LABELS, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {}, LABELS[:, None], UNEVEN),
    ("SparseCategoricalCrossentropy", {}, LABELS.astype(np.float32), EXTREME),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS.astype(np.uint8), SCORES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, GRID_LABELS, GRID),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, LABELS, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 0}, GRID_LABELS, GRID),
    ("BinaryCrossentropy", {}, YES, PROBABILITIES),
    ("BinaryCrossentropy", {}, YES, EXTREME),
    ("BinaryCrossentropy", {}, YES[:, 0], PROBABILITIES[:, :1]),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, YES, PROBABILITIES),
    ("BinaryCrossentropy", {"from_logits": True}, YES, SCORES),
    ("BinaryCrossentropy", {"from_logits": True, "axis": 0}, YES, SCORES),
]  # fmt: skip
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]


def weights_for(kind, count):
    """None, one weight for each loss, the same with one axis more, or a single number."""
    weights = np.random.default_rng(1).uniform(0, 2, count).astype(np.float32)
    return {"none": None, "each": weights, "column": weights[..., None], "one": np.float32(0.5)}[kind]


@pytest.mark.parametrize("weighted", ["none", "each", "column", "one"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("kind", "settings", "y_true", "y_pred"), CASES)
def test_values_and_gradients_agree(kind, settings, y_true, y_pred, reduction, weighted):
    ours, theirs = (getattr(module, kind)(**settings, reduction=reduction) for module in (losses, keras.losses))
    losses_of_samples = getattr(losses, kind)(**settings, reduction=None)(y_true, y_pred)
    weights = weights_for(weighted, losses_of_samples.shape)
    x, there = Tensor(y_pred.copy(), requires_grad=True), tensorflow.Variable(y_pred)
    y = ours(y_true, x, weights)
    y.sum().backward()
    with tensorflow.GradientTape() as tape:
        expected = theirs(y_true, there, weights)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), tape.gradient(expected, there).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("function", losses.FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_agree(function):
    y_true = LABELS if "sparse" in function.__name__ else ROWS
    expected = getattr(keras.losses, function.__name__)(y_true, PROBABILITIES)
    np.testing.assert_allclose(function(y_true, PROBABILITIES).numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    assert losses.get(function.__name__) is function


@pytest.mark.parametrize(("kind", "settings", "y_true", "y_pred"), CASES)
def test_configurations_go_both_ways(kind, settings, y_true, y_pred):
    ours, theirs = (getattr(module, kind)(**settings) for module in (losses, keras.losses))
    assert ours.name == theirs.name
    assert theirs.get_config().items() <= ours.get_config().items()
    here, there = losses.get(keras.losses.serialize(theirs)), keras.losses.get(losses.serialize(ours))
    assert type(here).__name__ == type(there).__name__ == kind


def test_names_mean_the_same():
    for name, found in losses.KNOWN.items():
        theirs = keras.losses.get(name)
        assert getattr(theirs, "__name__", type(theirs).__name__) == found.__name__


@pytest.mark.parametrize(
    ("kind", "activation", "y_true"),
    [("CategoricalCrossentropy", "softmax", ROWS), ("SparseCategoricalCrossentropy", "softmax", LABELS),
     ("BinaryCrossentropy", "sigmoid", YES)],
)  # fmt: skip
def test_keras_trains_with_the_scores_before_the_activation(kind, activation, y_true):
    """Scores so far apart that probabilities round to 0 and 1: only with_logits() has gradients, as in Keras."""
    theirs, ours = getattr(keras.losses, kind)(), getattr(losses, kind)()
    scores, x = tensorflow.Variable(60 * SCORES), Tensor(60 * SCORES, requires_grad=True)
    with tensorflow.GradientTape() as tape:
        expected = theirs(y_true, getattr(keras.activations, activation)(scores))
    y = ours.with_logits()(y_true, x)
    y.backward()
    assert y.item() == pytest.approx(expected.numpy(), rel=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), tape.gradient(expected, scores).numpy(), rtol=1e-4, atol=1e-6)
