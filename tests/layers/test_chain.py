"""Chain and SkipConnection: parts of a chain, and errors and warnings that say where."""

import warnings

import numpy as np
import pytest

from minidl import Chain, Conv, Dense, MaxPool, SkipConnection, Tensor, flatten, no_grad, relu, softmax
from minidl.functions import add, logsoftmax
from minidl.losses import crossentropy, logitcrossentropy

SOFTMAX_TWICE = "softmax is applied twice"


def test_a_slice_shares_its_layers():
    chain = Chain(Dense(2, 3), relu, Dense(3, 1))
    part = chain[1:]
    assert isinstance(part, Chain)
    assert (len(chain), len(part)) == (3, 2)
    assert part[1] is chain[2] is chain[-1]
    assert list(chain) == [chain[0], relu, chain[2]]
    x = Tensor([[1.0, 2.0]])
    np.testing.assert_array_equal(chain[1:](chain[:1](x)).numpy(), chain(x).numpy())


def test_layers_may_be_any_callable_and_nothing_else():
    x = Tensor([[1.0, -2.0]])
    np.testing.assert_array_equal(Chain(lambda x: 2 * x, relu)(x).numpy(), [[2, 0]])
    assert Chain()(x) is x
    with pytest.raises(TypeError, match="expected layers or functions, got 3 at position 1"):
        Chain(relu, 3)


def test_a_skip_connection_adds_what_it_skips():
    dense = Dense(2, 2)
    x = np.array([[1.0, 2.0]], np.float32)
    expected = x @ dense.weight.numpy() + x
    for layer in (SkipConnection(dense, add), SkipConnection(Chain(dense), add)):
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-6)
        np.testing.assert_allclose(layer(Tensor(x)).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "shape", "message", "notes"),
    [
        (
            Chain(Conv((3, 3), (3, 4)), relu),
            (2, 9, 9, 4),
            r"conv2d: expected images \(n, h, w, 3\), got \(2, 9, 9, 4\)",
            ["in layer 0 of the Chain, Conv((3, 3), (3, 4)), given a tensor of shape (2, 9, 9, 4)"],
        ),
        (
            Chain(relu, Chain(flatten, Dense(8, 2))),
            (2, 3, 3, 1),
            r"dense: expected x \(n, 8\), got \(2, 9\)",
            [
                "in layer 1 of the Chain, Dense(8, 2), given a tensor of shape (2, 9)",
                "in layer 1 of the Chain, Chain(flatten, Dense(8, 2)), given a tensor of shape (2, 3, 3, 1)",
            ],
        ),
        (
            Chain(SkipConnection(MaxPool(2), add)),
            (1, 4, 4, 1),
            "expected shapes that broadcast",
            ["in layer 0 of the Chain, SkipConnection(MaxPool(2), add), given a tensor of shape (1, 4, 4, 1)"],
        ),
    ],
    ids=["conv", "nested", "skip"],
)
def test_an_error_names_the_layer_and_its_index(model, shape, message, notes):
    with pytest.raises(ValueError, match=message) as caught:
        model(np.zeros(shape, np.float32))
    assert caught.value.__notes__ == notes


@pytest.mark.parametrize("last", [softmax, logsoftmax], ids=lambda last: last.__name__)
def test_softmax_before_logitcrossentropy_is_warned_of(last):
    predicted = Chain(Dense(2, 3), last)(np.ones((1, 2), np.float32))
    with pytest.warns(UserWarning, match=SOFTMAX_TWICE):
        logitcrossentropy(predicted, np.eye(3, dtype=np.float32)[:1])


@pytest.mark.parametrize("first", [softmax, logsoftmax], ids=lambda first: first.__name__)
def test_a_second_softmax_is_warned_of(first):
    with pytest.warns(UserWarning, match=SOFTMAX_TWICE):
        Chain(Dense(2, 3), first, softmax)(np.ones((1, 2), np.float32))


def test_softmax_once_is_fine():
    x, y = np.ones((1, 2), np.float32), np.eye(3, dtype=np.float32)[:1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crossentropy(Chain(Dense(2, 3), softmax)(x), y).backward()
        logitcrossentropy(Dense(2, 3)(x), y).backward()
        with no_grad():  # asked for without training: a person's own business
            softmax(softmax(x))
