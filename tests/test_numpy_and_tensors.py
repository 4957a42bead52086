"""What tensors are made of, what NumPy's functions do with them, and how they are shown."""

import subprocess
import sys
from collections import namedtuple
from functools import partial

import numpy as np
import pytest

import minidl
from minidl import Chain, Conv, Dropout, GroupNorm, Tensor, flatten, grad, keras, training_mode
from minidl import functions as F
from minidl.ops.dropout import cpu, reference
from minidl.tensor import record

COMPUTED = Tensor([1.0], requires_grad=True) * 2


class Frame:
    def __array__(self, dtype=None, copy=None):
        return np.array([1, 2], dtype)


@pytest.mark.parametrize(
    "thing",
    [
        None, "abc", b"abc", {1: 2}, {1, 2}, (i for i in range(3)), 1j, np.array([1j]), np.array([1, None]),
        [1.0, None],
        [[1.0], [None]], ["a"], np.array(["a"]), np.array(["2020"], "M8[s]"), np.zeros(2, "f4,f4"), object(),
        np.ma.array([1.0, 2.0], mask=[0, 1]), [np.ma.array([1.0], mask=[1])], [COMPUTED, COMPUTED], ([[COMPUTED]],),
        np.array([object()]),
    ],
)  # fmt: skip
def test_what_is_no_numbers_is_refused_by_tensors_and_by_functions(thing):
    with pytest.raises(TypeError, match="Tensor: expected "):
        Tensor(thing)
    if thing is not None:
        with pytest.raises(TypeError, match="Tensor: expected ") as caught:
            F.add(Tensor([1.0]), thing)
        assert caught.value.__notes__ == ["as an input of add"]


def test_rows_of_several_lengths_are_refused():
    with pytest.raises(ValueError, match="Tensor: expected rows of one length"):
        Tensor([[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("thing", "numbers"),
    [
        ([np.array([1, 2]), [3, 4]], [[1, 2], [3, 4]]), (range(3), [0, 1, 2]), (Frame(), [1, 2]), ([True], [1]),
        ([Tensor([1.0]), Tensor([2.0])], [[1], [2]]), ((np.float64(1), 2), [1, 2]), ([], []),
    ],
)  # fmt: skip
def test_numbers_in_any_form_are_taken(thing, numbers):
    assert Tensor(thing).numpy().tolist() == numbers


def test_numpys_functions_of_ours_keep_the_gradient():
    x, array = Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0], np.float32)
    for y, expected in [
        (np.exp(x), x.exp()),
        (np.add(x, 1), x + 1),
        (array + x, x + array),
        (np.float32(2) * x, 2 * x),
    ]:
        assert isinstance(y, Tensor)
        assert y.numpy().tolist() == expected.numpy().tolist()
        assert grad(y.sum(), x)[0].shape == (2,)
    assert (array > x).numpy().all()
    assert (np.int64(2) > x).numpy().tolist() == [True, False]


@pytest.mark.parametrize(
    "call",
    [np.mean, np.sum, np.max, np.linalg.norm, np.log1p, np.add.reduce, lambda x: np.concatenate([x, x]), np.argsort,
     lambda x: np.where([True, False], x, 0), lambda x: np.add(np.ones(2), x, out=np.zeros(2)), np.shape],
)  # fmt: skip
def test_numpys_other_functions_take_numbers_and_refuse_to_lose_gradients(call):
    plain = Tensor([1.0, 2.0])
    result = call(plain)
    assert not isinstance(result, Tensor)
    np.testing.assert_array_equal(result, call(plain.numpy()))
    for asking in [Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True) * 1]:
        with pytest.raises(TypeError, match=r"numpy\..*gradient, which would be lost; .*give NumPy x\.numpy\(\)"):
            call(asking)


def test_numpy_does_not_write_into_tensors():
    with pytest.raises(TypeError, match="out= cannot be a Tensor"):
        np.log1p(np.ones(2), out=Tensor([1.0, 2.0]))


@pytest.mark.parametrize(
    "shape", [(64, 32, 32, 3), (2,) * 8, (20, 1, 1), (40, 40), (1000,), (0, 3), (1, 300, 1, 300, 1)]
)
def test_a_large_tensor_is_shown_with_its_shape_in_less_than_30_lines(shape):
    text = repr(Tensor(np.ones(shape, np.float32)))
    assert text.count("\n") < 30
    assert f"shape={shape}" in text
    assert "shape" not in repr(Tensor(np.ones((2, 2))))


