"""Sums of so many numbers that float32 would stop growing, over any axes: they are float64's, rounded once."""

import ast
from pathlib import Path

import numba
import numpy as np
import pytest

from minidl import functions as F
from minidl.layers import AdaptiveMeanPool, GlobalMeanPool
from minidl.ops.axis_sums import summed
from minidl.ops.dense import cpu as dense
from minidl.tensor import Tensor, grad

ROOT = Path(__file__).parents[2]
BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
random = np.random.default_rng(0)


def test_the_mean_of_25_million_ones_is_one():
    x = Tensor(np.ones((25_165_824, 2), np.float32))
    assert x.mean(0).numpy().tolist() == [1, 1]
    assert x.sum(0).numpy().tolist() == [25_165_824] * 2


def test_the_gradient_of_a_broadcast_bias_counts_all_rows():
    rows = 25_165_824
    bias = Tensor(np.zeros((1, 1), np.float32), requires_grad=True)
    assert F.sum_to(Tensor(np.ones((rows, 1), np.float32)), (1, 1)).item() == rows
    (gradient,) = grad((bias + Tensor(np.zeros((rows, 1), np.float32))).sum(), bias)
    assert gradient.item() == rows


def test_a_weight_gradient_over_17_million_rows_keeps_growing():
    ones = np.ones((17_000_000, 1), np.float32)
    assert dense.weight_gradient(ones, ones).item() == 17_000_000


def test_channel_means_and_variances_of_images():
    images = random.uniform(0.1, 1, (20_000, 8, 8, 3)).astype(np.float32)
    for function in [F.mean, F.var]:
        expected = getattr(images, function.__name__)((0, 1, 2), dtype=np.float64)
        np.testing.assert_allclose(function(images, (0, 1, 2)).numpy(), expected, rtol=2.4e-7)


@pytest.mark.parametrize("pool", [GlobalMeanPool(), AdaptiveMeanPool((1, 1))])
def test_the_mean_of_a_large_image(pool):
    image = np.full((1, 2048, 2048, 1), 0.1, np.float32)
    assert pool(Tensor(image)).numpy().item() == np.float32(0.1)


@BACKENDS
@pytest.mark.parametrize("spread", [1, 0.01])
def test_a_variance_is_exact_however_far_from_zero(spread, backend):
    x = (1e4 + spread * random.standard_normal((5000, 3))).astype(np.float32)
    np.testing.assert_allclose(F.var(Tensor(x, backend), 0).numpy(), x.var(0, dtype=np.float64), rtol=5e-7)


@BACKENDS
def test_a_mean_does_not_overflow_on_the_way(backend):
    assert Tensor(np.full(2, 3e38, np.float32), backend).mean().item() == np.float32(3e38)


@BACKENDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [None, (), 0, 1, -1, (0, 2), (1, 3), (0, 1), (0, 1, 2), (2, 3)])
@pytest.mark.parametrize("shape", [(2, 3, 40, 5), (3, 1, 2, 1), (2, 0, 3, 2), (7, 5, 1, 50)])
def test_sums_over_any_axes(shape, axis, dtype, backend):
    x = random.standard_normal(shape).astype(dtype)
    for keepdims in [False, True]:
        y = Tensor(x, backend).sum(axis, keepdims).numpy()
        expected = x.sum(axis, dtype=np.float64, keepdims=keepdims).astype(dtype)
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(y, expected, rtol=1e-6 if dtype == np.float32 else 1e-12, atol=1e-13)


def test_an_array_that_is_not_in_order():
    x = random.standard_normal((30, 40, 50)).astype(np.float32).transpose(2, 0, 1)
    backend = Tensor(0.0).backend
    np.testing.assert_array_equal(summed(x, backend, (0, 2)), summed(np.ascontiguousarray(x), backend, (0, 2)))


def test_a_single_number_is_its_own_sum_in_new_memory():
    x = Tensor(np.float32(3))
    y = x.sum()
    assert y.item() == 3
    assert not np.shares_memory(x.array, y.array)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(5, 3), (100_000, 3), (3, 100_000)])
