"""Every kernel under the tracer: right numbers, no access out of bounds, no race; and what its accesses cost."""

import pytest
from emulator import strict_cupy
from kernel_list import CUDA_FILES, kernels_of
from kernel_runs import RUNS, agrees

pytestmark = pytest.mark.emulated


def traced(path):
    """What the kernels in a .cu file cost, by kernel; KernelError, or an AssertionError for wrong numbers."""
    settings = strict_cupy.settings
    settings.costs.clear()
    settings.traced = True
    try:
        assert agrees(path.parent.name)
    finally:
        settings.traced = False
    own = {kernel.split("<")[0] for kernel in kernels_of(path)}
    return {kernel: costs for kernel, costs in settings.costs.items() if kernel.split("<")[0] in own}


def test_every_op_is_run():
    assert sorted(RUNS) == [path.parent.name for path in CUDA_FILES]


@pytest.mark.parametrize("path", CUDA_FILES, ids=lambda path: path.parent.name)
def test_kernels_keep_within_their_arrays_and_out_of_races(path):
    """And ask the memory for little more than they need: neighbouring threads read and write neighbouring numbers.

    The most is asked by the end of a product of matrices, where threads write four neighbouring numbers each.
    """
    costs = traced(path)
    assert {kernel.split("<")[0] for kernel in costs} == {kernel.split("<")[0] for kernel in kernels_of(path)}
    for kernel, of_lines in costs.items():
        for cost in of_lines:
            assert cost.turns <= 2, (kernel, cost)
            assert cost.sectors <= 5, (kernel, cost)
