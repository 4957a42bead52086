"""Losses of the Keras front door, without Keras: by hand, gradients, reductions, names and errors."""

import math
from functools import partial

import numpy as np
import pytest

import minidl.losses
from minidl.gradient_check import check_gradients
from minidl.keras import losses
from minidl.tensor import Tensor

random = np.random.default_rng(0)
SCORES = random.normal(size=(4, 3))
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(-1, keepdims=True)
LABELS = np.array([2, 0, 1, 1])
ROWS = np.eye(3)[LABELS]
YES = random.integers(0, 2, (4, 3)).astype(float)
NUMBERS = random.normal(size=(4, 3))
POSITIVE = random.uniform(0.2, 2, (4, 3))
LOG = math.log

BY_HAND = [
    (losses.mean_squared_error, [[1, 2]], [[2.0, 4.0]], [2.5]),
    (losses.mean_absolute_error, [[1, 2]], [[2.0, 4.0]], [1.5]),
    (losses.mean_absolute_percentage_error, [[1, 2]], [[2.0, 3.0]], [75]),
    (losses.mean_squared_logarithmic_error, [[0, math.e - 1]], [[0.0, 0.0]], [0.5]),
    (losses.huber, [[0, 0]], [[0.5, 3.0]], [(0.125 + 2.5) / 2]),
    (partial(losses.huber, delta=0.5), [[0, 0]], [[0.25, 0.75]], [(0.03125 + 0.25) / 2]),
    (losses.log_cosh, [[0, 0]], [[1.0, -2.0]], [(LOG(math.cosh(1)) + LOG(math.cosh(2))) / 2]),
    (losses.kl_divergence, [[0.5, 0.5]], [[0.25, 0.75]], [0.5 * LOG(2) + 0.5 * LOG(2 / 3)]),
    (losses.poisson, [[1, 2]], [[math.e, 1.0]], [(math.e - 1 + 1) / 2]),
    (losses.hinge, [[0, 1]], [[0.5, 0.25]], [(1.5 + 0.75) / 2]),
    (losses.hinge, [[-1, 1]], [[0.5, 0.25]], [(1.5 + 0.75) / 2]),
    (losses.squared_hinge, [[-1, 1]], [[0.5, 2.0]], [1.125]),
    (losses.categorical_hinge, [[0, 1, 0]], [[0.5, 1.0, 0.75]], [0.75]),
    (losses.cosine_similarity, [[1, 0]], [[3.0, 4.0]], [-0.6]),
    (losses.cosine_similarity, [[1, 0]], [[1e-6, 0.0]], [-1]),
    (losses.cosine_similarity, [[1, 0]], [[1e-8, 0.0]], [-0.1]),
    (losses.categorical_crossentropy, [[0, 1]], [[1.0, 3.0]], [LOG(4 / 3)]),
    (losses.categorical_crossentropy, [[0, 1]], [[0.0, 1.0]], [1e-7]),
    (losses.categorical_crossentropy, [[1, 0]], [[0.0, 1.0]], [-LOG(1e-7)]),
    (losses.sparse_categorical_crossentropy, [1], [[0.25, 0.75]], [LOG(4 / 3)]),
    (losses.binary_crossentropy, [[1, 0]], [[0.25, 0.25]], [(LOG(4) + LOG(4 / 3)) / 2]),
    (losses.binary_crossentropy, [[1]], [[0.0]], [-LOG(1e-7)]),
]


@pytest.mark.parametrize(("loss", "y_true", "y_pred", "expected"), BY_HAND)
def test_by_hand(loss, y_true, y_pred, expected):
    np.testing.assert_allclose(loss(np.array(y_true), Tensor(np.array(y_pred))).numpy(), expected, rtol=1e-5)


