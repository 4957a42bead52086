"""A run for each op that launches all of its kernels, with sizes that fill blocks and leave broken ones at all edges.

RUNS[op](backend) yields arrays: what the op computes, forwards and backwards.
"""

import numpy as np

from minidl import functions as F
from minidl.backend import get_backend
from minidl.modes import no_grad
from minidl.ops.conv2d.evaluation import conv2d_batch_norm
from minidl.ops.optimiser_steps import op as steps
from minidl.ops.windows import HALVING, make_windows
from minidl.tensor import Tensor, grad


def numbers(backend, *shapes, dtype=np.float32):
    random = np.random.default_rng(0)
    return [Tensor(random.standard_normal(shape).astype(dtype), backend, requires_grad=True) for shape in shapes]


def differentiated(backend, function, *shapes, dtype=np.float32):
    """function of numbers of these shapes, and the gradients of a weighted sum of it."""
    inputs = numbers(backend, *shapes, dtype=dtype)
    y = function(*inputs)
    (weights,) = numbers(backend, y.shape, dtype=dtype)
    return [result.numpy() for result in [y, *grad((y * weights).sum(), inputs)]]


def convolutions(backend):
    """Full tiles and broken ones; long sums, cut into chunks, and short ones; strides, dilation and groups."""

    def convolved(function, images, weight, **options):
        return differentiated(backend, lambda x, w, b: function(x, w, b, **options), images, weight, weight[-1:])

    yield from convolved(F.conv2d, (2, 7, 6, 70), (3, 3, 70, 66), pad=1)
    yield from convolved(F.conv2d_relu, (1, 8, 9, 3), (3, 2, 3, 5), stride=2, pad=(1, 0, 0, 2))
    yield from convolved(F.conv2d, (1, 20, 20, 2), (2, 2, 2, 3))  # so many pixels that the weight's sums are long
    yield from convolved(F.conv2d_relu, (1, 8, 9, 4), (2, 3, 2, 6), dilation=(2, 1), stride=(1, 3), groups=2)
    for relu in [False, True]:
        for channels in [3, 70]:
            yield evaluated(backend, relu, channels)


def evaluated(backend, relu, channels):
    x, w, b, shift = numbers(backend, (2, 4, 6, channels), (3, 3, channels, 5), (5,), (5,))
    with no_grad():
        return conv2d_batch_norm(x, w, b, 1, 1, 1, 1, (shift, b * b), shift, b, 1e-5, relu, pool=False).numpy()


def max_pools(backend):
    random = np.random.default_rng(0)
    choice = get_backend(backend).asarray(random.integers(0, 4, (2, 4, 3, 40)).astype(np.uint8))
    yield from differentiated(backend, lambda x: F.max_pool2d(x, 3, 2, 1), (2, 7, 6, 40))
    yield from differentiated(backend, lambda x: F.max_pool2d(x, (1, 2), (3, 1), (0, 1)), (2, 7, 6, 3))
    yield from differentiated(backend, lambda x: F.max_pool2d_gather(x, choice, HALVING), (2, 8, 6, 40))
    yield from differentiated(backend, lambda x: F.max_pool2d(x, (17, 18)), (1, 17, 18, 3))  # taps numbered above 255
    centres = get_backend(backend).asarray(np.full((2, 4, 3, 5), 4, np.uint8))
    windows = make_windows("max_pool2d", 3, 2, 1)
    yield from differentiated(backend, lambda x: F.max_pool2d_gather(x, centres, windows), (2, 7, 6, 5))
    equal = Tensor(np.ones((1, 4, 4, 3), np.float32), backend, requires_grad=True)
    yield grad(F.max_pool2d(equal, 3, 1).sum(), equal)[0].numpy()


def mean_pools(backend):
    yield from differentiated(backend, lambda x: F.mean_pool2d(x, 3, 2, 1), (2, 7, 6, 40))
    yield from differentiated(backend, lambda x: F.mean_pool2d(x, (1, 2), (3, 1), (0, 1)), (2, 7, 6, 3))


