"""Python's operators, indexing, reductions and shapes do what NumPy does; their gradients are checked in cases.py."""

import math
import operator

import numpy as np
import pytest
from cases import AXES, BROADCASTING, KEYS

from minidl import functions as F
from minidl.tensor import Tensor

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[2.0, 0.5, -1.5], [-1.0, 4.0, 0.75]])

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


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
@pytest.mark.parametrize("function", OPERATORS + COMPARISONS)
def test_operators_broadcast(function, a, b):
    a, b = np.full(a, 3.0), np.arange(1.0, 1 + np.prod(b)).reshape(b)
    dtype = bool if function in COMPARISONS else np.float64
    check(function(Tensor(a), Tensor(b)), function(a, b), dtype)
    check(function(Tensor(b), Tensor(a)), function(b, a), dtype)


def test_equality_is_of_numbers_but_a_tensor_is_a_key_by_identity():
    x, equal = Tensor(A), Tensor(A.copy())
    check(x == equal, np.ones(A.shape), bool)
    check(x != Tensor(B), A != B, bool)
    assert {x: 1, equal: 2}[x] == 1
    assert hash(x) != hash(equal)


def test_nothing_but_numbers_is_compared():
    x = Tensor(A)
    assert (x == None, None == x, x != None) == (False, False, True)  # noqa: E711, SIM300
    with pytest.raises(TypeError, match="not supported between instances of 'Tensor' and 'NoneType'"):
        _ = x < None
    with pytest.raises(ValueError, match=r"^==: expected shapes that broadcast .*\(2, 3\) and \(2,\)"):
        _ = x == Tensor(A[:, 0])


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
    with pytest.raises(ValueError, match=rf"^{name}: expected an axis from -2 to 1 of shape \(2, 3\), got 2"):
        getattr(Tensor(A), name)(2)
    with pytest.raises(ValueError, match=rf"^{name}: expected no axis of shape \(\), got 0"):
        getattr(Tensor(1.0), name)(0)
    with pytest.raises(ValueError, match=rf"^{name}: expected each axis of shape \(2, 3\) once, got \(1, -1\)"):
        getattr(Tensor(A), name)((1, -1))


@pytest.mark.parametrize("axis", [True, np.bool_(True), 1.0, np.float64(1), "1", (0, 1.0)])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "min"])
def test_axes_are_whole_numbers(name, axis):
    with pytest.raises(ValueError, match=f"^{name}: expected an axis from -2 to 1 of shape"):
        getattr(Tensor(A), name)(axis)


@pytest.mark.parametrize("axis", [np.int64(1), np.int32(-1), np.uint8(0), (np.int64(1), 0), np.array([0, 1])])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "min"])
def test_axes_may_be_numpy_integers(name, axis):
    expected = tuple(axis.tolist()) if isinstance(axis, np.ndarray) else axis
    check(getattr(Tensor(A), name)(axis), getattr(np, name)(A, axis=expected))
    check(getattr(Tensor(A), name)(iter([0, 1])), getattr(np, name)(A))