CASES = [
    (losses.MeanSquaredError(), NUMBERS, SCORES),
    (losses.MeanAbsoluteError(), NUMBERS, SCORES),
    (losses.MeanAbsolutePercentageError(), NUMBERS, SCORES),
    (losses.MeanSquaredLogarithmicError(), NUMBERS + 3, POSITIVE),
    (losses.Huber(), NUMBERS, SCORES),
    (losses.Huber(delta=0.5), NUMBERS, SCORES),
    (losses.LogCosh(), NUMBERS, SCORES),
    (losses.KLDivergence(), ROWS, PROBABILITIES),
    (losses.Poisson(), LABELS[:, None] * np.ones(3), POSITIVE),
    (losses.Hinge(), YES, SCORES),
    (losses.SquaredHinge(), YES, SCORES),
    (losses.CategoricalHinge(), ROWS, SCORES),
    (losses.CosineSimilarity(), NUMBERS, SCORES),
    (losses.CosineSimilarity(axis=0), NUMBERS, SCORES),
    (losses.CategoricalCrossentropy(), ROWS, PROBABILITIES),
    (losses.CategoricalCrossentropy(label_smoothing=0.1), ROWS, PROBABILITIES),
    (losses.CategoricalCrossentropy(from_logits=True), ROWS, SCORES),
    (losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), ROWS, SCORES),
    (losses.SparseCategoricalCrossentropy(), LABELS, PROBABILITIES),
    (losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, SCORES),
    (losses.SparseCategoricalCrossentropy(ignore_class=1), LABELS, PROBABILITIES),
    (losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1), np.array([2, -1, -1, 0]), SCORES),
    (losses.BinaryCrossentropy(), YES, PROBABILITIES),
    (losses.BinaryCrossentropy(label_smoothing=0.1), YES, PROBABILITIES),
    (losses.BinaryCrossentropy(from_logits=True), YES, SCORES),
]
WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0])


def name(value):
    return value.name if isinstance(value, losses.Loss) else ""


@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize(("loss", "y_true", "y_pred"), CASES, ids=name)
def test_gradients(loss, y_true, y_pred, sample_weight):
    weights = None if sample_weight is None else sample_weight[: loss.call(y_true, Tensor(y_pred)).size]
    check_gradients(lambda x: loss(y_true, x, weights), y_pred)


