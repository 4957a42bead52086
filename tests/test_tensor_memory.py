"""Depth costs no recursion, and memory is freed at once, without the garbage collector."""

import gc
import threading
import weakref

import numpy as np
import pytest

from minidl import functions as F
from minidl.modes import no_grad
from minidl.tensor import Tensor, grad, record

DEPTH = 10_000


@pytest.fixture(scope="module", autouse=True)
def _compiled_kernels():
    """Numba's compiler leaves cycles behind, which hold the frames that called it and so our tensors."""
    network(leaf(2, 4, 4, 2))[0].backward()


@pytest.fixture(autouse=True)
def _without_garbage_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf(*shape):
    return Tensor(np.full(shape, 0.5), requires_grad=True)


def deep(x):
    y = x
    for number in range(DEPTH):
        y = y * x if number % 2 else y + 0.5
    return y


def run_backward(x):
    deep(x).sum().backward()


def run_grad(x):
    grad(deep(x).sum(), x)


def run_grad_with_create_graph(x):
    (dx,) = grad(deep(x).sum(), x, create_graph=True)
    assert dx.requires_grad


def drop_the_graph(x):
    deep(x)


@pytest.mark.parametrize("run", [run_backward, run_grad, run_grad_with_create_graph, drop_the_graph])
def test_ten_thousand_ops_deep(run):
    run(leaf(2))


@pytest.mark.parametrize("run", [run_backward, run_grad_with_create_graph, drop_the_graph])
def test_ten_thousand_ops_deep_in_a_thread_with_a_small_stack(run):
    finished = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: finished.append(run(leaf(2))))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert finished


def network(x):
    """Many functions, each output kept as a weak reference only."""
    n = x.shape[0]
    steps = [
        lambda h: F.conv2d(h, leaf(3, 3, 2, 4), leaf(4), pad=1),
        lambda h: F.batch_norm(h + Tensor(np.random.default_rng(0).standard_normal(h.shape)), leaf(4), leaf(4))[0],
        F.relu,
        lambda h: F.max_pool2d(h, 2),
        lambda h: F.dropout(h, 0.5, (0, 0, 0)),
        F.gelu,
        F.elu,
        lambda h: F.mean_pool2d(h, 2),
        F.flatten,
        lambda h: F.dense(h, leaf(4, 3), leaf(3)),
        lambda h: F.concatenate([h, h[:, ::-1]], 1),
        lambda h: h / h.var(0, keepdims=True).sum() ** 0.5,
        F.logsoftmax,
        lambda h: h.max(1) * F.softmax_cross_entropy(h * 2, np.ones((n, 6))),
        lambda h: h.sum(),
    ]
    outputs = []
    for step in steps:
        x = step(x)
        outputs.append(weakref.ref(x))
    return x, outputs


def alive(outputs):
    return [position for position, output in enumerate(outputs) if output() is not None]


def test_dropping_the_output_frees_everything():
    y, outputs = network(leaf(2, 4, 4, 2))
    assert len(alive(outputs)) > 5
    del y
    assert alive(outputs) == []


def test_backward_frees_everything_but_the_output():
    y, outputs = network(leaf(2, 4, 4, 2))
    y.backward()
    assert alive(outputs) == [len(outputs) - 1]


def test_backward_frees_on_the_way():
    """While the first layers' gradients are computed, the last layers' numbers are gone."""
    seen, outputs = [], []

    def watch(h):
        def backward(dy):
            seen.append(alive(outputs))
            return (dy,)

        return record(h.array.copy(), (h,), backward)

    y = watch(leaf(2))
    for _ in range(5):
        y = F.tanh(y)
        outputs.append(weakref.ref(y))
    y = y.sum()
    y.backward()
    assert seen == [[]]


def test_grad_frees_everything_but_output_and_gradient():
    x = leaf(2, 4, 4, 2)
    y, outputs = network(x)
    (dx,) = grad(y, x)
    assert alive(outputs) == [len(outputs) - 1]
    assert not dx.requires_grad


def test_gradients_of_gradients_are_freed_with_their_last_user():
    x = leaf(2, 4, 4, 2)
    y, outputs = network(x)
    (dx,) = grad(y, x, create_graph=True)
    total = (dx * dx).sum()
    gradient = weakref.ref(dx)
    total.backward()
    del y, dx, total
    assert alive(outputs) == []
    assert gradient() is None


def test_no_grad_holds_nothing():
    with no_grad():
        _y, outputs = network(leaf(2, 4, 4, 2))
    assert alive(outputs) == [len(outputs) - 1]


def test_an_error_in_backward_frees_the_graph_too():
    x = leaf(2)
    h = F.exp(x)
    reference, y = weakref.ref(h), F.exp(h).sum()
    with no_grad():
        x[...] = 0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    del h, y
    assert reference() is None


def test_functions_leave_no_cycles_behind():
    x = leaf(2, 4, 4, 2)
    gc.collect()
    y, _ = network(x)
    y.backward()
    del y
    assert gc.collect() == 0
