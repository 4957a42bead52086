"""Metrics beside Keras's own, batch by batch, with and without weights."""

import re

import numpy as np
import pytest

from minidl.keras import metrics
from minidl.keras.objects import clear_session

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

pytestmark = pytest.mark.keras

random = np.random.default_rng(0)
SCORES = random.normal(0, 2, (24, 6)).astype(np.float32)
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(-1, keepdims=True)
LABELS = np.where(random.random(24) < 0.6, SCORES.argmax(-1), random.integers(0, 6, 24))
ROWS = np.eye(6, dtype=np.float32)[LABELS]
YES = random.integers(0, 2, 24)
CHANCE = (0.6 * random.random(24) + 0.4 * YES * random.random(24)).astype(np.float32)
NUMBERS = random.normal(size=(24, 6)).astype(np.float32)
GRID, GRID_LABELS = random.random((24, 5, 6)).astype(np.float32), random.integers(0, 6, (24, 5))
ERRORS = ["MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError",
          "MeanSquaredLogarithmicError", "LogCoshError", "CosineSimilarity", "Hinge", "SquaredHinge",
          "CategoricalHinge"]  # fmt: skip
CASES = [
    *((kind, {}, NUMBERS, SCORES) for kind in ERRORS),
    ("MeanSquaredError", {}, YES, CHANCE[:, None]),
    ("RootMeanSquaredError", {}, YES[:, None], CHANCE[:, None]),
    ("Accuracy", {}, LABELS[:, None], LABELS[::-1, None].astype(np.float32)),
    ("BinaryAccuracy", {}, YES, CHANCE),
    ("BinaryAccuracy", {"threshold": 0.3}, YES, CHANCE[:, None]),
    ("BinaryAccuracy", {}, ROWS, PROBABILITIES),
    ("CategoricalAccuracy", {}, ROWS, PROBABILITIES),
    ("CategoricalAccuracy", {}, np.eye(6)[GRID_LABELS], GRID),
    ("SparseCategoricalAccuracy", {}, LABELS, PROBABILITIES),
    ("SparseCategoricalAccuracy", {}, LABELS[:, None].astype(np.float32), PROBABILITIES),
    ("SparseCategoricalAccuracy", {}, GRID_LABELS, GRID),
    ("TopKCategoricalAccuracy", {"k": 2}, ROWS, PROBABILITIES),
    ("TopKCategoricalAccuracy", {"k": 3}, np.eye(6)[GRID_LABELS], GRID),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, LABELS, np.round(PROBABILITIES, 1)),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, GRID_LABELS, GRID),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, np.ones(4, int),
     np.array([[1, 1, 0], [1, np.nan, 0], [1, np.inf, 0], [2, 1, 3]], np.float32)),
    ("BinaryCrossentropy", {}, YES[:, None], CHANCE[:, None]),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ROWS, SCORES),
    ("CategoricalCrossentropy", {}, ROWS, PROBABILITIES),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ROWS, SCORES),
    ("SparseCategoricalCrossentropy", {}, LABELS, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, SCORES),
    ("KLDivergence", {}, PROBABILITIES[::-1].copy(), PROBABILITIES),
    ("Poisson", {}, ROWS, PROBABILITIES),
    *((kind, settings, YES, CHANCE) for kind in ["Precision", "Recall"]
      for settings in [{}, {"thresholds": 0.3}, {"thresholds": [0.7, 0.2]}]),
    *((kind, settings, ROWS, PROBABILITIES) for kind in ["Precision", "Recall"]
      for settings in [{"thresholds": 0.2}, {"class_id": 2}, {"top_k": 2}, {"class_id": 1, "top_k": 2}]),
    *((kind, {"thresholds": [0.3, 0.6]}, YES, CHANCE) for kind in
      ["TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"]),
    *(("AUC", {"curve": curve, "summation_method": method}, YES, CHANCE) for curve in ["ROC", "PR"]
      for method in ["interpolation", "minoring", "majoring"]),
    ("AUC", {"num_thresholds": 5}, YES, CHANCE),
    ("AUC", {"thresholds": [0.7, 0.25]}, YES[:, None], CHANCE[:, None]),
    ("AUC", {"from_logits": True}, YES, SCORES[:, 0]),
    ("AUC", {}, ROWS, PROBABILITIES),
    *((kind, {"average": average}, ROWS, PROBABILITIES) for kind in ["F1Score", "FBetaScore"]
      for average in [None, "micro", "macro", "weighted"]),
    ("F1Score", {"threshold": 0.2}, ROWS, PROBABILITIES),
    ("FBetaScore", {"beta": 2.0, "average": "macro"}, ROWS, PROBABILITIES),
]  # fmt: skip
WEIGHTS = random.uniform(0, 2, 24).astype(np.float32)