@pytest.mark.parametrize("base", [-2.0, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("exponent", [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.torch
def test_powers_and_their_gradients_are_those_of_pytorch(base, exponent):
    torch = pytest.importorskip("torch")
    x, y = (Tensor([value], requires_grad=True, dtype="float64") for value in (base, exponent))
    tx, ty = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (base, exponent))
    with np.errstate(all="ignore"):
        power, expected = x**y, tx**ty
        assert power.numpy() == pytest.approx(expected.detach().numpy(), nan_ok=True)
        ours, theirs = (
            grad(power.sum(), (x, y), create_graph=True),
            torch.autograd.grad(expected, (tx, ty), create_graph=True),
        )
        for a, b in zip(ours, theirs, strict=True):
            assert a.numpy() == pytest.approx(b.detach().numpy(), nan_ok=True)
        if base > 0 and exponent != 0:  # there PyTorch leaves out the 1 / x of d2(x ** y) / dx dy
            for a, b in zip(ours, theirs, strict=True):
                for c, d in zip(
                    grad(a.sum(), (x, y), create_graph=True),
                    torch.autograd.grad(b, (tx, ty), retain_graph=True, allow_unused=True), strict=True,
                ):  # fmt: skip
                    assert c.numpy() == pytest.approx(0 if d is None else d.numpy())


def test_powers_are_numpys():
    assert float(Tensor(-2.0) ** Tensor(3.0)) == -8
    assert float(Tensor(0.0) ** Tensor(0.0)) == 1
    assert (2 ** Tensor([3.0, -1.0])).numpy().tolist() == [8, 0.5]
    with pytest.raises(ValueError, match="power: expected shapes that broadcast"):
        Tensor([1.0, 2.0]) ** Tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize("mask", [np.ones((3,), bool), np.ones((4, 2, 2), bool), np.ones((2, 3), bool)])
def test_select_looks_at_the_shape_of_its_mask_first(mask):
    with pytest.raises(ValueError, match=r"select: expected a condition that broadcasts to \(2, 2\), got shape"):
        F.select(np.ones((2, 2), np.float32), mask)
    if mask.shape != (4, 2, 2):
        with pytest.raises(ValueError, match="where: expected a condition that broadcasts to"):
            F.where(mask, np.ones((2, 2), np.float32), 0.0)


Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    "hold",
    [
        lambda x: (x,),
        lambda x: [[x]],
        lambda x: {"a": x},
        lambda x: Pair(1, x),
        lambda x: partial(max, x),
        lambda x: lambda: x,
    ],
    ids=["tuple", "nested", "dict", "named tuple", "partial", "function"],
)  # fmt: skip
def test_a_change_of_what_backward_holds_in_something_else_is_noticed(hold):
    x, kept = Tensor([1.0], requires_grad=True), Tensor([2.0])
    held = hold(kept)

    def backward(dy):
        assert held
        return (dy,)

    y = record(x.array.copy(), (x,), backward)
    kept[...] = 3.0
    with pytest.raises(RuntimeError, match="was changed in place after it was used"):
        y.backward()


def test_dropout_of_everything_gives_zeros_and_no_gradient():
    x = Tensor([1.0, np.inf, np.nan], requires_grad=True)
    with training_mode():
        for y in [
            Dropout(1.0)(x),
            Dropout(1)(x),
            F.dropout(x, 1, (0, 0, 0)),
            keras.layers.Dropout(1.0)(x.reshape(1, 3), training=True),
        ]:
            assert not y.numpy().any()
            assert grad(y.sum(), x)[0].numpy().tolist() == [0, 0, 0]
        images = np.ones((2, 3, 3, 2), np.float32)
        assert not keras.layers.SpatialDropout2D(1.0)(images, training=True).numpy().any()


def test_the_mask_does_not_repeat_after_the_places_that_32_bits_can_count(monkeypatch):
    x, key = np.ones(40, np.float32), (3, 1, 4)
    today = reference.apply(x, 0.5, key)
    for kernels in [reference, cpu]:
        assert kernels.BLOCK == 2**32
        monkeypatch.setattr(kernels, "BLOCK", 16)
    masks = [kernels.apply(x, 0.5, key) for kernels in [reference, cpu]]
    assert masks[0].tobytes() == masks[1].tobytes()
    assert masks[0][:16].tobytes() == today[:16].tobytes()
    assert len({masks[0][:16].tobytes(), masks[0][16:32].tobytes()}) == 2
    assert masks[0][16:32].tobytes() == reference.apply(x[:16], 0.5, (*key, 1)).tobytes()


def test_large_seeds_and_steps_have_masks_of_their_own():
    x = Tensor(np.ones(64, np.float32))
    masks = {
        F.dropout(x, 0.5, key).numpy().tobytes() for key in [(0, 0, 0), (2**32, 0, 0), (0, 2**32, 0), (2**33, 0, 0)]
    }
    assert len(masks) == 4


def test_an_empty_batch_goes_through_or_is_refused_by_name():
    images = Tensor(np.zeros((0, 4, 4, 4), np.float32), requires_grad=True)
    model = Chain(GroupNorm(4, 2), Conv((3, 3), (4, 2)), flatten)
    assert model(images).shape == (0, 8)
    model(images).sum().backward()
    assert images.grad.shape == images.shape
    assert keras.layers.Dense(5)(images).shape == (0, 4, 4, 5)
    assert keras.layers.GroupNormalization(2)(images).shape == images.shape
    assert keras.layers.Reshape((2, -1))(images).shape == (0, 2, 32)
    with pytest.raises(ValueError, match=r"reshape: expected sizes whose product is that of \(0, 4, 4, 4\)"):
        images.reshape(0, -1)


def test_one_import_is_enough():
    script = """
import sys, minidl
assert not {"minidl.keras", "minidl.data", "minidl.interchange", "numba"} & set(sys.modules)
for name in minidl.MODULES:
    assert name in dir(minidl) and getattr(minidl, name).__name__ == f"minidl.{name}"
assert minidl.losses.mse and minidl.models.vgg19 and minidl.data.DataLoader and minidl.optimisers.Adam
try:
    minidl.nonsense
except AttributeError as error:
    assert str(error) == "module 'minidl' has no attribute 'nonsense'"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert minidl.losses.__name__ == "minidl.losses"
