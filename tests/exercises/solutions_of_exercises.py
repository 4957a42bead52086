"""What students may hand in: right solutions that are not the reference's, to be appended to a skeleton."""

CONV2D = """
def _columns(x, weight_shape, windows):
    n, h, w, c = x.shape
    padded = np.pad(x, ((0, 0), (windows.top, windows.bottom), (windows.left, windows.right), (0, 0)))
    out_h, out_w = output_shape(windows, h, w)
    for ki in range(windows.height):
        for kj in range(windows.width):
            first_row, first_column = ki * windows.dilation_h, kj * windows.dilation_w
            rows = slice(first_row, first_row + (out_h - 1) * windows.stride_h + 1, windows.stride_h)
            columns = slice(first_column, first_column + (out_w - 1) * windows.stride_w + 1, windows.stride_w)
            yield ki, kj, (slice(None), rows, columns), padded


def forward(x, weight, bias, windows, groups):
    y = 0
    for ki, kj, place, padded in _columns(x, weight.shape, windows):
        parts = [padded[place][..., c] @ weight[ki, kj][:, f] for c, f in _groups(weight.shape, groups)]
        y = y + np.concatenate(parts, axis=-1)
    return y + bias


def input_gradient(dy, weight, x_shape, windows, groups):
    zeros = np.zeros(x_shape, dy.dtype)
    for ki, kj, place, padded in _columns(zeros, weight.shape, windows):
        if ki == kj == 0:
            dpadded = padded
        for c, f in _groups(weight.shape, groups):
            dpadded[place][..., c] += dy[..., f] @ weight[ki, kj][:, f].T
    return np.ascontiguousarray(crop(dpadded, x_shape, windows))


def weight_gradient(dy, x, weight_shape, windows, groups):
    dweight = np.zeros(weight_shape, dy.dtype)
    for ki, kj, place, padded in _columns(x, weight_shape, windows):
        for c, f in _groups(weight_shape, groups):
            dweight[ki, kj][:, f] = np.einsum("nijc,nijf->cf", padded[place][..., c], dy[..., f])
    return dweight
"""

MAX_POOL2D = """
def forward(x, windows):
    n, h, w, c = x.shape
    choice = np.zeros((n, *output_shape(windows, h, w), c), choice_dtype(windows))
    y = np.full(choice.shape, -np.inf, x.dtype)
    for i in range(choice.shape[1]):
        for j in range(choice.shape[2]):
            for tap in range(windows.height * windows.width):
                row = i * windows.stride_h + tap // windows.width - windows.top
                column = j * windows.stride_w + tap % windows.width - windows.left
                if 0 <= row < h and 0 <= column < w:
                    larger = x[:, row, column] > y[:, i, j]
                    choice[:, i, j] = np.where(larger, tap, choice[:, i, j])
                    y[:, i, j] = np.where(larger, x[:, row, column], y[:, i, j])
    return y, choice


def gather(x, choice, windows):
    y = np.empty(choice.shape, x.dtype)
    for place in np.ndindex(choice.shape):
        y[place] = x[_pixel(place, choice, windows)]
    return y


def scatter(dy, choice, x_shape, windows):
    dx = np.zeros(x_shape, dy.dtype)
    for place in np.ndindex(choice.shape):
        dx[_pixel(place, choice, windows)] += dy[place]
    return dx


def _pixel(place, choice, windows):
    n, i, j, c = place
    row, column = divmod(int(choice[place]), windows.width)
    return n, i * windows.stride_h + row - windows.top, j * windows.stride_w + column - windows.left, c
"""

MEAN_POOL2D_NUMBA = """
import numba


def forward(x, windows):
    n, h, w, c = x.shape
    y = np.zeros((n, *output_shape(windows, h, w), c), x.dtype)
    _add(x, y, windows, False)
    return y


def gradient(dy, x_shape, windows):
    dx = np.zeros(x_shape, dy.dtype)
    _add(dx, dy, windows, True)
    return dx


@numba.njit
def _add(x, y, windows, back):
    share = x.dtype.type(1 / (windows.height * windows.width))
    for n, i, j, c in np.ndindex(y.shape):
        for ki in range(windows.height):
            for kj in range(windows.width):
                row = i * windows.stride_h + ki - windows.top
                column = j * windows.stride_w + kj - windows.left
                if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                    if back:
                        x[n, row, column, c] += share * y[n, i, j, c]
                    else:
                        y[n, i, j, c] += share * x[n, row, column, c]
"""

DENSE = """
def forward(x, weight, bias):
    return x @ weight + bias


def input_gradient(dy, weight):
    return dy @ weight.T


def weight_gradient(dy, x):
    return x.T @ dy
"""

SOFTMAX = """
def softmax(x):
    return np.exp(logsoftmax(x))


def logsoftmax(x):
    largest = x.max(-1, keepdims=True)
    return x - largest - np.log(np.exp(x - largest).sum(-1, keepdims=True))
"""

RELU = """
def forward(x):
    y = x.copy()
    y[y < 0] = 0
    return y


def gradient(dy, y):
    dx = dy.copy()
    dx[~(y > 0)] = 0
    return dx
"""

BATCH_NORM = """
def statistics(x):
    rows = x.reshape(-1, x.shape[-1])
    return rows.mean(0), rows.var(0)


def normalise(x, mean, factor, shift, relu):
    y = x * factor + (shift - mean * factor)
    return y.clip(0, None) if relu else y


def gradient(dy, x, mean, deviation, scale, shift, relu):
    normal = (x - mean) / deviation
    if relu:
        dy = dy * (normal * scale + shift > 0)
    axes = tuple(range(x.ndim - 1))
    dshift, dscale = dy.sum(axes), (dy * normal).sum(axes)
    dx = scale / deviation * (dy - dy.mean(axes) - normal * (dy * normal).mean(axes))
    return dx, dscale, dshift
"""

DROPOUT = """
def apply(x, rate, key):
    bits = _mix(np.arange(x.size, dtype=np.uint32) ^ _start(key))
    kept = (bits >= rate * 2**32).reshape(x.shape)
    return (x * kept / (1 - rate)).astype(x.dtype)
"""

SOFTMAX_CROSS_ENTROPY = """
import numpy as np


def forward(scores, targets):
    return np.array([-row @ logs for row, logs in zip(targets, logsoftmax(scores))])
"""

MOMENTUM = """
def momentum(parameters, gradients, velocities, learning_rate, momentum, weight_decay):
    for p, g, v in zip(parameters, gradients, velocities):
        v[...] = momentum * v - learning_rate * g - learning_rate * weight_decay * p
        p[...] = p + v
"""

SOLUTIONS = {
    "conv2d": CONV2D,
    "max_pool2d": MAX_POOL2D,
    "mean_pool2d": MEAN_POOL2D_NUMBA,
    "dense": DENSE,
    "softmax": SOFTMAX,
    "relu": RELU,
    "batch_norm": BATCH_NORM,
    "dropout": DROPOUT,
    "softmax_cross_entropy": SOFTMAX_CROSS_ENTROPY,
    "momentum": MOMENTUM,
}
