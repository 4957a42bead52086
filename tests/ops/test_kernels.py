"""What kernels promise beyond right numbers: nothing lost at the edges, and the same bits for any number of threads."""

import warnings

import numba
import numpy as np
import pytest

from minidl import functions as F
from minidl.backend import get_backend
from minidl.ops.blocks import FEW
from minidl.ops.optimiser_steps import op as steps
from minidl.tensor import Tensor, grad

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def on_host(array):
    return get_backend("cpu").asarray(array)


def random(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


# Empty batches --------------------------------------------------------------------------------------------------------

OF_A_BATCH = {
    "conv2d": (lambda x, w: F.conv2d(x, w, pad=1), (4, 4, 2), (3, 3, 2, 5), (0, 4, 4, 5)),
    "conv_transpose2d": (F.conv_transpose2d, (4, 4, 5), (3, 3, 2, 5), (0, 6, 6, 2)),
    "max_pool2d": (lambda x, w: F.max_pool2d(x, 2) * w, (4, 4, 2), (2,), (0, 2, 2, 2)),
    "mean_pool2d": (lambda x, w: F.mean_pool2d(x, 2) * w, (4, 4, 2), (2,), (0, 2, 2, 2)),
    "dense": (F.dense, (3,), (3, 2), (0, 2)),
    "flatten": (lambda x, w: F.flatten(x) * w, (4, 2), (8,), (0, 8)),
    "softmax": (lambda x, w: F.softmax(x) * w, (3,), (3,), (0, 3)),
    "logsoftmax": (lambda x, w: F.logsoftmax(x) * w, (3,), (3,), (0, 3)),
    "softmax_cross_entropy": (lambda x, w: F.softmax_cross_entropy(x * w, x), (3,), (3,), (0,)),
    "dropout": (lambda x, w: F.dropout(x, 0.5, (0, 0, 0)) * w, (3,), (3,), (0, 3)),
    "relu": (lambda x, w: F.relu(x) * w, (3,), (3,), (0, 3)),
}


@BACKENDS
@pytest.mark.parametrize(("function", "x_shape", "w_shape", "y_shape"), OF_A_BATCH.values(), ids=OF_A_BATCH)
def test_an_empty_batch_gives_an_empty_result_and_no_gradient(function, x_shape, w_shape, y_shape, backend):
    x = Tensor(np.empty((0, *x_shape)), backend, requires_grad=True)
    w = Tensor(np.ones(w_shape), backend, requires_grad=True)
    y = function(x, w)
    assert y.shape == y_shape
    dx, dw = grad(y.sum(), [x, w])
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw.numpy(), np.zeros(w_shape))


@BACKENDS
@pytest.mark.parametrize("rows", [0, 1])
def test_batch_norm_of_fewer_than_two_values_is_refused(rows, backend):
    with pytest.raises(ValueError, match="batch_norm: expected at least two values per channel"):
        F.batch_norm(*(Tensor(np.ones(shape), backend) for shape in [(rows, 3), (3,), (3,)]))


@BACKENDS
def test_softmax_without_classes_is_refused(backend):
    for function in [F.softmax, F.logsoftmax]:
        for shape in [(), (2, 0)]:
            with pytest.raises(ValueError, match=r"expected scores \(..., classes\) with at least one class"):
                function(Tensor(np.empty(shape), backend))


# Dense ----------------------------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("samples", [1, 6, 60, 300])  # up to 256 are multiplied by a tile of the weight at a time
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (300, 32), (33, 600)])
def test_dense_is_right_for_few_samples_and_for_many(samples, inputs, outputs, dtype):
    x, weight, bias = random(samples, inputs, dtype=dtype), random(inputs, outputs, dtype=dtype), random(outputs)
    y = F.dense(*(Tensor(array.astype(dtype), "cpu") for array in [x, weight, bias])).numpy()
    expected = x.astype(float) @ weight + bias
    np.testing.assert_allclose(y, expected, atol=(1e-12 if dtype == np.float64 else 1e-5) * abs(expected).max(), rtol=0)


# Pooling --------------------------------------------------------------------------------------------------------------


def pooled(backend, rows, **how):
    """One channel, one image: rows of numbers in, rows of numbers out, with the gradient of their sum."""
    x = Tensor(np.array(rows, float)[None, :, :, None], backend, requires_grad=True)
    y = F.max_pool2d(x, **how)
    (dx,) = grad(y.sum(), x)
    return y.numpy()[0, :, :, 0].tolist(), dx.numpy()[0, :, :, 0].tolist()


