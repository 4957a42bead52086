"""Numba: the definition, image by image on all threads; the innermost loop runs along the channels."""

from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.memory import zeros
from minidl.ops.windows import Windows, output_shape


def forward(x: NDArray, windows: Windows) -> NDArray:
    n, h, w, c = x.shape
    y = zeros((n, *output_shape(windows, h, w), c), x.dtype)
    _forward(x, y, windows, x.dtype.type(1 / (windows.height * windows.width)))
    return y


def gradient(dy: NDArray, x_shape: tuple[int, ...], windows: Windows) -> NDArray:
    dx = zeros(x_shape, dy.dtype)
    _gradient(dy, dx, windows, dy.dtype.type(1 / (windows.height * windows.width)))
    return dx


@compiled(parallel=True)
def _forward(x, y, windows, share):
    n, out_h, out_w, channels = y.shape
    _, h, w, _ = x.shape
    for m in prange(n):
        for i in range(out_h):
            for j in range(out_w):
                for row in range(*_span(i, windows.stride_h, windows.top, windows.height, h)):
                    for column in range(*_span(j, windows.stride_w, windows.left, windows.width, w)):
                        for c in range(channels):
                            y[m, i, j, c] += share * x[m, row, column, c]


@compiled(parallel=True)
def _gradient(dy, dx, windows, share):
    n, out_h, out_w, channels = dy.shape
    _, h, w, _ = dx.shape
    for m in prange(n):  # windows may overlap, images never do: no two threads add to the same pixel
        for i in range(out_h):
            for j in range(out_w):
                for row in range(*_span(i, windows.stride_h, windows.top, windows.height, h)):
                    for column in range(*_span(j, windows.stride_w, windows.left, windows.width, w)):
                        for c in range(channels):
                            dx[m, row, column, c] += share * dy[m, i, j, c]


@compiled
def _span(position, stride, before, taps, size):
    """The pixels under a window along one axis, from the first to one past the last, padding left out."""
    start = position * stride - before
    return max(0, start), min(size, start + taps)
