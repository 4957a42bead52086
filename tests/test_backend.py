"""Backends: which array library and kernels they name, and what they say when something is missing."""

import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from minidl.backend import get_backend, use_backend, why_unusable
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