def products(backend):
    """By hand, where there is a choice. With long sums and short ones."""
    kernels = get_backend(backend).kernels("minidl.ops.dense")
    by_hand = hasattr(kernels, "use_cublas")
    if by_hand:
        kernels.use_cublas = False
    try:
        yield from differentiated(backend, F.dense, (70, 80), (80, 66), (66,))
        yield from differentiated(backend, F.dense, (3, 700), (700, 2), (2,))
    finally:
        if by_hand:
            kernels.use_cublas = True


def optimiser_steps(backend):
    """A tensor that needs two blocks and a small one."""
    shapes = [(3000,), (5,)]
    for step, memories, settings in [
        (steps.descent, 0, (0.1,)),
        (steps.momentum, 1, (0.1, 0.9, 0.1)),
        (steps.nesterov, 1, (0.1, 0.9)),
        (steps.rmsprop, 1, (0.1, 0.9, 0.1)),
        (steps.adam, 2, (0.1, (0.9, 0.99), 0.1, 0.1, 3)),
    ]:
        parameters, gradients, *remembered = (
            numbers(backend, *shapes), numbers(backend, *reversed(shapes))[::-1],
            *([x.array**2 + memory for x in numbers(backend, *shapes)] for memory in range(memories)),
        )  # fmt: skip
        step(parameters, gradients, *remembered, *settings)
        yield from (x.numpy() for x in parameters)
        yield from (get_backend("cpu").asarray(array) for arrays in remembered for array in arrays)
    gradients = [Tensor(np.full(shape, number, np.float32), backend) for shape in shapes for number in (1, np.nan)]
    found = get_backend(backend).xp.zeros(2, "int32")
    steps.find_not_finite(gradients, found, 3)
    yield np.array(found.tolist())


def normalised(backend):
    """In float64, where no number comes so close to relu's kink that rounding decides."""

    def with_statistics(x, scale, shift):
        y, mean, variance = F.batch_norm(x, scale, shift, relu=True)
        return F.concatenate([y, Tensor(mean, backend).reshape(1, -1), Tensor(variance, backend).reshape(1, -1)])

    def alone(x, scale, shift):
        return F.batch_norm(x, scale, shift)[0]

    yield from differentiated(backend, with_statistics, (300, 40), (40,), (40,), dtype=np.float64)
    yield from differentiated(backend, alone, (2, 3, 5, 70), (70,), (70,), dtype=np.float64)
    ones, zeros = (Tensor(make(2), backend, requires_grad=True) for make in (np.ones, np.zeros))
    y, *_ = F.batch_norm(Tensor(np.ones((3, 2)), backend), ones, zeros, relu=True)  # exactly 0, which relu cuts off
    yield grad(y.sum(), zeros)[0].numpy() + 1


def softmaxes(backend):
    yield from differentiated(backend, F.softmax, (20, 40))
    yield from differentiated(backend, F.logsoftmax, (20, 40))
    yield from differentiated(backend, F.softmax, (3, 1))


RUNS = {
    "batch_norm": normalised,
    "conv2d": convolutions,
    "dense": products,
    "dropout": lambda backend: differentiated(backend, lambda x: F.dropout(x, 0.5, (1, 2, 3)), (20, 30)),
    "max_pool2d": max_pools,
    "mean_pool2d": mean_pools,
    "optimiser_steps": optimiser_steps,
    "relu": lambda backend: differentiated(backend, F.relu, (20, 30)),
    "sum": lambda backend: differentiated(backend, F.row_sums, (300, 40)),
    "softmax": softmaxes,
    "softmax_cross_entropy": lambda backend: differentiated(backend, F.softmax_cross_entropy, (20, 40), (20, 40)),
}


def agrees(op):
    """Whether the GPU's results are the definition's, to 1e-4 of the largest number of each."""
    return all(
        np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()
        for expected, result in zip(RUNS[op]("reference"), RUNS[op]("gpu"), strict=True)
    )
