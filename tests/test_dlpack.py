"""Memory lent to and borrowed from other array libraries."""

import numpy as np
import pytest

from minidl import Tensor, from_dlpack, use_backend


def numbers(dtype="float32"):
    return np.arange(6, dtype=dtype).reshape(2, 3)


def torch_tensor(array):
    return pytest.importorskip("torch").from_numpy(array)


LIBRARIES = {"numpy": np.asarray, "torch": torch_tensor}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
def test_what_is_borrowed_is_the_same_memory(library, dtype):
    lender = LIBRARIES[library](numbers(dtype))
    x = from_dlpack(lender)
    assert (x.shape, x.dtype, x.backend.name) == ((2, 3), np.dtype(dtype), "cpu")
    lender[1, 2] = 50
    assert x.array[1, 2] == 50
    x[0, 0] = 7
    assert lender[0, 0] == 7


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_lent_is_the_same_memory_without_history(library, dtype):
    module = pytest.importorskip(library)
    x = Tensor(numbers(dtype), requires_grad=True)
    borrowed = module.from_dlpack(x)
    assert tuple(borrowed.shape) == (2, 3)
    assert str(borrowed.dtype).endswith(dtype)
    assert not getattr(borrowed, "requires_grad", False)
    borrowed[1, 0] = -4
    assert x.array[1, 0] == -4
    assert from_dlpack(borrowed).array.ctypes.data == x.array.ctypes.data


def test_the_default_backend_is_kept_where_the_memory_fits_it():
    with use_backend("reference"):
        assert from_dlpack(numbers()).backend.name == "reference"


def test_another_order_is_copied():
    array = numbers()
    x = from_dlpack(array.T)
    assert x.array.flags.c_contiguous
    assert not np.shares_memory(x.array, array)
    np.testing.assert_array_equal(x.array, array.T)


class Elsewhere:
    def __dlpack_device__(self):
        return 8, 1  # Metal's


def half_precision():
    torch = pytest.importorskip("torch")
    return torch.ones(2, dtype=torch.bfloat16)


def with_history():
    return pytest.importorskip("torch").ones(2, requires_grad=True)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: [1.0, 2.0], TypeError, r"expected an array with __dlpack__, got a list; use Tensor\(x\)"),
        (Elsewhere, ValueError, r"expected memory of the computer or of a CUDA device, got DLPack's device \(8, 1\)"),
        (half_precision, TypeError, "NumPy cannot hold these numbers .* convert them, to float32 say"),
        (with_history, BufferError, "use tensor.detach"),
    ],
    ids=["a list", "another device", "bfloat16", "requires grad"],
)
def test_what_cannot_be_borrowed_is_said(make, kind, message):
    lender = make()
    with pytest.raises(kind, match=message):
        from_dlpack(lender)


@pytest.mark.gpu
def test_memory_of_a_gpu_stays_there():
    x = Tensor(numbers(), "gpu")
    y = from_dlpack(x)
    assert y.backend.name == "gpu"
    x.array[0, 1] = 9
    assert y.array[0, 1].item() == 9
    with pytest.raises((BufferError, RuntimeError, ValueError)):
        np.from_dlpack(x)  # NumPy sees no memory of a GPU
    with use_backend("gpu"):
        assert from_dlpack(numbers()).backend.name == "cpu"
