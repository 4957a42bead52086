"""Metrics of the Keras front door, without Keras: by hand, batch by batch, weighted, on every backend."""

import math

import numpy as np
import pytest

from minidl.keras import losses, metrics
from minidl.tensor import Tensor

random = np.random.default_rng(0)
SCORES = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.4, 0.35, 0.25]])
LABELS = np.array([1, 2, 2, 1])  # right, not even second, right, second
ROWS = np.eye(3)[LABELS]
YES, CHANCE = np.array([1, 0, 1, 1, 0]), np.array([0.9, 0.6, 0.4, 0.8, 0.1])

CASES = [
    (metrics.Accuracy(), [[1], [2], [3]], [[1], [0], [3]], 2 / 3),
    (metrics.BinaryAccuracy(), YES, CHANCE, 3 / 5),
    (metrics.BinaryAccuracy(threshold=0.3), YES[:, None], CHANCE[:, None], 4 / 5),
    (metrics.BinaryAccuracy(), YES, CHANCE[:, None], 3 / 5),
    (metrics.CategoricalAccuracy(), ROWS, SCORES, 2 / 4),
    (metrics.SparseCategoricalAccuracy(), LABELS, SCORES, 2 / 4),
    (metrics.SparseCategoricalAccuracy(), LABELS[:, None].astype(np.uint8), SCORES, 2 / 4),
    (metrics.TopKCategoricalAccuracy(k=2), ROWS, SCORES, 3 / 4),
    (metrics.SparseTopKCategoricalAccuracy(k=2), LABELS, SCORES, 3 / 4),
    (metrics.SparseTopKCategoricalAccuracy(k=1), LABELS[:, None], SCORES, 2 / 4),
    (metrics.SparseTopKCategoricalAccuracy(k=1), [1, 1, 1], [[0.5, 0.5, 0], [0.5, np.nan, 0], [0.5, np.inf, 0]], 1 / 3),
    (metrics.MeanSquaredError(), [[1, 2], [3, 4]], [[1.0, 4.0], [3, 4]], 1),
    (metrics.RootMeanSquaredError(), [[1, 2], [3, 4]], [[1.0, 6.0], [3, 4]], 2),
    (metrics.MeanAbsoluteError(), [1, 2], [[2.0], [4.0]], 1.5),
    (metrics.MeanAbsolutePercentageError(), [[1, 2]], [[2.0, 3.0]], 75),
    (metrics.MeanSquaredLogarithmicError(), [[0, math.e - 1]], [[0.0, 0.0]], 0.5),
    (metrics.LogCoshError(), [[0]], [[2.0]], math.log(math.cosh(2))),
    (metrics.CosineSimilarity(), [[1, 0], [0, 1]], [[3.0, 4.0], [3.0, 4.0]], 0.7),
    (metrics.Hinge(), [[0, 1]], [[0.5, 0.25]], 1.125),
    (metrics.SquaredHinge(), [[-1, 1]], [[0.5, 2.0]], 1.125),
    (metrics.CategoricalHinge(), [[0, 1, 0]], [[0.5, 1.0, 0.75]], 0.75),
    (metrics.Poisson(), [[1, 2]], [[math.e, 1.0]], math.e / 2),
    (metrics.KLDivergence(), [[0.5, 0.5]], [[0.25, 0.75]], 0.5 * math.log(4 / 3)),
    (metrics.BinaryCrossentropy(), [[1], [0]], [[0.25], [0.25]], (math.log(4) + math.log(4 / 3)) / 2),
    (metrics.BinaryCrossentropy(from_logits=True), [[1]], [[0.0]], math.log(2)),
    (metrics.CategoricalCrossentropy(), [[0, 1]], [[0.25, 0.75]], math.log(4 / 3)),
    (metrics.SparseCategoricalCrossentropy(from_logits=True), [1, 0], [[0.0, 0.0], [1.0, 1.0]], math.log(2)),
    (metrics.Precision(), YES, CHANCE, 2 / 3),
    (metrics.Precision(thresholds=[0.85, 0.05]), YES, CHANCE, [1, 3 / 5]),
    (metrics.Precision(class_id=1), ROWS, SCORES, 1),
    (metrics.Precision(top_k=2), ROWS, SCORES, 3 / 8),
    (metrics.Recall(), YES, CHANCE, 2 / 3),
    (metrics.Recall(thresholds=0.3), YES[:, None], CHANCE, 1),
    (metrics.Recall(class_id=1), ROWS, SCORES, 1 / 2),
    (metrics.Recall(class_id=1, top_k=2), ROWS, SCORES, 1),
    (metrics.TruePositives(), YES, CHANCE, 2),
    (metrics.FalsePositives(), YES, CHANCE, 1),
    (metrics.TrueNegatives(), YES, CHANCE, 1),
    (metrics.FalseNegatives(thresholds=[0.5, 0.85]), YES, CHANCE, [1, 2]),
    (metrics.Precision(), YES > 0, CHANCE > 0.5, 2 / 3),
    (metrics.AUC(), YES, CHANCE, 5 / 6),
    (metrics.AUC(thresholds=[0.5]), YES, CHANCE, 7 / 12),
    (metrics.AUC(from_logits=True), YES, np.log(CHANCE / (1 - CHANCE)), 5 / 6),
    (metrics.F1Score(), ROWS, SCORES, [0, 2 / 3, 2 / 3]),
    (metrics.F1Score("macro"), ROWS, SCORES, 4 / 9),
    (metrics.F1Score("micro"), ROWS, SCORES, 2 / 4),
    (metrics.F1Score("weighted"), ROWS, SCORES, 2 / 3),
    (metrics.F1Score(threshold=0.25), ROWS, SCORES, [0, 2 / 3, 2 / 3]),
    (metrics.FBetaScore(beta=2.0), ROWS, SCORES, [0, 5 / 9, 5 / 9]),
]  # fmt: skip
IDS = [f"{type(metric).__name__}-{number}" for number, (metric, *_) in enumerate(CASES)]