def test_what_is_not_finite_goes_through(shape, number):
    x = np.ones(shape, np.float32)
    x[2, 1] = number
    for axis in (0, 1):
        np.testing.assert_array_equal(Tensor(x).sum(axis).numpy(), x.sum(axis, dtype=np.float64).astype(np.float32))


def test_whole_numbers_are_refused():
    with pytest.raises(TypeError, match="sum: expected float32 or float64, got int64"):
        F.sum(Tensor(np.arange(3)))


def test_float64_is_as_exact_as_in_numpy():
    """Exact to 1e-15 of the sum, which a plain loop over a million rows is not."""
    x = random.uniform(0.1, 1, (1_000_000, 2))
    expected = [float(sum(map(int, column * 2.0**60))) / 2.0**60 for column in x.T]
    np.testing.assert_allclose(Tensor(x).sum(0).numpy(), expected, rtol=1e-15)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize("shape", [(1_000_003, 1), (300_001, 3), (10, 300_001), (100, 3, 5000)])
def test_one_thread_and_two_give_the_same_bits(shape):
    x, before = Tensor(random.standard_normal(shape)), numba.get_num_threads()
    try:
        bits = set()
        for threads in [1, 2]:
            numba.set_num_threads(threads)
            bits.add(x.sum(0).numpy().tobytes() + x.sum(1).numpy().tobytes())
    finally:
        numba.set_num_threads(before)
    assert len(bits) == 1


# No sum elsewhere -----------------------------------------------------------------------------------------------------

ADDING = {"sum", "mean", "var", "std", "cumsum", "average", "nansum", "nanmean", "trace", "norm", "vdot", "einsum"}
FOLDERS = [ROOT / "minidl", ROOT / "models", ROOT / "data"]
TENSORS = (  # files that compute with tensors, whose sums are those tested above
    "ops/batch_norm/op.py", "ops/softmax/op.py", "ops/softmax_cross_entropy/op.py", "ops/reductions.py", "losses.py",
    "layers/", "keras/losses/", "keras/regularizers.py", "gradient_check/", "explain/network/attribution.py",
    "explain/computation.py", "exercises/mistakes.py",
)  # fmt: skip
ALLOWED = {  # line of code -> why it may add up without saying that it does so in float64
    "predicted.argmax(-1) == target.argmax(-1)).sum()": "booleans",
    "winners.sum(axes": "booleans",
    "valid.sum()": "booleans",
    "(predicted > own).sum(-1)": "booleans",
    "far.sum()": "booleans",
    "wrong.sum()": "booleans",
    "counts.trace()": "whole numbers",
    "counts.sum()": "whole numbers",
    "row.sum()": "whole numbers",
    "numpy.add.at(counts": "whole numbers",
    "np.linalg.norm(values.astype(np.float64)": "float64 already",
    "np.add.at(dx, _chosen(choice, windows), dy)": "dx is float64",
    "xp.add.at(y, key, x.array.astype(numpy.float64))": "float64 already",
}


def calls():
    """Every call that adds up numbers of an array: (file, its source)."""
    for path in [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if node.func.attr in ADDING or (owner.endswith(".add") and node.func.attr in ("at", "reduce")):
                    yield path.relative_to(ROOT).as_posix(), node, text


def says_float64(node):
    given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "dtype")]
    return any("float64" in ast.unparse(value) for value in given)


def test_whatever_adds_up_says_that_it_does_so_in_float64():
    left = [
        f"{file}:{node.lineno} {ast.get_source_segment(text, node)}"
        for file, node, text in calls()
        if not says_float64(node)
        and not file.removeprefix("minidl/").startswith(TENSORS)
        and not any(known in text.splitlines()[node.lineno - 1] for known in ALLOWED)
    ]
    assert left == []


def test_every_exception_is_still_needed():
    lines = [text.splitlines()[node.lineno - 1] for _, node, text in calls()]
    assert [known for known in ALLOWED if not any(known in line for line in lines)] == []
