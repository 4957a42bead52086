"""Backends: which array library and kernels they name, and what they say when something is missing."""

import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from minidl.backend import get_backend, use_backend, use_kernels, why_unusable
from minidl.functions import dense, relu
from minidl.gradient_check import GradientError, check_gradients
from minidl.ops.dense import reference
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


class NoDriver(Exception):
    """CuPy's error of that case."""


def cupy_with(count=1, cuda=13000, capability=(9, 0)):
    """CuPy on some machine, as far as it is asked before anything is computed; count may be an error."""

    def device_count():
        if isinstance(count, Exception):
            raise count
        return count

    runtime = SimpleNamespace(
        CUDARuntimeError=NoDriver,
        getDeviceCount=device_count,
        getDeviceProperties=lambda number: {"name": b"Card", "major": capability[0], "minor": capability[1]},
        runtimeGetVersion=lambda: cuda,
    )
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))


@pytest.mark.parametrize(
    ("cupy", "problem"),
    [
        (None, r"CuPy is missing \(.*\); install it with: pip install 'minidl\[gpu\]'"),
        (cupy_with(NoDriver("insufficient")), r"there is no driver of .* that fits this CuPy \(insufficient\)"),
        (cupy_with(0), "there is no NVIDIA GPU"),
        (cupy_with(capability=(7, 0)), r"Card has compute capability 7\.0, and this CuPy needs 7\.5"),
        (cupy_with(cuda=12090, capability=(3, 5)), r"Card has compute capability 3\.5, and this CuPy needs 5\.0"),
    ],
    ids=["no CuPy", "no driver", "no GPU", "old card", "old card, CUDA 12"],
)
def test_a_gpu_that_cannot_be_used_says_what_is_missing(cupy, problem, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(ImportError, match=rf"^backend 'gpu' cannot be used: {problem}.*Backend 'cpu' works$"):
        get_backend.__wrapped__("gpu")  # a backend that was found once is remembered


@pytest.mark.parametrize("library", ["nvrtc", "cublas"])
def test_cuda_libraries_that_are_missing_are_noticed(library, monkeypatch):
    """CuPy can be imported without them, and fails when it first computes."""
    monkeypatch.setitem(sys.modules, "cupy", cupy_with())
    for name in ["nvrtc", "cublas"]:
        there = SimpleNamespace(getVersion=lambda: (13, 0))
        monkeypatch.setitem(sys.modules, f"cupy_backends.cuda.libs.{name}", None if name == library else there)
    with pytest.raises(ImportError, match=r"CUDA's own libraries are missing .*pip install 'cupy-cuda13x\[ctk\]'"):
        get_backend.__wrapped__("gpu")


@pytest.mark.emulated
@pytest.mark.parametrize("cupy", [cupy_with(), cupy_with(cuda=12090, capability=(5, 2)), cupy_with(cuda=14000)])
def test_a_gpu_that_can_be_used(cupy, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert why_unusable("gpu") is None
    assert get_backend.__wrapped__("gpu").xp is cupy


def test_backends_without_needs_can_always_be_used():
    assert [why_unusable(name) for name in ["reference", "cpu"]] == [None, None]


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

        __cuda_array_interface__: ClassVar = {}

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


# Kernels of one's own -------------------------------------------------------------------------------------------------

ROW, COLUMN = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])  # whose product is 11


def dense_kernels(**others):
    """A module with the reference's functions, but for some others."""
    module = ModuleType("others")
    vars(module).update({name: value for name, value in vars(reference).items() if not name.startswith("__")} | others)
    return module


def doubled(x, weight, bias):
    return 2 * reference.forward(x, weight, bias)


def test_use_kernels_swaps_them_on_the_reference_backend_and_nowhere_else():
    with use_kernels("dense", dense_kernels(forward=doubled)):
        inside = dense(Tensor(ROW), Tensor(COLUMN))
        assert inside.backend is get_backend("reference")
        assert inside.item() == 22
        assert dense(Tensor(ROW, "cpu"), Tensor(COLUMN, "cpu")).item() == 11
        with pytest.raises(GradientError, match="dense is wrong with respect to input 0"):
            check_gradients(dense, [ROW, COLUMN])
    assert Tensor(ROW).backend is get_backend("cpu")
    assert dense(Tensor(ROW, "reference"), Tensor(COLUMN, "reference")).item() == 11


def test_use_kernels_can_be_nested_and_ends_with_an_error():
    plus_one = dense_kernels(forward=lambda x, weight, bias: x @ weight + 1)
    with use_kernels("dense", dense_kernels(forward=doubled)):
        with use_kernels("dense", plus_one):
            assert dense(Tensor(ROW), Tensor(COLUMN)).item() == 12
        with pytest.raises(ZeroDivisionError), use_kernels("relu", _relu_that_fails()):
            relu(dense(Tensor(ROW), Tensor(COLUMN)))
        assert dense(Tensor(ROW), Tensor(COLUMN)).item() == 22
        assert relu(Tensor(ROW)).shape == (1, 2)


def _relu_that_fails():
    module = ModuleType("fails")
    module.forward = module.gradient = module.gradient_and_sums = lambda *arrays: 1 / 0
    return module


def test_use_kernels_names_the_functions_that_are_missing():
    half = ModuleType("half")
    half.forward = doubled
    message = "expected half to define forward, input_gradient, weight_gradient, as .*; it lacks input_g.*, weight_g.*"
    with pytest.raises(ValueError, match=message), use_kernels("dense", half):
        pass
    with pytest.raises(ModuleNotFoundError, match="conv3d"), use_kernels("conv3d", half):
        pass
