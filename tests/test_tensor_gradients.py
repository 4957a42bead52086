"""backward() and grad(): what they give, when they refuse, and that changed arrays are noticed."""

import numpy as np
import pytest

from minidl import functions as F
from minidl.modes import no_grad
from minidl.tensor import Tensor, grad, op_name, record

X = np.array([0.5, -1.0, 2.0])


def leaf(array=X, backend=None):
    return Tensor(np.array(array), backend, requires_grad=True)


def values(tensors):
    return [x.numpy().tolist() for x in tensors]


def test_backward_gives_leaves_their_gradients():
    a, b, fixed = leaf([2.0]), leaf([3.0]), Tensor(np.array([5.0]))
    (a * b * a + fixed * b).sum().backward()
    assert (a.grad.item(), b.grad.item(), fixed.grad) == (12, 9, None)


def test_backward_adds_to_what_is_there():
    x = leaf()
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad.numpy().tolist() == [5, 5, 5]
    assert first.numpy().tolist() == [2, 2, 2]


def test_backward_of_several_numbers_needs_a_gradient_of_their_shape():
    x = leaf()
    with pytest.raises(ValueError, match=r"expected an output with one number, got shape \(3,\); sum it"):
        (x * 2).backward()
    for wrong in [Tensor(np.ones(2)), Tensor(np.ones(3, np.float32)), Tensor(np.ones(3), "reference")]:
        with pytest.raises(ValueError, match=r"backward: expected a gradient of shape \(3,\), float64 on 'cpu', got"):
            (x * 2).backward(wrong)
    (x * 2).backward(Tensor(X))
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X)


def test_every_leaf_has_a_gradient_of_its_own():
    """The gradient of a + b is one array for both; clipping a's in place must not clip b's, nor the caller's."""
    a, b, dy = leaf(), leaf(), Tensor(np.ones(3))
    (a + b).backward(dy)
    a.grad[...] = 0
    assert values([b.grad, dy]) == [[1, 1, 1], [1, 1, 1]]
    da, db = grad((a + b).sum(), [a, b])
    da[...] = 0
    assert db.numpy().tolist() == [1, 1, 1]


def test_a_gradient_that_belongs_to_one_leaf_alone_is_not_copied(monkeypatch):
    leaves = [leaf() for _ in range(20)]
    y = leaves[0]
    for x in leaves[1:]:
        y = y * x
    copied = []
    monkeypatch.setattr(Tensor, "to", lambda self: copied.append(self) or self)
    y.sum().backward()
    assert copied == []


def test_grad_leaves_grad_alone():
    x = leaf()
    (x * 2).sum().backward()
    (dx,) = grad((x * 3).sum(), x)
    assert values([dx, x.grad]) == [[3, 3, 3], [2, 2, 2]]


def test_grad_of_unrelated_inputs_is_zero():
    x, unrelated = leaf(), leaf(np.ones((2, 2)))
    dx, zeros = grad(x.sum(), [x, unrelated])
    assert values([dx, zeros]) == [[1, 1, 1], [[0, 0], [0, 0]]]
    with pytest.raises(ValueError, match="grad: input 1 does not require a gradient"):
        grad(x.sum(), [x, Tensor(X)])


def test_grad_of_inputs_that_depend_on_each_other():
    x = leaf([3.0])
    h = x * x
    y = (h * h + x).sum()
    dy, dh, dx = grad(y, [y, h, x])
    assert values([dy, dh, dx]) == [1, [18], [109]]


def test_grad_leaves_alone_what_lies_behind_its_inputs():
    x = leaf()
    h = x * 2
    assert values(grad((h * h).sum(), h)) == [[2, -4, 8]]
    assert values(grad(h.sum(), x)) == [[2, 2, 2]]


def test_grad_does_not_need_what_lies_behind_its_inputs():
    """Neither numbers that have changed since, nor the time: exp's backward is never called."""
    x = leaf()
    h = F.exp(x)
    with no_grad():
        x[...] = 0
    assert values(grad((h * 3).sum(), h)) == [[3, 3, 3]]


