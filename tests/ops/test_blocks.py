"""Kernels that share rows among threads do what the definition says for any rows: few or many numbers, rows that the
blocks share unevenly, fewer rows than blocks, none at all."""

from importlib import import_module

import numpy as np
import pytest

from minidl.ops.blocks import BLOCKS, FEW

TOLERANCE = {np.float32: 1e-6, np.float64: 1e-13}  # relative to the largest number: sums differ in their order
SHAPES = pytest.mark.parametrize(
    "shape",
    [(0, 3), (2, 3), (2, 3, 5, 7), (FEW // 7 + 5, 7), (1, 2, FEW), (BLOCKS - 1, FEW // 8), (33, 41, 5, 9)],
    ids=str,
)
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)


def random(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_agree(op, function, dtype, *arguments):
    """The kernel's results, after it was seen to do what the definition does."""
    cpu, reference = (
        getattr(import_module(f"minidl.ops.{op}.{backend}"), function) for backend in ["cpu", "reference"]
    )
    results, expected = cpu(*arguments), reference(*arguments)
    for result, expectation in zip(
        *([x] if isinstance(x, np.ndarray) else x for x in (results, expected)), strict=True
    ):
        assert (result.shape, result.dtype) == (expectation.shape, expectation.dtype)
        atol = TOLERANCE[dtype] * np.abs(expectation).max(initial=0)
        np.testing.assert_allclose(result, expectation, rtol=0, atol=atol)
    return results


@SHAPES
@DTYPES
def test_relu(shape, dtype):
    y = assert_agree("relu", "forward", dtype, random(shape, dtype))
    for function in ["gradient", "gradient_and_sums"]:
        assert_agree("relu", function, dtype, random(shape, dtype, seed=1), y)


@SHAPES
@DTYPES
@pytest.mark.parametrize("divisor", [1, 7])
def test_sums(shape, dtype, divisor):
    """Of all axes but the first and the last, but the last, and of all."""
    x = random(shape, dtype)
    for groups, columns in [(shape[0], shape[-1]), (1, shape[-1]), (shape[0], 1), (1, 1)]:
        rows = x.size // max(1, groups * columns)
        assert_agree("sum", "forward", dtype, x.reshape(groups, rows, columns), divisor, dtype)


@SHAPES
@DTYPES
@pytest.mark.parametrize("relu", [True, False])
def test_batch_norm(shape, dtype, relu):
    x, scale, shift = random(shape, dtype), random(shape[-1:], dtype, seed=1), random(shape[-1:], dtype, seed=2)
    deviation = 1 + abs(random(shape[-1:], dtype, seed=3))
    assert_agree("batch_norm", "normalise", dtype, x, shift, scale, shift, relu)
    if x.size:
        mean, _ = assert_agree("batch_norm", "statistics", dtype, x)
        dy = random(shape, dtype, seed=4)
        assert_agree("batch_norm", "gradient", dtype, dy, x, mean, deviation, scale, shift, relu)


@SHAPES
@DTYPES
def test_probabilities(shape, dtype):
    x = random(shape, dtype)
    assert_agree("softmax", "softmax", dtype, x)
    assert_agree("softmax", "logsoftmax", dtype, x)
    rows = x.reshape(-1, shape[-1])
    assert_agree("softmax_cross_entropy", "forward", dtype, rows, abs(rows))


@SHAPES
@DTYPES
def test_dropout(shape, dtype):
    assert_agree("dropout", "apply", dtype, random(shape, dtype), 0.3, (1, 2, 3))


@SHAPES
@DTYPES
def test_momentum(shape, dtype):
    """To the bit: nothing is added up."""
    results = []
    for backend in ["cpu", "reference"]:
        parameter, gradient, velocity = (random(shape, dtype, seed) for seed in range(3))
        kernels = import_module(f"minidl.ops.optimiser_steps.{backend}")
        kernels.momentum([parameter], [gradient], [velocity], 0.1, 0.9, 0.01)
        results.append((parameter, velocity))
    np.testing.assert_array_equal(*results)
