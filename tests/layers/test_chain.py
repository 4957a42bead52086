"""Chain and SkipConnection: parts of a chain, and errors and warnings that say where."""

import warnings

import numpy as np
import pytest

from minidl import (
    BatchNorm,
    Chain,
    Conv,
    Dense,
    MaxPool,
    Parallel,
    SkipConnection,
    Tensor,
    activations,
    flatten,
    grad,
    no_grad,
    relu,
    softmax,
    training_mode,
)
from minidl.functions import add, logsoftmax
from minidl.losses import crossentropy, logitcrossentropy
from minidl.modes import evaluation_mode

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


def test_parallel_branches_are_joined():
    double, square = (lambda x: 2 * x), (lambda x: x * x)
    both = Parallel(add, double, square)
    assert both(np.array([3.0], np.float32)).item() == 6 + 9
    assert both(np.array([3.0], np.float32), np.array([5.0], np.float32)).item() == 6 + 25
    assert Parallel(add, double, square).code() == "Parallel(add, <lambda>, <lambda>)"
    with pytest.raises(ValueError, match="Parallel: expected one input or 2, got 3"):
        both(1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="at least one layer"):
        Parallel(add)
    with pytest.raises(TypeError, match="expected layers or functions, got 3 at position 1"):
        Parallel(add, relu, 3)


def test_parameters_of_branches_have_names():
    assert list(Parallel(add, Dense(1, 1), Dense(1, 1)).params()) == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias",
    ]  # fmt: skip


def test_activations_are_what_each_layer_gives():
    chain = Chain(Conv((3, 3), (1, 2), relu), flatten, Dense(8, 3))
    x = np.random.default_rng(0).random((2, 4, 4, 1), np.float32)
    outputs = activations(chain, x)
    assert [y.shape for y in outputs] == [(2, 2, 2, 2), (2, 8), (2, 3)]
    np.testing.assert_array_equal(outputs[-1].numpy(), chain(x).numpy())
    with pytest.raises(ValueError, match="expected images") as raised:
        activations(chain, x[0])
    assert raised.value.__notes__[0].startswith("in layer 0 of the Chain, Conv(")


def test_outputsize_is_the_shape_that_comes_out():
    chain = Chain(Conv((3, 3), (1, 2)), BatchNorm(2), flatten, Dense(8, 3))
    before = {name: x.numpy().copy() for name, x in chain.tensors().items()}
    with training_mode():
        assert chain.outputsize((5, 4, 4, 1)) == (5, 3)
        assert chain[:1].outputsize([1, 6, 5, 1]) == (1, 4, 3, 2)
    for name, x in chain.tensors().items():
        np.testing.assert_array_equal(x.numpy(), before[name])
    with pytest.raises(ValueError, match=r"dense: expected x \(n, 8\), got \(1, 24\)"):
        chain.outputsize((1, 6, 5, 1))


@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_batch_norm_and_relu_behind_it_are_one_kernel(mode):
    x = Tensor(np.random.default_rng(0).standard_normal((5, 3)), requires_grad=True)
    results = []
    for chain in (Chain(BatchNorm(3), relu), Chain(BatchNorm(3, relu))):
        chain.to(dtype="float64")
        with training_mode() if mode == "training" else evaluation_mode():
            y = chain(x)
        results.append([y, *grad((y * y).sum(), (x, *chain.params().values())), *chain.tensors().values()])
    assert results[0][0]._op == results[1][0]._op
    for apart, together in zip(*results, strict=True):
        np.testing.assert_array_equal(apart.numpy(), together.numpy())


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
            ["in layers 0-1 of the Chain: Conv((3, 3), (3, 4)), relu, given a tensor of shape (2, 9, 9, 4)"],
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