@pytest.mark.parametrize(("name", "shown"), [("mean", "average"), ("max", "compare"), ("min", "compare")])
def test_reductions_of_nothing_are_refused(name, shown):
    with pytest.raises(ValueError, match=f"^{name}: nothing to {shown} over axis 0 of shape"):
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
    check(Tensor(x).transpose(*map(np.int64, axes)), x.transpose(axes or None))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.transpose(x, 0, 2), r"transpose: expected an axis from -2 to 1 of shape \(2, 3\), got 2"),
        (lambda x: F.transpose(x, 0, 0), r"transpose: expected each axis of shape \(2, 3\) once, got \[0, 0\]"),
        (lambda x: F.transpose(x, 0, -2), "transpose: expected each axis"),
        (lambda x: F.transpose(x, 1), r"transpose: expected all 2 axes of shape \(2, 3\), got \(1,\)"),
        (lambda x: F.transpose(x, 0, True), "transpose: expected an axis from -2 to 1 .* got True"),
        (lambda x: F.transpose(x.sum(), 0), r"transpose: expected no axis of shape \(\), got 0"),
        (lambda x: F.concatenate([x, x], axis=2), "concatenate: expected an axis from -2 to 1 .* got 2"),
        (lambda x: F.concatenate([x, x], axis=-3), "concatenate: expected an axis from -2 to 1 .* got -3"),
        (lambda x: F.concatenate([x, x], axis=1.0), "concatenate: expected an axis from -2 to 1 .* got 1.0"),
        (lambda x: F.concatenate([x, x], axis=None), "concatenate: expected one axis, got None"),
        (lambda x: F.concatenate([x, x], axis=(0, 1)), r"concatenate: expected one axis, got \(0, 1\)"),
        (lambda x: F.concatenate([x.sum()]), r"concatenate: expected no axis of shape \(\), got 0"),
        (lambda x: F.concatenate([x, x[:1]], 1), r"concatenate: .* along axis 1 only, got \(2, 3\) and \(1, 3\)"),
        (lambda x: F.concatenate([x, x[0]]), r"concatenate: .* along axis 0 only, got \(2, 3\) and \(3,\)"),
        (lambda _: F.concatenate([]), "concatenate: expected at least one tensor, got none"),
        (lambda x: F.stack([x, x], axis=3), "stack: expected an axis from -3 to 2 .* got 3"),
        (lambda x: F.stack([x, x], axis=-4), "stack: expected an axis from -3 to 2 .* got -4"),
        (lambda x: F.stack([x, x[:1]]), r"stack: expected tensors of one shape, got \(2, 3\) and \(1, 3\)"),
        (lambda _: F.stack([]), "stack: expected at least one tensor, got none"),
        (lambda x: F.flatten(x.sum()), r"flatten: expected at least a batch axis \(n, ...\), got shape \(\)"),
    ],
)
def test_shapes_and_axes_that_cannot_be_are_explained(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(Tensor(A))


def test_joining_takes_axes_from_the_end_too():
    check(F.concatenate([Tensor(A), Tensor(B)], axis=np.int64(-1)), np.concatenate([A, B], -1))
    check(F.stack([Tensor(A), Tensor(B)], axis=-1), np.stack([A, B], -1))
    check(F.stack([Tensor(A).sum(), Tensor(B).sum()]), [A.sum(), B.sum()])
    check(Tensor(A).sum().transpose(), A.sum())


@pytest.mark.parametrize("function", [F.exp, F.tanh, F.sigmoid, F.softplus, F.elu, F.gelu, F.swish, F.leakyrelu, F.erf])
def test_no_overflow_at_either_end(function):
    for dtype, far in [(np.float32, 80), (np.float64, 700)]:
        y = function(Tensor(np.array([-far, far], dtype)))
        assert np.isfinite(y.numpy()).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-7), (np.float64, 2e-15)])
def test_the_error_function_is_pythons(dtype, tolerance):
    x = np.array([*np.linspace(-7, 7, 1001), 0, -np.inf, np.inf], dtype)
    expected = [math.erf(number) for number in x.tolist()]
    y = F.erf(Tensor(x))
    assert y.dtype == dtype
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinite_numbers_that_are_not_selected_leave_no_nan(dtype):
    x, mask = np.array([np.inf, -np.inf, np.nan, -2, 3, -0.0, np.inf], dtype), np.array([0, 0, 0, 0, 1, 1, 1], bool)
    y = F.select(Tensor(x), mask)
    check(y, [0, 0, 0, 0, 3, 0, np.inf], dtype)
    assert np.signbit(y.numpy()).tolist() == [False] * 5 + [True, False]
    check(F.select(Tensor(dtype(np.inf)), np.array(False)), 0, dtype)
    check(F.select(Tensor(np.full((2, 2), np.inf, dtype)).transpose(), mask[3:5]), [[0, np.inf]] * 2, dtype)
    negative = Tensor(np.full(1, -1, dtype), requires_grad=True)
    F.relu(negative).backward(Tensor(np.full(1, np.inf, dtype)))
    check(negative.grad, [0], dtype)
    with pytest.raises(TypeError, match="select: expected booleans as condition, such as x > 0, got float64"):
        F.select(Tensor(x), np.ones(7))


NAN = np.array([[np.nan, 1.0], [-1.0, 2.0]])


@pytest.mark.parametrize(
    "function",
    [F.relu, F.leakyrelu, F.elu, F.sigmoid, F.tanh, F.swish, F.gelu, F.absolute, F.erf,
     lambda x: F.clip(x, 0, 1), lambda x: F.maximum(x, 0), lambda x: F.maximum(0, x), lambda x: F.minimum(x, 0),
     lambda x: F.minimum(0, x)],
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


def test_relu_gradient_wants_the_result_of_relu():
    for wrong, what in [(A[0], r"\(3,\) float64"), (A.astype("float32"), r"\(2, 3\) float32")]:
        with pytest.raises(ValueError, match=rf"^relu_gradient: expected y like dy, \(2, 3\) float64, got {what}"):
            F.relu_gradient(Tensor(A), wrong)


def test_power_has_gradients_at_zero():
    for exponent, expected in [(0, 0), (1, 1), (2, 0), (3, 0)]:
        x = Tensor(np.zeros(1), requires_grad=True)
        (x**exponent).sum().backward()
        assert x.grad.item() == expected