@pytest.mark.parametrize("backend", ["reference", pytest.param("gpu", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(("loss", "y_true", "y_pred"), CASES, ids=name)
def test_backends_agree(loss, y_true, y_pred, backend):
    x, there = Tensor(y_pred, requires_grad=True), Tensor(y_pred, backend, requires_grad=True)
    loss(y_true, x).backward()
    loss(y_true, there).backward()
    np.testing.assert_allclose(there.grad.numpy(), x.grad.numpy(), rtol=1e-12, atol=1e-14)


def dtypes_of(y_true):
    whole = (y_true == np.round(y_true)).all() and y_true.min() >= 0
    return ["float32", "float64", *(["int64", "uint8", "int8"] if whole else [])]


@pytest.mark.parametrize(("loss", "y_true", "y_pred"), CASES, ids=name)
def test_targets_may_have_any_number_type(loss, y_true, y_pred):
    predicted = Tensor(y_pred.astype(np.float32))
    expected = loss(y_true, predicted)
    assert expected.dtype == np.float32
    for dtype in dtypes_of(y_true):
        for target in (y_true.astype(dtype), Tensor(y_true.astype(dtype)), y_true.astype(dtype).tolist()):
            np.testing.assert_allclose(loss(target, predicted).numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("loss", "y_true"),
    [(losses.CategoricalCrossentropy(from_logits=True), ROWS),
     (losses.CategoricalCrossentropy().with_logits(), ROWS),
     (losses.SparseCategoricalCrossentropy(from_logits=True), LABELS),
     (losses.SparseCategoricalCrossentropy().with_logits(), LABELS[:, None])],
)  # fmt: skip
def test_crossentropies_of_scores_are_minidls_bit_for_bit(loss, y_true, dtype):
    x, same = (Tensor(SCORES.astype(dtype), requires_grad=True) for _ in range(2))
    ours, minidls = loss(y_true, x), minidl.losses.logitcrossentropy(same, Tensor(ROWS.astype(dtype)))
    ours.backward()
    minidls.backward()
    np.testing.assert_array_equal(ours.numpy(), minidls.numpy())
    np.testing.assert_array_equal(x.grad.numpy(), same.grad.numpy())


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax"),
        (losses.SparseCategoricalCrossentropy(ignore_class=1), "softmax"),
        (losses.BinaryCrossentropy(), "sigmoid"),
        (losses.get("categorical_crossentropy", (4, 3), (4, 3)), "softmax"),
        (losses.get("bce", (4, 1), (4, 1)), "sigmoid"),
    ],
    ids=name,
)
def test_crossentropies_tell_which_activation_they_expect(loss, activation):
    assert loss.expects == activation
    again = loss.with_logits()
    assert again.expects is None
    assert (again.name, again.reduction) == (loss.name, loss.reduction)
    assert again.settings == {**loss.settings, "from_logits": True}
    y_true = LABELS if "sparse" in loss.name else ROWS
    through = {"softmax": minidl.softmax, "sigmoid": minidl.sigmoid}[activation]
    scores = Tensor(SCORES)
    np.testing.assert_allclose(again(y_true, scores).numpy(), loss(y_true, through(scores)).numpy(), rtol=1e-6)


@pytest.mark.parametrize("loss", [losses.MeanSquaredError(), losses.CategoricalCrossentropy(from_logits=True)])
def test_other_losses_expect_no_activation(loss):
    assert loss.expects is None
    with pytest.raises(ValueError, match="expected a cross-entropy of probabilities"):
        loss.with_logits()


class Plain(losses.Loss):
    """Hands its targets on as the losses."""

    def call(self, y_true, y_pred):
        return y_true + 0 * y_pred


VALUES = np.array([1.0, 2.0, 4.0, 5.0])


@pytest.mark.parametrize(
    ("reduction", "sample_weight", "expected"),
    [
        ("sum_over_batch_size", None, 3),
        ("sum_over_batch_size", WEIGHTS, 9.5 / 4),
        ("mean", WEIGHTS, 9.5 / 4),
        ("mean_with_sample_weight", WEIGHTS, 9.5 / 3.5),
        ("mean_with_sample_weight", None, 3),
        ("mean_with_sample_weight", np.zeros(4), 0),
        ("sum", None, 12),
        ("sum", WEIGHTS, 9.5),
        ("none", None, VALUES),
        (None, WEIGHTS, VALUES * WEIGHTS),
        ("sum", 0.5, 6),
        ("sum", WEIGHTS[:, None], 9.5),
    ],
)
def test_reductions(reduction, sample_weight, expected):
    loss = Plain(reduction=reduction)(VALUES, np.zeros(4, np.float64), sample_weight)
    np.testing.assert_allclose(loss.numpy(), expected)


@pytest.mark.parametrize(
    ("reduction", "sample_weight", "expected"),
    [
        ("sum_over_batch_size", None, 2),
        ("sum_over_batch_size", [1, 3, 1, 1], (1 + 9) / 2),
        ("mean_with_sample_weight", [1, 3, 1, 1], (1 + 9) / 4),
        ("sum", None, 4),
        ("none", None, [1, 3, 0, 0]),
    ],
)
def test_samples_of_an_ignored_class_do_not_count(reduction, sample_weight, expected):
    """Scores whose loss is 1, 3 and whatever it may be, even nan, for those that are ignored."""
    scores = np.array([[0, LOG(math.e - 1)], [0, LOG(math.e**3 - 1)], [5, 5], [np.nan, 0]])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255, reduction=reduction)
    for labels in ([0, 0, 255, 255], [[0], [0], [255], [255]]):
        x = Tensor(scores, requires_grad=True)
        y = loss(np.array(labels, np.uint8), x, sample_weight)
        np.testing.assert_allclose(y.numpy(), expected)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy()[2:], 0)
    assert losses.SparseCategoricalCrossentropy(ignore_class=1)([1, 1], [[0.5, 0.5]] * 2).item() == 0


def test_a_function_is_a_loss():
    """Its targets come as a tensor of the predictions' shape and type, so that (4,) - (4, 1) is not (4, 4)."""

    def my_loss(y_true, y_pred):
        assert (y_true.shape, y_true.dtype) == (y_pred.shape, y_pred.dtype)
        return ((y_true - y_pred) ** 2).mean(-1)

    loss = losses.get(my_loss, (4,), (4, 1))
    assert losses.get(my_loss) is my_loss
    assert loss.name == "my_loss"
    assert loss(LABELS, Tensor(np.zeros((4, 1), np.float32))).item() == pytest.approx((LABELS**2).mean())


