"""CUDA: the reference with a thread for each number."""

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, empty
from minidl.ops.windows import Windows, output_shape

_cuda = CudaFile(__file__)


def forward(x: Array, windows: Windows) -> Array:
    n, h, w, c = x.shape
    y = empty((n, *output_shape(windows, h, w), c), x.dtype)
    _cuda.launch_each("forward<T>", x.dtype, y.size, x, y, x.shape, y.shape, windows)
    return y


def gradient(dy: Array, x_shape: tuple[int, ...], windows: Windows) -> Array:
    dx = empty(x_shape, dy.dtype)
    _cuda.launch_each("gradient<T>", dy.dtype, dx.size, dy, dx, x_shape, dy.shape, windows)
    return dx