def gathered(metric, y_true, y_pred, weights):
    """The results after 9 samples, 18 and so on."""
    results = []
    for i in range(0, len(y_true), 9):
        batch = slice(i, i + 9)
        metric.update_state(y_true[batch], y_pred[batch], None if weights is None else weights[: len(y_true)][batch])
        results.append(np.array(metric.result()))
    return results


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize(("kind", "settings", "y_true", "y_pred"), CASES)
def test_results_agree_after_each_batch(kind, settings, y_true, y_pred, weights):
    ours, theirs = (getattr(module, kind)(**settings) for module in (metrics, keras.metrics))
    expected = gathered(theirs, y_true, y_pred, weights)
    for ours_then, theirs_then in zip(gathered(ours, y_true, y_pred, weights), expected, strict=True):
        np.testing.assert_allclose(ours_then, theirs_then, rtol=1e-5, atol=1e-6)
    assert np.any(expected[-1])


@pytest.mark.parametrize("values", [np.arange(6.0), np.arange(12.0).reshape(3, 2, 2), 5.0], ids=["row", "box", "one"])
@pytest.mark.parametrize("kind", ["Mean", "Sum"])
def test_values_and_weights_of_fewer_axes(kind, values):
    shape = np.shape(values)
    for count in range(len(shape) + 1):
        weights = np.random.default_rng(1).uniform(0, 2, shape[:count])
        ours, theirs = (getattr(module, kind)() for module in (metrics, keras.metrics))
        assert ours(values, weights) == pytest.approx(float(theirs(values, weights)), rel=1e-5)
    assert getattr(metrics, kind)()(values) == pytest.approx(float(getattr(keras.metrics, kind)()(values)), rel=1e-6)


@pytest.mark.parametrize(("kind", "settings", "y_true", "y_pred"), CASES)
def test_configurations_go_both_ways(kind, settings, y_true, y_pred):
    ours, theirs = (getattr(module, kind)(**settings) for module in (metrics, keras.metrics))
    ours.name = theirs.name = "mine"
    here, there = metrics.get(keras.metrics.serialize(theirs)), keras.metrics.get(metrics.serialize(ours))
    assert here.get_config() == ours.get_config()
    if kind != "AUC":  # whose thresholds become an array
        assert there.get_config() == theirs.get_config()


def test_names_mean_the_same():
    for name, kind in metrics.KNOWN.items():
        clear_session()
        ours, theirs = kind(), keras.metrics.get(name)
        assert type(ours).__name__ == type(theirs).__name__
        assert ours.name == re.sub(r"_\d+$", "", theirs.name)  # which Keras counts from test to test


@pytest.mark.parametrize("function", metrics.FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_agree(function):
    y_true = LABELS if "sparse" in function.__name__ else ROWS
    expected = keras.ops.convert_to_numpy(getattr(keras.metrics, function.__name__)(y_true, PROBABILITIES))
    np.testing.assert_allclose(np.array(function(y_true, PROBABILITIES)), expected, rtol=1e-5, atol=1e-6)
