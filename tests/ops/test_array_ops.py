"""Python's operators, indexing, reductions and shapes do what NumPy does; their gradients are checked in cases.py."""

import operator

import numpy as np
import pytest
from cases import AXES, BROADCASTING, KEYS

from minidl import functions as F
from minidl.tensor import Tensor

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[2.0, 0.5, -1.5], [-1.0, 4.0, 0.75]])

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]


def check(result, expected, dtype=np.float64):
    assert isinstance(result, Tensor)
    assert result.dtype == dtype
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("function", OPERATORS + COMPARISONS)
@pytest.mark.parametrize("other", [B, B[0], 2, 0.5, np.float64(0.5), np.float32(3), np.int64(4), B.tolist()[1]])
def test_operators_take_tensors_arrays_lists_and_numbers_on_either_side(function, other):
    dtype = bool if function in COMPARISONS else np.float64
    check(function(Tensor(A), other), function(A, np.asarray(other)), dtype)
    check(function(other, Tensor(A)), function(np.asarray(other), A), dtype)
    if isinstance(other, np.ndarray):
        check(function(Tensor(A), Tensor(other)), function(A, other), dtype)


@pytest.mark.parametrize(("a", "b"), BROADCASTING)
@pytest.mark.parametrize("function", OPERATORS)
def test_operators_broadcast(function, a, b):
    a, b = np.full(a, 3.0), np.arange(1.0, 1 + np.prod(b)).reshape(b)
    check(function(Tensor(a), Tensor(b)), function(a, b))
    check(function(Tensor(b), Tensor(a)), function(b, a))


@pytest.mark.parametrize("function", [F.add, F.subtract, F.multiply, F.divide, F.maximum, F.minimum])
def test_shapes_that_do_not_broadcast_are_refused_by_name(function):
    with pytest.raises(ValueError, match=rf"^{function.__name__}: .* \(2, 3\) and \(2,\)"):
        function(Tensor(A), Tensor(A[:, 0]))


@pytest.mark.parametrize("other", [3, 2.0, -1, 0])
def test_power(other):
    check(Tensor(A) ** other, A**other)
    check(2 ** Tensor(A), 2**A)
    check(Tensor(abs(A)) ** Tensor(B), abs(A) ** B)
    check(Tensor(abs(A)) ** B, abs(A) ** B)
    check(abs(A) ** Tensor(B), abs(A) ** B)


def test_one_operand():
    check(-Tensor(A), -A)
    check(abs(Tensor(A)), abs(A))


@pytest.mark.parametrize(
    ("a", "b"),
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,)), ((2, 3), (3, 2)),
     ((4, 2, 3), (3, 5)), ((2, 3), (4, 3, 5)), ((4, 2, 3), (4, 3, 5)), ((1, 4, 2, 3), (5, 1, 3, 2))],
)  # fmt: skip
def test_matmul(a, b):
    a, b = np.random.default_rng(0).standard_normal(a), np.random.default_rng(1).standard_normal(b)
    check(Tensor(a) @ Tensor(b), a @ b)
    check(Tensor(a) @ b, a @ b)
    check(a @ Tensor(b), a @ b)


@pytest.mark.parametrize(("a", "b"), [((2, 3), (2, 3)), ((3,), (2,)), ((), (3,)), ((2, 3), ()), ((2, 3), (4, 2, 3))])
def test_matmul_of_shapes_that_do_not_fit(a, b):
    with pytest.raises(ValueError, match=r"matmul: expected a \(..., m, k\) and b \(..., k, n\)"):
        Tensor(np.ones(a)) @ Tensor(np.ones(b))


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing(key):
    x = np.arange(12.0).reshape(3, 4)
    check(Tensor(x)[key], x[key])


def test_indexing_with_tensors():
    x = np.arange(12.0).reshape(3, 4)
    check(Tensor(x)[Tensor(np.array([2, 0, 2]))], x[[2, 0, 2]])
    check(Tensor(x)[Tensor(x) > 5], x[x > 5])
    check(Tensor(x)[1, Tensor(np.array([1, 1]))], x[1, [1, 1]])


