"""Every row of cases.py: right gradients of both orders on each backend, and the same numbers on all of them."""

import numba
import numpy as np
import pytest
from cases import CASES

from minidl.gradient_check import check_gradients
from minidl.gradient_examples import EXAMPLES
from minidl.tensor import Tensor, grad

# How far backends may differ, relative to the largest number: they add up in another order
AGREEMENT = {"float64": 1e-12, "float32": 2e-4}


@pytest.fixture(autouse=True)
def _one_thread():
    """Starting threads costs more than these small arrays; that their number changes nothing is in test_kernels.py."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


FAST = pytest.mark.parametrize("backend", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])


def rows(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name.replace(" ", ""))


def tensors(case, backend, dtype="float64"):
    """The inputs of a row; booleans stay what they are."""
    floats = [x.dtype.kind == "f" for x in case.inputs]
    return [
        Tensor(x, backend, requires_grad=True, dtype=dtype) if is_float else Tensor(x, backend)
        for x, is_float in zip(case.inputs, floats, strict=True)
    ]


def results(case, backend, dtype):
    """The output and its gradients of the first and second order, whose backend and dtype must be those asked for."""
    random = np.random.default_rng(1)

    def random_like(x):
        return Tensor(random.standard_normal(x.shape), x.backend, dtype=x.dtype)

    inputs = tensors(case, backend, dtype)
    y = case(*inputs)
    leaves = [x for x in inputs if x.requires_grad]
    first = grad((y * random_like(y)).sum(), leaves, create_graph=True)
    total = sum((dx * dx * random_like(dx)).sum() for dx in first)
    second = grad(total, leaves) if total.requires_grad else ()
    for result in [y, *first, *second]:
        assert result.dtype == dtype
        assert result.backend.name == backend
    return [result.numpy() for result in [y, *first, *second]]


@rows(EXAMPLES)
def test_gradients_of_the_definition_number_by_number(case):
    check_gradients(case, tensors(case, "reference"), order=2)


@rows(CASES[len(EXAMPLES) :])
def test_gradients_of_the_definition(case):
    check_gradients(case, tensors(case, "reference"), order=2, directions=3, allow_undecided=True)


@FAST
@rows(CASES)
def test_gradients_on_fast_backends(case, backend):
    check_gradients(case, tensors(case, backend), order=2, directions=1, allow_undecided=True)


@FAST
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@rows(CASES)
def test_backends_agree(case, dtype, backend):
    for expected, result in zip(results(case, "reference", dtype), results(case, backend, dtype), strict=True):
        assert result.shape == expected.shape
        assert np.abs(result - expected).max(initial=0) <= AGREEMENT[dtype] * np.abs(expected).max(initial=0)
