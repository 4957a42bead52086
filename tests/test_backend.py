"""Backends: which array library and kernels they name, and what they say when something is missing."""

import importlib.util

import numpy as np
import pytest

from minidl.backend import default_backend, get_backend, use_backend
from minidl.tensor import Tensor


@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_cpu_backends_share_numpy_and_differ_in_kernels(name):
    backend = get_backend(name)
    assert backend.xp is np
    assert backend.kernels("minidl.ops.conv2d").__name__ == f"minidl.ops.conv2d.{name}"
    backend.synchronise()
    assert get_backend(name) is backend


def test_unknown_backend_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown backend 'tpu': choose one of \['cpu', 'gpu', 'reference'\]"):
        get_backend("tpu")


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_gpu_without_cupy_says_what_is_missing():
    for attempt in [get_backend, use_backend, lambda name: Tensor([1.0], name)]:
        with pytest.raises(ImportError, match="backend 'gpu' needs cupy, which is not installed"):
            attempt("gpu")
    assert default_backend().name == "cpu"


def test_missing_kernels_are_named():
    with pytest.raises(NotImplementedError, match=r"ops has no kernels for backend 'cpu' \(no file cpu.py\)"):
        get_backend("cpu").kernels("minidl.ops")


def test_arrays_come_in_c_order_and_are_not_copied_needlessly():
    x = np.arange(6.0).reshape(2, 3)
    backend = get_backend("cpu")
    assert backend.asarray(x) is x
    assert backend.asarray(x.T).flags.c_contiguous
    assert backend.asarray(x, "float32").dtype == np.float32


def test_arrays_of_another_library_come_home():
    class DeviceArray:
        """Stands for a CuPy array: .get() copies it to the host."""

        def get(self):
            return np.array([1.0, 2.0])

    assert get_backend("cpu").asarray(DeviceArray()).tolist() == [1, 2]


def test_use_backend_decides_where_new_tensors_live():
    with use_backend("reference"):
        assert Tensor([1.0]).backend.name == "reference"
        assert Tensor([1.0], "cpu").backend.name == "cpu"
    assert Tensor([1.0]).backend.name == "cpu"


def test_use_backend_without_a_block_lasts():
    use_backend("reference")
    try:
        assert Tensor([1.0]).backend.name == "reference"
    finally:
        use_backend("cpu")
    assert Tensor([1.0]).backend.name == "cpu"
