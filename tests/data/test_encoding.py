"""onehotbatch, label_smoothing and onecold: what they give, that they undo each other, and what they refuse."""

import numpy as np
import pytest

from minidl.data import label_smoothing, onecold, onehotbatch


class TensorLike:
    """Stands for a Tensor on any backend: all that encoding may ask of it is .numpy()."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def numpy(self):
        return self.values


@pytest.mark.parametrize(
    ("labels", "classes", "default", "expected"),
    [
        (np.array([2, 0], np.uint8), range(3), None, [[0, 0, 1], [1, 0, 0]]),
        ([5, 3], [3, 5], None, [[0, 1], [1, 0]]),
        (["b", "a"], ["a", "b", "c"], None, [[0, 1, 0], [1, 0, 0]]),
        (["b", "?"], ("a", "b", "other"), "other", [[0, 1, 0], [0, 0, 1]]),
        ([1, 9], range(2), 0, [[0, 1], [1, 0]]),
        (TensorLike([1]), range(2), None, [[0, 1]]),
        ([], range(2), None, np.zeros((0, 2))),
        ([[0, 1]], range(2), None, [[[1, 0], [0, 1]]]),
    ],
)
def test_onehotbatch_marks_the_class_of_each_label(labels, classes, default, expected):
    hot = onehotbatch(labels, classes, default=default)
    assert hot.dtype == np.float32
    np.testing.assert_array_equal(hot, np.asarray(expected, np.float32), strict=True)


@pytest.mark.parametrize(
    ("labels", "classes", "default", "message"),
    [
        ([1, 10], range(10), None, r"label .*10.* is not one of the 10 classes range\(0, 10\)"),
        (["cat", "cow"], ["cat", "dog"], None, "label .*'cow'.* is not one of the 2 classes"),
        ([0], ["a", "b"], None, "label .*0.* is not one of"),
        ([1, 10], range(10), 11, "default to be one of the classes .*got 11"),
        ([1], [1, 1], None, "each once"),
        ([1], [], None, "each once"),
    ],
)
def test_onehotbatch_refuses(labels, classes, default, message):
    with pytest.raises(ValueError, match=message):
        onehotbatch(labels, classes, default=default)


@pytest.mark.parametrize(
    ("scores", "classes", "expected"),
    [
        ([[0.1, 0.9], [0.8, 0.2]], None, [1, 0]),
        ([[0.1, 0.9], [0.8, 0.2]], ["cat", "dog"], ["dog", "cat"]),
        ([0.1, 0.2, 0.7], range(5, 8), 7),
        ([[0.5, 0.5]], None, [0]),
        (TensorLike([[0.0, 1.0]]), None, [1]),
    ],
)
def test_onecold_names_the_highest_score(scores, classes, expected):
    np.testing.assert_array_equal(onecold(scores, classes), np.asarray(expected))


@pytest.mark.parametrize(
    ("scores", "classes", "message"),
    [
        ([[1.0, 2.0]], ["one"], r"1 classes for scores of shape \(1, 2\)"),
        (3.0, None, r"got shape \(\)"),
        (np.zeros((2, 0)), None, r"got shape \(2, 0\)"),
    ],
)
def test_onecold_refuses(scores, classes, message):
    with pytest.raises(ValueError, match=message):
        onecold(scores, classes)


def test_onecold_undoes_onehotbatch():
    classes = ["ship", "cat", "dog"]
    labels = np.random.default_rng(0).choice(classes, size=50)
    np.testing.assert_array_equal(onecold(onehotbatch(labels, classes), classes), labels)


@pytest.mark.parametrize(
    ("amount", "expected"), [(0, [[0, 1], [1, 0]]), (0.5, [[0.25, 0.75], [0.75, 0.25]]), (1, [[0.5, 0.5]] * 2)]
)
def test_label_smoothing_gives_a_part_to_all_classes(amount, expected):
    smoothed = label_smoothing(onehotbatch([1, 0], range(2)), amount)
    np.testing.assert_array_equal(smoothed, np.array(expected, np.float32), strict=True)


@pytest.mark.parametrize(
    ("targets", "amount", "message"),
    [
        (np.eye(2, dtype=np.float32), -0.1, "from 0 to 1, got -0.1"),
        (np.eye(2, dtype=np.float32), float("nan"), "from 0 to 1, got nan"),
        (np.float32(1), 0.1, r"one-hot rows .*, got an array of shape \(\)"),
    ],
)
def test_label_smoothing_refuses(targets, amount, message):
    with pytest.raises(ValueError, match=message):
        label_smoothing(targets, amount)