def test_a_tensor_used_several_times_adds_up():
    x = leaf([2.0])
    (dx,) = grad((x * x * x + x + x[0] + F.concatenate([x, x]).sum()).sum(), x)
    assert dx.item() == 12 + 1 + 1 + 2


def test_scalars():
    x = leaf(3.0)
    (x * x).backward()
    assert (x.grad.shape, x.grad.item()) == ((), 6)
    x.backward()
    assert x.grad.item() == 7


def test_gradients_of_gradients():
    x = leaf([0.5, 2.0])
    y = (x**4).sum()
    for expected in [4 * x.array**3, 12 * x.array**2, 24 * x.array]:
        (dx,) = grad(y, x, create_graph=True)
        np.testing.assert_allclose(dx.numpy(), expected)
        y = dx.sum()


def test_gradient_of_a_gradient_norm_reaches_leaves_through_backward():
    x = leaf([3.0])
    (dx,) = grad((x**3).sum(), x, create_graph=True)
    (dx * dx).sum().backward()  # (3 x^2)^2
    assert x.grad.item() == pytest.approx(36 * 27)


def test_no_grad_keeps_no_history():
    x = leaf()
    with no_grad():
        y = (x * 2).sum()
    assert not y.requires_grad
    assert op_name(y) is None
    with pytest.raises(ValueError, match="nothing that requires a gradient, or inside no_grad"):
        y.backward()


def test_op_name_tells_what_computed_a_tensor():
    x = leaf()
    assert [op_name(y) for y in [x, x + 1, F.softmax(x), F.max(x)]] == [None, "add", "softmax", "max"]
    used_up = F.max(x)
    used_up.backward()
    assert op_name(used_up) == "max"


def test_a_shared_helper_names_the_function_it_helps():
    image, weight = leaf(np.ones((1, 2, 2, 1))), leaf(np.ones((1, 1, 1, 1)))
    results = [F.conv2d(image, weight), F.mean_pool2d(image, 2), F.dense(leaf([[1.0]]), leaf([[1.0]])), leaf() ** 2]
    assert [op_name(y) for y in results] == ["conv2d", "mean_pool2d", "dense", "power"]


def test_history_can_be_used_once():
    x, other = leaf(), leaf()
    h = x * x
    h.sum().backward()
    before = x.grad.numpy().copy()
    with pytest.raises(RuntimeError, match=r"used up by an earlier backward\(\) or grad\(\)"):
        (h.sum() + (other * 2).sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), before)
    assert other.grad is None


def test_create_graph_keeps_the_history():
    x = leaf([2.0])
    y = (x * x).sum()
    for _ in range(2):
        assert grad(y, x, create_graph=True)[0].item() == 4
    y.backward()
    assert x.grad.item() == 4


def broken(backward):
    def halve(x):
        return record(x.array / 2, (x,), backward, name="halve")

    return halve


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda dy: (dy.sum(),), r"gave of shape \(\), float64 on 'cpu' for an input of shape \(3,\), float64"),
        (lambda dy: (dy.to(dtype="float32"),), r"gave of shape \(3,\), float32 on 'cpu' for an input"),
        (lambda dy: (dy.to("reference"),), r"gave of shape \(3,\), float64 on 'reference' for an input"),
        (lambda dy: (None,), "gave nothing for an input"),
        (lambda dy: (dy, dy), "expected its backward to return a tuple of 1, got 2 gradients"),
        (lambda dy: dy, "expected its backward to return a tuple of 1, got a Tensor"),
    ],
)
def test_a_wrong_backward_is_named(backward, message):
    x = leaf(backend="cpu")
    with pytest.raises(RuntimeError, match=f"^halve: .*{message}"):
        broken(backward)(x).sum().backward()
    assert x.grad is None


