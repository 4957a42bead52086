"""Max pooling. Which tap won is found once; from then on the pool is a fixed choice of pixels, which is linear.

gather(x) picks the chosen pixels, scatter(dy) puts numbers back where they were picked: each is the other's backward.
"""

from minidl.backend import Array, Backend, ieee
from minidl.operands import operands
from minidl.ops.windows import Sizes, Windows, check_pool, make_windows, pooled_shape
from minidl.tensor import Operand, Tensor, record


@ieee
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
        return (_scatter(dy, choice, x_shape, windows),)

    return record(y, (x,), backward)


def max_pool2d_scatter(dy: Operand, choice: Array, x_shape: tuple[int, ...], windows: Windows) -> Tensor:
    """dy (n, out_h, out_w, c) added to zeros of `x_shape`, each number at the pixel that `choice` names.

    ValueError when shapes do not fit together, or a choice is not on a pixel.
    """
    (dy,) = operands("max_pool2d_scatter", dy)
    choice = _checked_choice("max_pool2d_scatter", dy.backend, choice, x_shape, windows)
    if dy.shape != choice.shape:
        raise ValueError(f"max_pool2d_scatter: expected dy {choice.shape} like choice, got {dy.shape}")
    return _scatter(dy, choice, x_shape, windows)


def max_pool2d_gather(x: Operand, choice: Array, windows: Windows) -> Tensor:
    """The pixels of x (n, h, w, c) that `choice` (n, out_h, out_w, c) names.

    ValueError when shapes do not fit together, or a choice is not on a pixel.
    """
    (x,) = operands("max_pool2d_gather", x)
    choice = _checked_choice("max_pool2d_gather", x.backend, choice, x.shape, windows)
    return _gather(x, choice, windows)


# A choice that max_pool2d() or one of these two made or checked needs no further check, which would be a pass over it.


@ieee
def _scatter(dy: Tensor, choice: Array, x_shape: tuple[int, ...], windows: Windows) -> Tensor:
    def backward(ddx: Tensor) -> tuple[Tensor]:
        return (_gather(ddx, choice, windows),)

    dx = dy.backend.kernels(__package__).scatter(dy.array, choice, x_shape, windows)
    return record(dx, (dy,), backward, name="max_pool2d_scatter")


@ieee
def _gather(x: Tensor, choice: Array, windows: Windows) -> Tensor:
    x_shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (_scatter(dy, choice, x_shape, windows),)

    y = x.backend.kernels(__package__).gather(x.array, choice, windows)
    return record(y, (x,), backward, name="max_pool2d_gather")


def _checked_choice(op: str, backend: Backend, choice: Array, x_shape: tuple[int, ...], windows: Windows) -> Array:
    """A copy of `choice`, which later changes of the original do not reach."""
    choice = backend.asarray(choice).copy()
    expected = pooled_shape(op, windows, x_shape)
    if choice.shape != expected or choice.dtype.kind not in "iu":
        raise ValueError(f"{op}: expected a choice {expected} of whole numbers for images {x_shape}, "
                         f"got {choice.shape}, {choice.dtype}")  # fmt: skip
    taps, (_, h, w, _) = windows.height * windows.width, x_shape
    tap = choice.astype("int64")
    row = backend.xp.arange(expected[1])[:, None, None] * windows.stride_h + tap // windows.width - windows.top
    column = backend.xp.arange(expected[2])[:, None] * windows.stride_w + tap % windows.width - windows.left
    if not ((tap >= 0) & (tap < taps) & (row >= 0) & (row < h) & (column >= 0) & (column < w)).all():
        raise ValueError(f"{op}: expected each choice to be a tap from 0 to {taps - 1} that lies on a pixel of images "
                         f"{x_shape}, got others")  # fmt: skip
    return choice
