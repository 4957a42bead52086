"""One number that is not finite comes out where it is seen, and nowhere else, in every function of the registry.

What sees it is found out by changing it: an output that stays the same to the bit does not depend on it.
"""

import numpy as np
import pytest

from minidl import Tensor, Upsample, grad
from minidl.gradient_examples import EXAMPLES, Example

# What multiplies by zeros that it has put around images: 0 * nan is nan
PADDED = {"conv2d", "conv2d_relu", "conv2d_relu_max_pool2d", "conv2d_weight_gradient"}


def bilinear(x):
    return Upsample(3, "bilinear")(x)


RANDOM = np.random.default_rng(0)
CASES = [*EXAMPLES, Example(bilinear, RANDOM.uniform(0.1, 1, (1, 4, 3, 2)))]
NUMBERS = [np.nan, np.inf, -np.inf]


def computed(example, inputs, backend, gradients):
    """The result, and with `gradients` those of a weighted sum of it, as arrays."""
    tensors = [Tensor(x, backend, requires_grad=gradients and x.dtype.kind == "f") for x in inputs]
    y = example(*tensors)
    if not gradients:
        return [y.numpy()]
    weights = np.random.default_rng(1).uniform(0.5, 1, y.shape)
    return [y.numpy(), *(dx.numpy() for dx in grad((y * weights).sum(), [x for x in tensors if x.requires_grad]))]


def with_number(inputs, which, place, number):
    changed = [x.copy() for x in inputs]
    changed[which][place] = number
    return changed


@pytest.mark.parametrize("backend", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("example", CASES, ids=lambda example: example.name)
def test_backends_agree_where_it_comes_out(example, backend):
    for which, x in enumerate(example.inputs):
        if x.dtype.kind != "f" or not x.size:
            continue
        for place in {(0,) * x.ndim, tuple(size // 2 for size in x.shape), tuple(size - 1 for size in x.shape)}:
            for number in NUMBERS:
                inputs = with_number(example.inputs, which, place, number)
                expected = computed(example, inputs, "reference", gradients=True)
                came = computed(example, inputs, backend, gradients=True)
                for a, b in zip(came, expected, strict=True):
                    np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), f"{which} {place} {number}")
                    finite = np.isfinite(b)
                    np.testing.assert_allclose(a[finite], b[finite], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("example", CASES, ids=lambda example: example.name)
def test_what_does_not_see_it_stays_finite(example):
    for which, x in enumerate(example.inputs):
        if x.dtype.kind != "f" or not x.size:
            continue
        for place in {(0,) * x.ndim, tuple(size // 2 for size in x.shape), tuple(size - 1 for size in x.shape)}:
            (y,) = computed(example, example.inputs, "reference", gradients=False)
            seen = np.zeros(y.shape, bool)
            for factor in [-50.0, -2.0, -0.5, 0.3, 0.7, 2.0, 50.0]:
                (other,) = computed(
                    example, with_number(example.inputs, which, place, factor * x[place]), "reference", gradients=False
                )
                seen |= (other != y) | np.isnan(other)
            (came,) = computed(example, with_number(example.inputs, which, place, np.nan), "cpu", gradients=False)
            if example.op in PADDED and which == 1 - (example.op == "conv2d_weight_gradient"):
                continue
            if example.op == "batch_norm" and example.arguments.get("relu"):
                continue  # what relu cuts off after any change still depends on the statistics
            assert not (np.isnan(came) & ~seen).any(), (which, place)