def test_iteration_goes_along_the_first_axis_and_ends():
    assert [row.numpy().tolist() for row in Tensor(A)] == A.tolist()
    assert len(Tensor(A)) == 2


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "min"])
def test_reductions(name, axis, keepdims):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    check(getattr(Tensor(x), name)(axis, keepdims), getattr(np, name)(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "min"])
def test_reduction_over_an_axis_that_is_not_there(name):
    with pytest.raises(ValueError, match=r"expected an axis from -2 to 1 of shape \(2, 3\), got 2"):
        getattr(Tensor(A), name)(2)


@pytest.mark.parametrize(("name", "shown"), [("mean", "average"), ("max", "compare"), ("min", "compare")])
def test_reductions_of_nothing_are_refused(name, shown):
    with pytest.raises(ValueError, match=f"nothing to {shown} over axis 0 of shape"):
        getattr(Tensor(np.empty((0, 3))), name)(0)


def test_sum_of_nothing_is_zero():
    check(Tensor(np.empty((0, 3))).sum(0), np.zeros(3))


@pytest.mark.parametrize("shape", [(3, 2), (-1,), (6, -1), (1, 2, 3)])
def test_reshape_takes_sizes_one_by_one_or_together(shape):
    for result in [Tensor(A).reshape(*shape), Tensor(A).reshape(shape), Tensor(A).reshape(list(shape))]:
        check(result, A.reshape(shape))
    check(Tensor(A).reshape(np.int64(3), 2), A.reshape(3, 2))


@pytest.mark.parametrize("axes", [(2, 0, 1), (0, -1, 1), ()])
def test_transpose_takes_axes_one_by_one_or_together(axes):
    x = np.arange(24.0).reshape(2, 3, 4)
    for result in [Tensor(x).transpose(*axes), Tensor(x).transpose(axes)]:
        check(result, x.transpose(axes or None))


@pytest.mark.parametrize("function", [F.exp, F.tanh, F.sigmoid, F.softplus, F.elu, F.gelu, F.swish, F.leakyrelu])
def test_no_overflow_at_either_end(function):
    for dtype, far in [(np.float32, 80), (np.float64, 700)]:
        y = function(Tensor(np.array([-far, far], dtype)))
        assert np.isfinite(y.numpy()).all()


NAN = np.array([[np.nan, 1.0], [-1.0, 2.0]])


@pytest.mark.parametrize(
    "function",
    [F.relu, F.leakyrelu, F.elu, F.sigmoid, F.tanh, F.swish, F.gelu, F.absolute, lambda x: F.clip(x, 0, 1),
     lambda x: F.maximum(x, 0), lambda x: F.maximum(0, x), lambda x: F.minimum(x, 0), lambda x: F.minimum(0, x)],
)  # fmt: skip
def test_nan_does_not_disappear(function):
    np.testing.assert_array_equal(np.isnan(function(Tensor(NAN)).numpy()), np.isnan(NAN))


@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "min"])
def test_nan_does_not_disappear_in_reductions(name):
    x = Tensor(NAN, requires_grad=True)
    y = getattr(x, name)(1)
    np.testing.assert_array_equal(np.isnan(y.numpy()), [True, False])
    y.sum().backward()
    assert np.isfinite(x.grad.numpy()[1]).all()


def test_equal_largest_numbers_share_the_gradient():
    x = Tensor(np.array([1.0, 3.0, 3.0, 2.0]), requires_grad=True)
    x.max().backward()
    assert x.grad.numpy().tolist() == [0, 0.5, 0.5, 0]


def test_gradient_at_kinks_is_the_documented_choice():
    for function, expected in [(F.relu, 0), (F.absolute, 0), (lambda x: F.clip(x, 0, 1), 1)]:
        x = Tensor(np.zeros(1), requires_grad=True)
        function(x).sum().backward()
        assert x.grad.item() == expected


def test_power_has_gradients_at_zero():
    for exponent, expected in [(0, 0), (1, 1), (2, 0), (3, 0)]:
        x = Tensor(np.zeros(1), requires_grad=True)
        (x**exponent).sum().backward()
        assert x.grad.item() == expected
