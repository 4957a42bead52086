"""Functions against PyTorch, an independent implementation: outputs and the gradients of all inputs, in float64."""

import numpy as np
import pytest

from minidl import functions as F
from minidl.tensor import Tensor, grad

torch = pytest.importorskip("torch")
nn = torch.nn.functional

pytestmark = pytest.mark.torch


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def check(ours, theirs, *inputs, backend="cpu"):
    """`ours` takes tensors of minidl, `theirs` of torch, with channels last; both give one tensor."""
    x = [Tensor(array, backend, requires_grad=True) for array in inputs]
    x_there = [torch.tensor(array, requires_grad=True) for array in inputs]
    y, y_there = ours(*x), theirs(*x_there)
    dy = random(*y.shape)
    results = [y, *grad((y * dy).sum(), x)]
    expected = [y_there, *torch.autograd.grad((y_there * torch.tensor(dy)).sum(), x_there)]
    for result, expectation in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.numpy(), expectation.detach().numpy(), rtol=1e-9, atol=1e-11)


def channels_last(function):
    """A function of torch on (n, c, h, w), for images (n, h, w, c)."""
    return lambda x, *rest: function(x.permute(0, 3, 1, 2), *rest).permute(0, 2, 3, 1)


WINDOWS = [
    {},
    {"stride": 2},
    {"pad": 1},
    {"pad": (1, 2), "stride": (2, 1)},
    {"dilation": 2},
    {"dilation": (1, 2), "stride": 2, "pad": 2},
    {"stride": 4},
]

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])


@BACKENDS
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("how", WINDOWS, ids=str)
def test_conv2d(how, groups, backend):
    there = {"stride": how.get("stride", 1), "padding": how.get("pad", 0), "dilation": how.get("dilation", 1)}
    check(
        lambda x, weight, bias: F.conv2d(x, weight, bias, **how, groups=groups),
        channels_last(lambda x, weight, bias: nn.conv2d(x, weight.permute(3, 2, 0, 1), bias, groups=groups, **there)),
        random(2, 8, 7, 4), random(3, 2, 4 // groups, 6), random(6), backend=backend,
    )  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"stride": 2}, {"stride": 2, "pad": 1}, {"dilation": 2, "pad": (0, 1)}], ids=str)
def test_conv_transpose2d(how):
    there = {"stride": how.get("stride", 1), "padding": how.get("pad", 0), "dilation": how.get("dilation", 1)}
    check(
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, **how),
        channels_last(lambda x, weight, bias: nn.conv_transpose2d(x, weight.permute(3, 2, 0, 1), bias, **there)),
        random(2, 4, 5, 3), random(3, 2, 2, 3), random(2),
    )  # fmt: skip


def test_conv_transpose2d_with_groups():
    check(
        lambda x, weight: F.conv_transpose2d(x, weight, groups=2, stride=2),
        channels_last(lambda x, weight: nn.conv_transpose2d(x, weight.permute(3, 2, 0, 1), groups=2, stride=2)),
        random(2, 3, 4, 4), random(3, 2, 3, 4),
    )  # fmt: skip


@BACKENDS
@pytest.mark.parametrize(
    ("size", "stride", "pad"), [(2, 2, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (2, 3, 0), (3, 1, 1), (4, 4, 2)]
)
def test_pools(size, stride, pad, backend):
    x = random(2, 7, 8, 3)
    check(
        lambda x: F.max_pool2d(x, size, stride, pad),
        channels_last(lambda x: nn.max_pool2d(x, size, stride, pad)),
        x, backend=backend,
    )  # fmt: skip
    check(
        lambda x: F.mean_pool2d(x, size, stride, pad),
        channels_last(lambda x: nn.avg_pool2d(x, size, stride, pad)),
        x, backend=backend,
    )  # fmt: skip


def _normalised_there(x, scale, shift):
    return nn.batch_norm(x, None, None, scale, shift, training=True, eps=1e-3)


@BACKENDS
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3, 3)])
def test_batch_norm(shape, backend):
    check(
        lambda x, scale, shift: F.batch_norm(x, scale, shift, eps=1e-3)[0],
        channels_last(_normalised_there) if len(shape) == 4 else _normalised_there,
        random(*shape), random(3), random(3), backend=backend,
    )  # fmt: skip