@pytest.mark.parametrize(
    ("y_true_shape", "y_pred_shape", "function"),
    [
        ((4,), (4, 1), losses.binary_crossentropy),
        ((4, 1), (4, 1), losses.binary_crossentropy),
        ((4,), (4, 3), losses.sparse_categorical_crossentropy),
        ((4, 1), (4, 3), losses.sparse_categorical_crossentropy),
        ((4, 3), (4, 3), losses.categorical_crossentropy),
    ],
)
def test_crossentropy_is_the_one_that_fits(y_true_shape, y_pred_shape, function):
    assert losses.get("crossentropy", y_true_shape, y_pred_shape).fn is function
    assert losses.get("ce", y_true_shape, y_pred_shape).fn is function


def test_losses_have_names():
    assert losses.get("mse") is losses.get("MSE") is losses.get(losses.mean_squared_error) is losses.mean_squared_error
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError)
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    assert losses.get(None) is None
    assert losses.get("mse", (4, 3), (4, 3)).name == "mse"
    assert Plain().name == "plain"


@pytest.mark.parametrize(("loss", "y_true", "y_pred"), CASES, ids=name)
def test_a_configuration_makes_an_equal_loss(loss, y_true, y_pred):
    again = losses.get(losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(again(y_true, y_pred).numpy(), loss(y_true, y_pred).numpy())
    assert losses.deserialize(losses.serialize(losses.mean_squared_error)) is losses.mean_squared_error


def test_one_class_is_warned_of():
    with pytest.warns(UserWarning, match="use binary_crossentropy"):
        losses.categorical_crossentropy([[1]], [[0.5]])


sparse, rows = losses.sparse_categorical_crossentropy, losses.CategoricalCrossentropy()


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: sparse([0, 3, 1, 1], SCORES), ValueError, "from 0 to 2 .* classes is 3, got 3 at index .1,."),
        (lambda: sparse([[0], [1]], np.ones((2, 1))), ValueError, "got 1 at index .1,.; binary_crossentropy takes one"),
        (lambda: sparse([0, -1, 1, 1], SCORES), ValueError, r"got -1 at index \(1,\)"),
        (lambda: sparse([0, 0.5, 1, 1], SCORES), ValueError, "got 0.5 at index"),
        (lambda: sparse([0, np.nan, 1, 1], SCORES), ValueError, "got nan at index"),
        (lambda: sparse(["a"] * 4, SCORES), TypeError, "expected numbers as labels"),
        (lambda: sparse(ROWS, SCORES), ValueError, "one-hot rows go with categorical_crossentropy"),
        (lambda: sparse([0, 1], SCORES), ValueError, r"expected labels \(4,\) .* got \(2,\); there must be one label"),
        (lambda: sparse(np.zeros(0), np.zeros((0, 3))), ValueError, "at least one sample"),
        (lambda: rows(LABELS, SCORES), ValueError, r"got \(4,\) and \(4, 3\); turn labels into rows with to_categor"),
        (lambda: rows(ROWS, SCORES[:, :2]), ValueError, r"got \(4, 3\) and \(4, 2\)"),
        (lambda: losses.MeanSquaredError()(YES[:, :1], SCORES), ValueError, r"one shape, got \(4, 1\) and \(4, 3\)"),
        (lambda: losses.MeanSquaredError()(1.0, 2.0), ValueError, r"at least one sample, got shape \(\)"),
        (lambda: rows(ROWS, SCORES, WEIGHTS[:2]), ValueError, r"sample_weight of shape \(4,\).* got \(2,\)"),
        (lambda: rows(ROWS, SCORES, np.ones((4, 3))), ValueError, r"got \(4, 3\)"),
        (lambda: losses.categorical_crossentropy(ROWS, SCORES, axis=0), NotImplementedError, "along the last axis"),
        (lambda: losses.MeanSquaredError("average"), ValueError, "reduction one of .*'average'"),
        (lambda: losses.MeanSquaredError(dtype="float16"), NotImplementedError, "dtype None or 'float32'"),
        (lambda: losses.get("mean_square_error"), ValueError, "loss: expected one of .*'mean_square_error'"),
        (lambda: losses.get("Dice"), NotImplementedError, "does not have Keras's 'Dice'"),
        (lambda: losses.get("binary_focal_crossentropy"), NotImplementedError, "does not have Keras's"),
        (lambda: losses.get(3), ValueError, "loss: expected a name"),
        (lambda: losses.get(lambda a, b: 3, (4, 3), (4, 3))(ROWS, SCORES), TypeError, "return a Tensor, got int"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(attempt, error, message):
    with pytest.raises(error, match=message):
        attempt()
