"""Max pooling. Which tap won is found once; from then on the pool is a fixed choice of pixels, which is linear.

gather(x) picks the chosen pixels, scatter(dy) puts numbers back where they were picked: each is the other's backward.
"""

from minidl.backend import Array
from minidl.ops.windows import Sizes, Windows, check_pool, make_windows
from minidl.tensor import Operand, Tensor, operands, record


def max_pool2d(x: Operand, size: Sizes, stride: Sizes | None = None, pad: Sizes = 0) -> Tensor:
    """The largest number under each window, per channel: x (n, h, w, c) -> y (n, out_h, out_w, c).

    y[n, i, j, c] = max over ki, kj of x[n, i * stride + ki - pad, j * stride + kj - pad, c]

    The stride is the window's size unless given. Padding never wins; it must be smaller than the window. At a tie the
    first tap in row order wins, and gets the whole gradient.
    """
    (x,) = operands("max_pool2d", x)
    windows = make_windows("max_pool2d", size, size if stride is None else stride, pad)
    check_pool("max_pool2d", windows, x.shape)
    y, choice = x.backend.kernels(__package__).forward(x.array, windows)
    x_shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (max_pool2d_scatter(dy, choice, x_shape, windows),)

    return record(y, (x,), backward)


def max_pool2d_scatter(dy: Operand, choice: Array, x_shape: tuple[int, ...], windows: Windows) -> Tensor:
    """dy (n, out_h, out_w, c) added to zeros of `x_shape`, each number at the pixel that `choice` names."""
    (dy,) = operands("max_pool2d_scatter", dy)
    dx = dy.backend.kernels(__package__).scatter(dy.array, choice, x_shape, windows)

    def backward(ddx: Tensor) -> tuple[Tensor]:
        return (max_pool2d_gather(ddx, choice, windows),)

    return record(dx, (dy,), backward)


def max_pool2d_gather(x: Operand, choice: Array, windows: Windows) -> Tensor:
    """The pixels of x (n, h, w, c) that `choice` (n, out_h, out_w, c) names."""
    (x,) = operands("max_pool2d_gather", x)
    x_shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (max_pool2d_scatter(dy, choice, x_shape, windows),)

    return record(x.backend.kernels(__package__).gather(x.array, choice, windows), (x,), backward)