@BACKENDS
def test_batch_norm_with_relu(backend):
    check(
        lambda x, scale, shift: F.batch_norm(x, scale, shift, eps=1e-3, relu=True)[0],
        channels_last(lambda *inputs: nn.relu(_normalised_there(*inputs))),
        random(2, 4, 3, 3), random(3), random(3), backend=backend,
    )  # fmt: skip
    check(
        lambda x, mean, variance, scale, shift: F.normalise(x, mean, scale / F.sqrt(variance + 1e-3), shift, relu=True),
        lambda x, mean, variance, scale, shift: nn.relu((x - mean) / torch.sqrt(variance + 1e-3) * scale + shift),
        random(2, 4, 3, 3), random(3), abs(random(3)), random(3)[::-1].copy(), random(3), backend=backend,
    )  # fmt: skip


@BACKENDS
def test_dense(backend):
    check(F.dense, lambda x, weight, bias: x @ weight + bias, random(4, 5), random(5, 3), random(3), backend=backend)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (F.relu, nn.relu),
        (lambda x: F.leakyrelu(x, 0.2), lambda x: nn.leaky_relu(x, 0.2)),
        (lambda x: F.elu(x, 1.5), lambda x: nn.elu(x, 1.5)),
        (F.gelu, lambda x: nn.gelu(x, approximate="tanh")),
        (F.swish, nn.silu),
        (F.sigmoid, torch.sigmoid),
        (F.tanh, torch.tanh),
        (F.softplus, nn.softplus),
        (F.exp, torch.exp),
        (F.absolute, torch.abs),
        (lambda x: F.clip(x, -0.5, 0.7), lambda x: torch.clip(x, -0.5, 0.7)),
        (lambda x: x**3, lambda x: x**3),
        (lambda x: F.log(x * x + 1), lambda x: torch.log(x * x + 1)),
        (lambda x: F.sqrt(x * x + 1), lambda x: torch.sqrt(x * x + 1)),
        (lambda x: F.var(x, (0, 2)), lambda x: torch.var(x, (0, 2), correction=0)),
        (lambda x: F.mean(x, -1, keepdims=True), lambda x: torch.mean(x, -1, keepdim=True)),
        (lambda x: F.max(x, 1), lambda x: torch.amax(x, 1)),
        (lambda x: F.min(x), torch.min),
        (lambda x: F.transpose(x, 2, 0, 1), lambda x: x.permute(2, 0, 1)),
        (lambda x: x[:, [0, 0, 1], ::2], lambda x: x[:, [0, 0, 1], ::2]),
    ],
)
def test_functions_of_one_tensor(ours, theirs):
    check(ours, theirs, 3 * random(4, 3, 5))


@BACKENDS
def test_probabilities(backend):
    for ours, theirs in [(F.softmax, nn.softmax), (F.logsoftmax, nn.log_softmax)]:
        check(ours, lambda x, theirs=theirs: theirs(x, -1), 3 * random(2, 4, 5), backend=backend)
    check(
        F.softmax_cross_entropy,
        lambda x, targets: nn.cross_entropy(x, targets, reduction="none"),
        3 * random(4, 5), abs(random(4, 5)), backend=backend,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b"), [((3, 4), (4, 2)), ((2, 3, 4), (4,)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (2, 4, 3))]
)
def test_matmul(a, b):
    check(lambda x, y: x @ y, lambda x, y: x @ y, random(*a), random(*b))


def test_gradients_of_gradients():
    """The gradient penalty of a small network: conv, batch norm, activation, pool, dense."""
    arrays = [random(3, 6, 6, 2), random(3, 3, 2, 4), random(4), random(4), random(36, 1)]

    def penalty(x, weight, scale, shift, last):
        h, *_ = F.batch_norm(F.conv2d(x, weight, pad=1), scale, shift)
        y = F.dense(F.flatten(F.mean_pool2d(F.tanh(h), 2)), last)
        (dx,) = grad(y.sum(), x, create_graph=True)
        return (dx * dx).sum()

    def penalty_there(x, weight, scale, shift, last):
        h = nn.conv2d(x.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1), padding=1)
        h = nn.avg_pool2d(torch.tanh(nn.batch_norm(h, None, None, scale, shift, training=True)), 2)
        y = h.permute(0, 2, 3, 1).flatten(1) @ last
        (dx,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return (dx * dx).sum()

    check(penalty, penalty_there, *arrays)
