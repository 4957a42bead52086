"""Kernels that work through blocks of rows do what the definition says, whatever the blocks are: few or many numbers,
rows that the blocks share unevenly, fewer rows than blocks, none at all."""

import numpy as np
import pytest

from minidl.ops.blocks import BLOCKS, FEW
from minidl.ops.relu import cpu as relu_cpu
from minidl.ops.relu import reference as relu_reference

SHAPES = pytest.mark.parametrize(
    "shape",
    [(0, 3), (1, 3), (2, 3, 5, 7), (FEW // 7 + 5, 7), (1, 2, FEW), (BLOCKS - 1, FEW // 8), (33, 41, 5, 9)],
    ids=str,
)
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-13}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)


def random(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_close(results, expected, dtype):
    """Equal but for the order of additions."""
    for result, expectation in zip(results, expected, strict=True):
        assert (result.shape, result.dtype) == (expectation.shape, dtype)
        atol = TOLERANCE[dtype] * np.abs(expectation).max(initial=0)
        np.testing.assert_allclose(result, expectation, rtol=0, atol=atol)


@SHAPES
@DTYPES
def test_relu(shape, dtype):
    x, dy = random(shape, dtype), random(shape, dtype, seed=1)
    y = relu_cpu.forward(x)
    np.testing.assert_array_equal(y, relu_reference.forward(x), strict=True)
    np.testing.assert_array_equal(relu_cpu.gradient(dy, y), relu_reference.gradient(dy, y), strict=True)
    dx, sums = relu_cpu.gradient_and_sums(dy, y)
    np.testing.assert_array_equal(dx, relu_reference.gradient(dy, y), strict=True)
    assert_close([sums], [relu_reference.gradient_and_sums(dy, y)[1]], dtype)
