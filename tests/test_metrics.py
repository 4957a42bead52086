"""Accuracy and the number of correct rows."""

import numpy as np
import pytest

from minidl import Tensor
from minidl.metrics import accuracy, correct

PREDICTED = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]], np.float32)
TARGET = np.eye(2, dtype=np.float32)[[1, 0, 0, 0]]  # the tie in the last row goes to the first class


@pytest.mark.parametrize("wrap", [np.asarray, Tensor, lambda x: Tensor(x, "reference"), np.ndarray.tolist])
def test_rows_that_are_right(wrap):
    assert correct(wrap(PREDICTED), wrap(TARGET)) == 3
    assert accuracy(wrap(PREDICTED), wrap(TARGET)) == 0.75


@pytest.mark.parametrize("metric", [correct, accuracy])
def test_labels_in_place_of_one_hot_rows_are_refused(metric):
    with pytest.raises(ValueError, match=rf"{metric.__name__}: .* got \(4, 2\) and \(4,\); .*onehotbatch"):
        metric(PREDICTED, np.array([1, 0, 0, 0]))


def test_no_rows_have_no_accuracy():
    assert correct(PREDICTED[:0], TARGET[:0]) == 0
    with pytest.raises(ValueError, match="accuracy: expected at least one row"):
        accuracy(PREDICTED[:0], TARGET[:0])
