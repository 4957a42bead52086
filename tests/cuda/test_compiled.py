"""The .cu files become machine code for every kind of card, without a GPU, and fit into its registers and memory."""

import pytest
from conftest import skip_or_fail
from kernel_list import CUDA_FILES, kernels_of
from nvrtc import ARCHITECTURES, compile_kernels, library

from minidl.backend import get_backend


@pytest.fixture(autouse=True)
def _compiler():
    if library() is None:
        skip_or_fail("needs the wheel nvidia-cuda-nvrtc")


def source_of(path):
    get_backend("gpu")
    from minidl.ops import cuda

    return cuda.source(path)


def test_every_kernel_is_in_the_list():
    for path in CUDA_FILES:
        names = {kernel.split("<")[0] for kernel in kernels_of(path)}
        assert len(names) == path.read_text(encoding="utf-8").count("__global__") > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("path", CUDA_FILES, ids=lambda path: path.parent.name)
def test_kernels_fit_a_card(path, architecture):
    for kernel, takes in compile_kernels(source_of(path), kernels_of(path), architecture).items():
        assert takes.spilled_bytes == 0, kernel
        assert 0 < takes.registers <= 128, kernel  # so that two blocks of 256 threads share a multiprocessor
        assert takes.shared_bytes <= 48 * 1024, kernel


def test_the_compiler_names_the_file_and_line_of_a_mistake():
    with pytest.raises(ValueError, match=r"gpu\.cu\(2\): error: .*nonsense"):
        compile_kernels("template <typename T>\n__global__ void forward() { nonsense; }", ["forward<float>"], "sm_80")