@pytest.mark.parametrize("backend", [None, "cpu", "reference", pytest.param("gpu", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(("metric", "y_true", "y_pred", "expected"), CASES, ids=IDS)
def test_by_hand(metric, y_true, y_pred, expected, backend):
    """All at once, sample by sample, weighted by one and the same number: all the same."""
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    predicted = y_pred if backend is None else Tensor(y_pred, backend)
    metric.reset_state()
    approximately = pytest.approx(np.array(expected), rel=1e-5, abs=1e-6)
    assert np.array(metric(y_true, predicted)) == approximately
    metric.reset_state()
    for i in range(len(y_true)):
        metric.update_state(y_true[i : i + 1], y_pred[i : i + 1])
    assert np.array(metric.result()) == approximately
    metric.reset_state()
    metric.update_state(y_true, predicted, np.full(len(y_true), 1.0))
    assert np.array(metric.result()) == approximately


@pytest.mark.parametrize(("metric", "y_true", "y_pred", "expected"), CASES, ids=IDS)
def test_a_sample_of_weight_2_counts_twice_and_one_of_0_not_at_all(metric, y_true, y_pred, expected):
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    weights = [2, 0, 1, 1, 1][: len(y_true)] if len(y_true) > 1 else [2]
    chosen = np.repeat(np.arange(len(y_true)), weights)
    metric.reset_state()
    repeated = metric(y_true[chosen], y_pred[chosen])
    metric.reset_state()
    np.testing.assert_allclose(metric(y_true, y_pred, weights), repeated, rtol=1e-6)


@pytest.mark.parametrize(("metric", "y_true", "y_pred", "expected"), CASES, ids=IDS)
def test_a_configuration_makes_an_equal_metric(metric, y_true, y_pred, expected):
    again = metrics.get(metrics.serialize(metric))
    assert again.get_config() == metric.get_config()
    np.testing.assert_allclose(again(y_true, y_pred), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("metric", "y_true", "y_pred", "expected"), CASES, ids=IDS)
def test_forgotten_batches_and_no_batches(metric, y_true, y_pred, expected):
    metric.update_state(y_true, y_pred)
    metric.reset_state()
    assert not np.any(metric.result())


def test_the_area_under_a_precision_recall_curve():
    """Between two thresholds, right grows in a straight line with all that is predicted yes: integrate finely."""
    yes, chance = random.random(40) < 0.4, random.random(40)
    edges = [-1, 0.3, 0.5, 0.8, 2]
    right, said = ([float(x[chance > edge].sum()) for edge in edges] for x in (yes, np.ones(40)))
    area = 0.0
    for i in range(4):
        part = (np.arange(100_000) + 0.5) / 100_000
        precision = (right[i + 1] + part * (right[i] - right[i + 1])) / (said[i + 1] + part * (said[i] - said[i + 1]))
        area += precision.mean() * (right[i] - right[i + 1]) / yes.sum()
    assert metrics.AUC(curve="PR", thresholds=edges[1:-1])(yes, chance) == pytest.approx(area, rel=1e-6)


def test_mean_and_sum_of_values():
    mean, total = metrics.Mean(), metrics.Sum()
    for metric in (mean, total):
        metric.update_state([1, 3, 5, 7])
        metric.update_state(9.0)
    assert (mean.result(), total.result()) == (5, 25)
    assert metrics.Mean()([[1, 3], [5, 7]], [0.5, 0]) == 2
    assert metrics.Mean()(Tensor([[1, 3], [5, 7]]), [[1.0], [3.0]]) == 5
    assert metrics.Sum()([[1, 3], [5, 7]], [0.5, 1]) == 14
    assert metrics.Mean()([2, 4], 0.5) == 3


def test_weights_may_be_finer_than_samples():
    """Weights (n, t) of matches (n, t): each sample weighs the mean of its weights, as in Keras."""
    labels, scores = np.array([[0, 1], [1, 1]]), np.array([[[1.0, 0], [1, 0]], [[0, 1], [1, 0]]])
    weights = np.array([[1.0, 0], [1, 1]])
    metric = metrics.SparseCategoricalAccuracy()
    assert metric(labels, scores, weights) == pytest.approx((0.5 + 0.5) / (0.5 + 1))


class Biggest(metrics.Metric):
    """A metric of one's own, in the manner of Keras's documentation."""

    def __init__(self, name="biggest", **settings):
        super().__init__(name=name, **settings)
        self.seen = self.add_weight(name="seen", initializer="zeros")
        self.largest = self.add_weight(shape=(2,), name="largest")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(len(y_true))
        self.largest.assign(np.maximum(self.largest, np.max(y_pred, 0)))

    def result(self):
        return self.largest * 2 + self.seen - self.largest[0]


def test_a_metric_of_ones_own():
    metric = Biggest()
    metric.update_state([1, 2], [[3, 1], [2, 5]])
    np.testing.assert_array_equal(metric([1], [[4, 0]]), [7, 9])
    metric.reset_state()
    np.testing.assert_array_equal(metric.result(), [0, 0])
    assert float(metric.seen) == 0
    assert metrics.deserialize(metrics.serialize(metric), {"Biggest": Biggest}).name == "biggest"


def test_a_function_is_a_metric():
    """It gets tensors, as a loss does, so that one function can be both."""

    def my_error(y_true, y_pred, power=1):
        assert y_true.dtype == y_pred.dtype
        return ((y_true - y_pred) ** 2).mean(-1) ** power

    metric = metrics.get(my_error, (2, 2), (2, 2))
    assert (metric.name, metric([[1, 2], [3, 4]], np.zeros((2, 2), np.float32))) == ("my_error", 7.5)
    assert metrics.MeanMetricWrapper(my_error, "other", power=2)([[1, 2]], [[0.0, 0]]) == 6.25
    assert metrics.get(my_error) is my_error


@pytest.mark.parametrize(
    ("y_true_shape", "y_pred_shape", "kind"),
    [
        ((4,), (4, 1), metrics.BinaryAccuracy),
        ((4, 1), (4, 1), metrics.BinaryAccuracy),
        ((4,), (4, 3), metrics.SparseCategoricalAccuracy),
        ((4, 1), (4, 3), metrics.SparseCategoricalAccuracy),
        ((4, 3), (4, 3), metrics.CategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("identifier", ["accuracy", "acc"])
def test_accuracy_is_the_one_that_fits(identifier, y_true_shape, y_pred_shape, kind):
    metric = metrics.get(identifier, y_true_shape, y_pred_shape)
    assert (type(metric), metric.name) == (kind, identifier)


def test_metrics_have_names():
    assert isinstance(metrics.get("mse"), metrics.MeanSquaredError)
    assert metrics.get("mse", (4, 1), (4, 1)).name == "mse"
    assert metrics.get("mse").name == "mean_squared_error"
    assert isinstance(metrics.get("AUC"), metrics.AUC)
    assert isinstance(metrics.get("f1_score"), metrics.F1Score)
    assert isinstance(metrics.get("accuracy"), metrics.Accuracy)
    found = metrics.get(metrics.Precision)
    assert metrics.get(found, (4, 1), (4, 1)) is found
    assert [found.name, metrics.Precision().name, metrics.Recall().name] == ["precision", "precision_1", "recall"]
    assert metrics.get(None) is None


@pytest.mark.gpu
def test_accuracies_do_not_wait_for_a_gpu(monkeypatch):
    monkeypatch.setattr(Tensor, "numpy", None)
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state(LABELS, Tensor(SCORES, "gpu"), np.ones(4))
    assert not isinstance(metric.total, float | np.ndarray)
    assert metric.result() == 0.5


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: metrics.get("acuracy"), ValueError, "metric: expected one of .*'acuracy'"),
        (lambda: metrics.get("MeanIoU"), NotImplementedError, "does not have Keras's 'MeanIoU'"),
        (lambda: metrics.get("r2_score"), NotImplementedError, "does not have Keras's 'r2_score'"),
        (lambda: metrics.get(3), ValueError, "metric: expected a name"),
        (lambda: metrics.Mean(dtype="float16"), NotImplementedError, "dtype None or 'float32'"),
        (lambda: metrics.categorical_accuracy(LABELS, SCORES), ValueError, "go with sparse_categorical_accuracy"),
        (lambda: metrics.sparse_categorical_accuracy(ROWS, SCORES), ValueError, "rows go with categorical_accuracy"),
        (lambda: metrics.Precision()(LABELS, SCORES), ValueError, "turn labels into rows with to_categorical"),
        (lambda: metrics.Precision(thresholds=2.0), ValueError, "thresholds from 0 to 1, got 2.0"),
        (lambda: metrics.F1Score()(LABELS, SCORES), ValueError, r"\(n, classes\), got \(4,\)"),
        (lambda: metrics.F1Score("mean"), ValueError, "average None, micro, macro or weighted, got 'mean'"),
        (lambda: metrics.FBetaScore(beta=0.0), ValueError, "beta above 0"),
        (lambda: metrics.AUC(curve="PRGAIN"), ValueError, "curve ROC or PR"),
        (lambda: metrics.AUC(num_thresholds=1), ValueError, "num_thresholds of 2 or more, got 1"),
        (lambda: metrics.AUC(multi_label=True), NotImplementedError, "one AUC for each label"),
        (lambda: metrics.MeanSquaredError()(ROWS, SCORES[:, :2]), ValueError, "of one shape"),
        (lambda: losses.get("Mean"), ValueError, "loss: expected one of"),
    ],
)
def test_what_cannot_be_is_refused(attempt, error, message):
    with pytest.raises(error, match=message):
        attempt()