def test_a_backward_that_uses_its_own_result_is_explained():
    """It would be a cycle, which reference counting cannot free."""

    def exponential(x):
        def backward(dy):
            return (dy * y,)

        y = record(np.exp(x.array), (x,), backward)
        return y

    with pytest.raises(RuntimeError, match="exponential: its backward uses a variable that has no value yet"):
        exponential(leaf())


def assign(x):
    x.array = x.array + 1


def add_in_place(x):
    x.array += 1


def set_items(x):
    with no_grad():
        x[0] = 5


def zero(x):
    with no_grad():
        x[...] = Tensor(np.zeros(3))


CHANGES = pytest.mark.parametrize("change", [assign, add_in_place, set_items, zero])


@CHANGES
@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda x: x * x, "multiply"),
        (F.exp, "exp"),
        (F.softmax, "softmax"),
        (lambda x: x.reshape(1, 3) @ Tensor(np.ones((3, 1))) * x[:1], None),
        (lambda x: F.dense(Tensor(np.ones((1, 1))), x.reshape(1, 3)) * x, "multiply"),
    ],
)
def test_changing_an_array_that_backward_needs_is_noticed(function, op, change):
    x = leaf()
    y = function(x).sum()
    change(x)
    if op is None:  # it needs a copy of x, not x itself
        y.backward()
        return
    with pytest.raises(RuntimeError, match=f"^{op}: an input of shape .* was changed in place after it was used"):
        y.backward()
    assert x.grad is None


@CHANGES
def test_changing_an_array_that_backward_does_not_need_is_fine(change):
    x, other = leaf(), leaf()
    y = (x + other - x + F.relu(x) + x.sum() + x.reshape(1, 3) + F.exp(x.reshape(3))).sum()
    change(x)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), (X > 0) + 3 + 1 + np.exp(X))


@CHANGES
def test_changing_a_result_that_its_backward_keeps_is_noticed(change):
    x = leaf()
    y = F.relu(x)
    total = y.sum()
    change(y)
    with pytest.raises(RuntimeError, match=r"^relu: its result of shape \(3,\) was changed in place"):
        total.backward()
    assert x.grad is None


def test_changing_a_constant_that_backward_needs_is_noticed():
    x, factor = leaf(), Tensor(X.copy())
    y = (x * factor).sum()
    factor[0] = 100
    with pytest.raises(RuntimeError, match="multiply: an input of shape"):
        y.backward()


@pytest.mark.parametrize(
    ("use", "key", "other", "expected"),
    [
        (lambda x, key: F.where(key, x, 0.0), np.array([True, False, False]), [False, True, True], [1, 0, 0]),
        (lambda x, key: x[key], np.array([0, 0, 1]), [2, 2, 2], [2, 1, 0]),
        (lambda x, key: x[key], np.array([True, True, False]), [False, False, False], [1, 1, 0]),
        (lambda x, key: x[None, key], np.array([0, 0, 1]), [2, 2, 2], [2, 1, 0]),
        (lambda x, key: F.scatter(x, key, (4,)) * Tensor(np.array([1.0, 2, 3, 4])),
         np.array([0, 0, 1]), [3, 3, 3], [1, 1, 2]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["array", "tensor", "list"])
def test_a_mask_or_an_index_may_change_after_it_was_used(use, key, other, expected, kind):
    x = leaf()
    key = {"array": key.copy(), "tensor": Tensor(key.copy()), "list": key.tolist()}[kind]
    y = use(x, key)
    key[:] = other
    assert values(grad(y.sum(), x)) == [expected]


def test_setting_items_inside_a_recorded_computation_is_refused():
    with pytest.raises(RuntimeError, match=r"x\[\.\.\.\] = value: .*no_grad\(\), or compute a new tensor with where"):
        leaf()[0] = 1
    x = Tensor(X.copy())
    x[Tensor(X) < 0] = 0
    assert x.numpy().tolist() == [0.5, 0, 2]