@BACKENDS
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_max_pool_does_not_lose_nan(place, backend):
    rows = [[1.0, 9.0], [-np.inf, np.inf]]
    rows[place // 2][place % 2] = np.nan
    y, dx = pooled(backend, rows, size=2)
    assert np.isnan(y[0][0])
    assert dx[place // 2][place % 2] == 1


@BACKENDS
def test_max_pool_gives_the_first_of_equal_numbers_the_gradient(backend):
    assert pooled(backend, [[1, 3], [3, 3]], size=2) == ([[3]], [[0, 1], [0, 0]])


@BACKENDS
def test_padding_never_wins(backend):
    """Neither as a zero above negative numbers, nor when all pixels are as small as the padding."""
    y, dx = pooled(backend, [[-1, -2], [-3, -np.inf]], size=2, pad=1)
    assert y == [[-1, -2], [-3, -np.inf]]
    assert dx == [[1, 1], [1, 1]]


@BACKENDS
def test_mean_pool_counts_padding_as_zeros(backend):
    y = F.mean_pool2d(Tensor(np.full((1, 2, 2, 1), 8.0), backend), 2, pad=1)
    assert y.numpy().ravel().tolist() == [2, 2, 2, 2]


# Normalisation and probabilities --------------------------------------------------------------------------------------


@BACKENDS
def test_batch_norm_is_exact_for_numbers_far_from_zero(backend):
    """E[x^2] - E[x]^2 in float32 would give a variance of 0 or worse here."""
    x = 10_000 + random(64, 3)
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    y, mean, variance = F.batch_norm(Tensor(x, backend), Tensor(ones, backend), Tensor(zeros, backend))
    np.testing.assert_allclose(on_host(mean), x.astype(float).mean(0), rtol=1e-6)
    np.testing.assert_allclose(on_host(variance), x.astype(float).var(0), rtol=1e-4)
    assert (mean.dtype, variance.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(y.numpy().std(0), 1, rtol=1e-3)


@BACKENDS
@pytest.mark.parametrize("first", [1e6, 0, -np.pi])
@pytest.mark.parametrize("others", [lambda: random(5000, 3), lambda: np.full((5000, 3), 0.1, np.float32)])
def test_batch_norm_is_exact_however_far_the_first_number_is_from_the_others(others, first, backend):
    """The kernel measures distances from the first row."""
    x = others()
    x[0] = first
    ones = Tensor(np.ones(3, np.float32), backend)
    _, mean, variance = F.batch_norm(Tensor(x, backend), ones, ones)
    np.testing.assert_allclose(on_host(mean), x.astype(float).mean(0), rtol=1e-6)
    np.testing.assert_allclose(on_host(variance), x.astype(float).var(0), rtol=1e-6)


@BACKENDS
@DTYPES
def test_relu_in_batch_norm_is_relu_behind_it(backend, dtype):
    x, scale, shift = (
        Tensor(random(*shape, dtype=dtype), backend, requires_grad=True) for shape in [(50, 3), (3,), (3,)]
    )
    for function in [lambda relu: F.batch_norm(x, scale, shift, relu=relu)[0],
                     lambda relu: F.normalise(x, shift, scale, shift, relu=relu)]:  # fmt: skip
        results = []
        for y in [function(relu=True), F.relu(function(relu=False))]:
            results.append([y, *grad((y * y).sum(), [x, scale, shift])])
        for together, apart in zip(*results, strict=True):
            np.testing.assert_array_equal(together.numpy(), apart.numpy())
        assert 0.1 < (results[0][0].numpy() > 0).mean() < 0.9


@pytest.mark.parametrize(
    ("function", "shapes", "message"),
    [
        (
            F.batch_norm,
            [(4, 2), (3,), (3,)],
            r"x \(..., c\), scale \(c,\) and shift \(c,\), got \(4, 2\) and \(3,\) and",
        ),
        (F.batch_norm, [(2,), (2,), (2,)], r"x \(..., c\), scale"),
        (F.batch_norm, [(4, 2), (2,), (1, 2)], r"x \(..., c\), scale"),
        (F.normalise, [(4, 2), (2,), (1,), (2,)], r"x \(..., c\), mean \(c,\), factor \(c,\) and shift \(c,\), got"),
    ],
)
def test_a_number_for_each_channel_is_expected(function, shapes, message):
    with pytest.raises(ValueError, match=f"^{function.__name__}: expected {message}"):
        function(*(np.ones(shape) for shape in shapes))


@BACKENDS
@DTYPES
def test_softmax_of_large_scores_does_not_overflow(backend, dtype):
    x = Tensor(np.array([[1e4, 0, -1e4], [-1e4, -1e4, -1e4]], dtype), backend)
    np.testing.assert_allclose(F.softmax(x).numpy(), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    logs = [[0, -1e4, -2e4], [-np.log(3)] * 3]
    np.testing.assert_allclose(F.logsoftmax(x).numpy(), logs, rtol=1e-5)
    losses = F.softmax_cross_entropy(x, np.array([[0, 0, 1], [0, 1, 0]], dtype))
    np.testing.assert_allclose(losses.numpy(), [2e4, np.log(3)], rtol=1e-5)


@pytest.mark.parametrize("first", [F.softmax, F.logsoftmax])
@pytest.mark.parametrize("second", [F.softmax, F.logsoftmax, lambda x: F.softmax_cross_entropy(x, np.eye(2))])
def test_a_second_softmax_warns_once_at_the_line_that_called_it(first, second):
    x = Tensor(random(2, 2, dtype=float), requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        second(first(x)).sum().backward()
    assert [warning.filename for warning in caught] == [__file__]
    assert "softmax is applied twice" in str(caught[0].message)


# Dropout --------------------------------------------------------------------------------------------------------------


def dropped(key, rate=0.3, backend="cpu", dtype=np.float32, size=40_000):
    return F.dropout(Tensor(np.ones(size, dtype), backend), rate, key).numpy() == 0


@BACKENDS
@DTYPES
@pytest.mark.parametrize("key", [(0, 0, 0), (1, 2, 3), (2**31, 2**33 + 5, 9)])
def test_masks_are_equal_on_all_backends(key, dtype, backend):
    mask = dropped(key, backend="reference", dtype=dtype)
    np.testing.assert_array_equal(dropped(key, backend=backend, dtype=dtype), mask)
    np.testing.assert_array_equal(dropped(key), mask)  # nor does the float type matter


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masks_drop_at_the_rate_and_look_independent(rate):
    deviation = np.sqrt(rate * (1 - rate) / 40_000)
    masks = np.array([dropped(key, rate) for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1)]])
    assert (abs(masks.mean(axis=1) - rate) < 4 * deviation).all()
    correlations = np.corrcoef(masks) - np.eye(len(masks))
    assert abs(correlations).max() < 4 / np.sqrt(40_000)
    neighbours = [np.corrcoef(mask[shift:], mask[:-shift])[0, 1] for mask in masks for shift in [1, 2, 64, 512]]
    assert abs(np.array(neighbours)).max() < 5 / np.sqrt(40_000)


@BACKENDS
def test_dropout_scales_what_it_keeps(backend):
    y = F.dropout(Tensor(np.full(1000, 3.0), backend), 0.25, (0, 0, 0)).numpy()
    assert set(y) == {0.0, 4.0}
    np.testing.assert_array_equal(F.dropout(Tensor(y, backend), 0.0, (0, 0, 0)).numpy(), y)


@pytest.mark.parametrize("rate", [-0.1, 1.1, 2])
def test_rates_that_cannot_be_are_refused(rate):
    with pytest.raises(ValueError, match="dropout: expected a rate from 0 to 1"):
        F.dropout(Tensor(np.ones(3)), rate, (0, 0, 0))


# Steps of optimisers: what they compute is in test_optimisers.py ------------------------------------------------------


@BACKENDS
@DTYPES
def test_a_step_changes_parameters_and_memories_in_place(backend, dtype):
    parameter = Tensor(np.array([[1.0, 2.0]], dtype), backend)
    gradient = Tensor(np.array([[0.5, -4.0]], dtype), backend)
    velocity = get_backend(backend).asarray(np.array([[0.25, 1.0]], dtype))
    array, version = parameter.array, parameter.version
    steps.momentum([parameter], [gradient], [velocity], learning_rate=0.5, momentum=0.5)
    assert velocity.tolist() == [[-0.125, 2.5]]
    assert parameter.array is array
    assert array.tolist() == [[0.875, 4.5]]
    assert parameter.version > version  # so that a backward() that comes too late is noticed


@BACKENDS
@DTYPES
def test_a_step_moves_any_number_of_tensors(backend, dtype):
    """More than one launch on a GPU takes, with some larger than a block's share, some of one number and some empty."""
    sizes = [1, 0, 5000, 2048, 3, 0, 2049, *[2] * 100]
    values = [random(size, dtype=dtype) for size in sizes]
    parameters = [Tensor(value.copy(), backend) for value in values]
    steps.descent(parameters, [Tensor(2 * value, backend) for value in values], learning_rate=0.25)
    for parameter, value in zip(parameters, values, strict=True):
        np.testing.assert_array_equal(parameter.numpy(), value / 2)


@BACKENDS
@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 2), np.float32), ((1, 3), np.float32), ((4,), np.float32), ((2, 3), np.float64)]
)
def test_a_step_of_unlike_arrays_is_refused(shape, dtype, wrong, backend):
    like = [np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)]
    like[wrong] = np.ones(shape, dtype)
    parameter = Tensor(np.ones((2, 3), np.float32), backend)
    name = ["gradient", "velocity"][wrong]
    with pytest.raises(ValueError, match=rf"momentum: expected a {name} like the parameter, \(2, 3\) float32"):
        steps.momentum([parameter], [Tensor(like[0], backend)], [like[1]], learning_rate=0.5, momentum=0.5)
    assert (parameter.array == 1).all()


