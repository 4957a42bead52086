"""Mean pooling: linear, so its backward is its transpose, whose backward is mean pooling again."""

from minidl.backend import ieee
from minidl.operands import operands
from minidl.ops.windows import Sizes, Windows, check_pool, make_windows, pooled_shape
from minidl.tensor import Operand, Tensor, record


def mean_pool2d(x: Operand, size: Sizes, stride: Sizes | None = None, pad: Sizes = 0) -> Tensor:
    """The average under each window, per channel: x (n, h, w, c) -> y (n, out_h, out_w, c).

    y[n, i, j, c] = sum over ki, kj of x[n, i * stride + ki - pad, j * stride + kj - pad, c] / (kh * kw)

    The stride is the window's size unless given. Padding counts as zeros, as in Flux and PyTorch (Keras leaves it out
    of the average); it must be smaller than the window.
    """
    (x,) = operands("mean_pool2d", x)
    windows = make_windows("mean_pool2d", size, size if stride is None else stride, pad)
    check_pool("mean_pool2d", windows, x.shape)
    return _forward(x, windows)


@ieee
def _forward(x: Tensor, windows: Windows) -> Tensor:
    x_shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (mean_pool2d_gradient(dy, x_shape, windows),)

    return record(x.backend.kernels(__package__).forward(x.array, windows), (x,), backward, name="mean_pool2d")


@ieee
def mean_pool2d_gradient(dy: Operand, x_shape: tuple[int, ...], windows: Windows) -> Tensor:
    """dy (n, out_h, out_w, c) spread evenly over the pixels of each window -> dx of `x_shape`."""
    (dy,) = operands("mean_pool2d_gradient", dy)
    expected = pooled_shape("mean_pool2d_gradient", windows, x_shape)
    if dy.shape != expected:
        raise ValueError(f"mean_pool2d_gradient: expected dy {expected} for images {x_shape}, got {dy.shape}")

    def backward(ddx: Tensor) -> tuple[Tensor]:
        return (_forward(ddx, windows),)

    return record(dy.backend.kernels(__package__).gradient(dy.array, x_shape, windows), (dy,), backward)
