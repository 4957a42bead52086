"""What tensors promise about their arrays, and how they move. Gradients: test_tensor_gradients.py."""

import threading

import numpy as np
import pytest

from minidl import functions as F
from minidl.modes import no_grad
from minidl.tensor import Tensor, grad

X = np.array([0.5, -1.0, 2.0])


def leaf(array=X, backend=None):
    return Tensor(np.array(array), backend, requires_grad=True)


@pytest.mark.parametrize(
    ("array", "dtype", "shape"),
    [
        (1, "float32", ()),
        (1.5, "float32", ()),
        ([1, 2], "float32", (2,)),
        ([[1.0], [2.0]], "float32", (2, 1)),
        (np.float64(2), "float64", ()),
        (np.zeros((2, 3)), "float64", (2, 3)),
        (np.zeros((0, 3), np.float32), "float32", (0, 3)),
        (np.zeros(2, np.uint8), "uint8", (2,)),
        (np.zeros(2, bool), "bool", (2,)),
    ],
)
def test_numbers_become_float32_and_arrays_keep_their_dtype(array, dtype, shape):
    x = Tensor(array)
    assert (x.dtype, x.shape, x.ndim, x.size) == (dtype, shape, len(shape), np.prod(shape))
    assert not x.requires_grad
    assert Tensor(array, dtype="float64").dtype == "float64"


def test_strided_arrays_become_contiguous():
    assert Tensor(np.zeros((3, 4)).T).array.flags.c_contiguous


def test_what_cannot_be_a_tensor_is_refused():
    with pytest.raises(TypeError, match="expected an array, got a Tensor"):
        Tensor(Tensor(X))
    with pytest.raises(TypeError, match="only float32 and float64 can have a gradient, got int64"):
        Tensor(np.array([1]), requires_grad=True)
    with pytest.raises(TypeError, match="only float32 and float64 can have a gradient, got float16"):
        Tensor(np.ones(1, np.float16), requires_grad=True)
    with pytest.raises(ValueError, match="unknown backend 'tpu'"):
        Tensor(X, "tpu")


def test_single_numbers():
    assert Tensor([[2.5]]).item() == 2.5
    assert isinstance(Tensor([2.5]).item(), float)
    with pytest.raises(ValueError, match=r"one number, got shape \(3,\)"):
        Tensor(X).item()
    assert Tensor(1.0) < 2
    assert not Tensor(3.0) < 2
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor(X) < 2)


def test_a_single_number_is_written_and_converted_as_one():
    loss = Tensor([[0.123456]], requires_grad=True)
    assert f"{loss:.3f}" == "0.123"
    assert f"{loss}" == str(loss) == repr(loss)
    assert (float(Tensor([2.5])), int(Tensor(2.5))) == (2.5, 2)
    assert isinstance(float(Tensor(np.array([3]))), float)
    for convert in [float, int, "{:.3f}".format]:
        with pytest.raises(ValueError, match=r"one number, got shape \(3,\)"):
            convert(Tensor(X))


def test_a_tensor_shares_memory_with_the_array_it_was_made_of():
    """As the docstring says: a copy of every batch would be a high price."""
    array = X.copy()
    assert np.shares_memory(Tensor(array).array, array)


def test_numpy_sees_the_numbers():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert np.mean(np.asarray(x)) == 1.5
    assert np.asarray(x).dtype == np.float32
    assert np.asarray(x, np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x, copy=True), x.array)


def test_repr_shows_numbers_backend_dtype_and_gradient():
    assert repr(Tensor([1, 2], "cpu")) == "Tensor([1., 2.], 'cpu', float32)"
    assert repr(leaf([0.5], "reference")) == "Tensor([0.5], 'reference', float64, requires_grad=True)"
    assert len(repr(Tensor(np.zeros(10000)))) < 200


@pytest.mark.parametrize(
    "function",
    [lambda x: x.reshape(3, 1), lambda x: x.transpose(), lambda x: x[:], lambda x: x[1:], lambda x: x.detach(),
     lambda x: x.to(), lambda x: x.to("reference"), lambda x: F.broadcast_to(x, (3,)), lambda x: x.sum(()),
     lambda x: F.flatten(x.reshape(3, 1))],
)  # fmt: skip
def test_no_two_tensors_share_memory(function):
    x = Tensor(X.copy(), "cpu")
    y = function(x)
    assert not np.shares_memory(x.array, y.array)
    y[...] = 7  # which a read-only view would refuse


def test_mixing_backends_or_dtypes_says_what_to_do():
    with pytest.raises(ValueError, match=r"add: .* different backends, 'cpu' and 'reference'.*\.to\('cpu'\)"):
        Tensor(X, "cpu") + Tensor(X, "reference")
    with pytest.raises(TypeError, match=r"multiply: .*float64 and float32; convert one with \.to\(dtype='float64'\)"):
        Tensor(X) * Tensor(X.astype(np.float32))
    with pytest.raises(TypeError, match=r"dense: .*float64 and float32"):
        F.dense(Tensor(np.ones((2, 3))), np.ones((3, 1), np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float16])
def test_computing_with_anything_but_float32_and_float64_says_how_to_convert(dtype):
    with pytest.raises(TypeError, match=r"expected float32 or float64, got .*; convert with \.to\(dtype='float32'\)"):
        Tensor(np.ones(3, dtype)) * 2
    assert (Tensor(np.ones(3, dtype)).to(dtype="float32") * 2).numpy().tolist() == [2, 2, 2]


def test_gradients_flow_back_through_a_move():
    x = leaf(X.astype(np.float32), "cpu")
    y = x.to("reference", "float64") * 2
    assert (y.backend.name, y.dtype) == ("reference", "float64")
    y.sum().backward()
    assert (x.grad.backend.name, x.grad.dtype, x.grad.numpy().tolist()) == ("cpu", "float32", [2, 2, 2])


@pytest.mark.parametrize("dtype", ["int64", "bool", "float16"])
def test_a_gradient_cannot_flow_back_through_whole_numbers(dtype):
    with pytest.raises(TypeError, match=rf"^to: .* can become float32 or float64, not {dtype}; use \.detach\(\) first"):
        leaf().to(dtype=dtype)
    assert leaf().detach().to(dtype=dtype).dtype == dtype
    with no_grad():
        assert not leaf().to(dtype=dtype).requires_grad


def test_gradients_of_gradients_flow_back_through_a_move():
    x = leaf([3.0], "cpu")
    (dx,) = grad((x.to("reference") ** 3).sum(), x, create_graph=True)
    assert grad(dx.sum(), x)[0].item() == 18


def test_detach_ends_the_history():
    x = leaf([3.0])
    (dx,) = grad((x * x.detach()).sum(), x)
    assert dx.item() == 3


def test_threads_compute_gradients_side_by_side():
    results = {}

    def work(number):
        x = leaf([float(number)], "reference")
        for _ in range(50):
            (results[number],) = grad((x**3).sum(), x)

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: dx.item() for number, dx in results.items()} == {number: 3 * number**2 for number in range(8)}