# Threads --------------------------------------------------------------------------------------------------------------

# Each shares its numbers among threads: more than few are in x
LARGE = {
    "relu": (lambda x, w: F.relu(x) * w, (9999, 7), (7,)),
    "conv2d": (lambda x, w: F.conv2d(x, w, pad=1), (16, 13, 11, 9), (3, 3, 9, 20)),
    "conv2d, many channels": (lambda x, w: F.conv2d(x, w, stride=2), (5, 9, 9, 70), (3, 3, 70, 40)),
    "conv2d, few channels": (lambda x, w: F.conv2d(x, w, pad=1), (50, 13, 11, 3), (3, 3, 3, 20)),
    "conv2d, few tiles": (lambda x, w: F.conv2d(x, w, pad=1), (80, 4, 4, 16), (3, 3, 16, 130)),
    "conv2d, few positions": (lambda x, w: F.conv2d(x, w, pad=1), (1, 2, 2, 4100), (3, 3, 4100, 70)),
    "dense": (F.dense, (40, 410), (410, 1100)),
    "dense, few samples": (F.dense, (2, 8200), (8200, 1100)),
    "max_pool2d": (lambda x, w: F.max_pool2d(x, 3, 1, 1) * w, (47, 9, 9, 5), (5,)),
    "max_pool2d, halving": (lambda x, w: F.max_pool2d(x, 2) * w, (47, 8, 10, 5), (5,)),
    "mean_pool2d": (lambda x, w: F.mean_pool2d(x, 3, 1, 1) * w, (47, 9, 9, 5), (5,)),
    "batch_norm": (lambda x, w: F.batch_norm(x, w, w)[0], (2999, 7), (7,)),
    "batch_norm, relu": (lambda x, w: F.batch_norm(x, w, w, relu=True)[0], (2999, 7), (7,)),
    "normalise": (lambda x, w: F.normalise(x, w, w, w), (2999, 7), (7,)),
    "row_sums": (lambda x, w: F.row_sums(x) * w, (2999, 7), (7,)),
    "sum of groups": (lambda x, w: F.sum(x * w, (0, 2)), (30, 31, 29, 7), (7,)),
    "mean": (lambda x, w: F.mean(x * w), (29999, 7), (7,)),
    "softmax": (lambda x, w: F.softmax(x * w), (2999, 7), (7,)),
    "logsoftmax": (lambda x, w: F.logsoftmax(x * w), (2999, 7), (7,)),
    "softmax_cross_entropy": (lambda x, w: F.softmax_cross_entropy(x * w, x), (2999, 7), (7,)),
    "dropout": (lambda x, w: F.dropout(x, 0.5, (0, 0, 0)) * w, (2999, 7), (7,)),
}


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize(("function", "x_shape", "w_shape"), LARGE.values(), ids=LARGE)
def test_results_do_not_depend_on_the_number_of_threads(function, x_shape, w_shape):
    assert np.prod(x_shape) > FEW

    def bits(threads):
        numba.set_num_threads(threads)
        x, w = (Tensor(random(*shape), "cpu", requires_grad=True) for shape in [x_shape, w_shape])
        y = function(x, w)
        return [array.numpy().tobytes() for array in [y, *grad((y * y).sum(), [x, w])]]

    before = numba.get_num_threads()
    try:
        assert len({tuple(bits(threads)) for threads in {1, 2, before}}) == 1
    finally:
        numba.set_num_threads(before)
