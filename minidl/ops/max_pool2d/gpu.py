"""CUDA: the reference with a thread for each number; scattering is turned round, see gpu.cu."""

from minidl.backend import Array
from minidl.ops.cuda import C_TYPES, CudaFile, empty
from minidl.ops.windows import Windows, choice_dtype, output_shape

_cuda = CudaFile(__file__)


def forward(x: Array, windows: Windows) -> tuple[Array, Array]:
    n, h, w, c = x.shape
    y = empty((n, *output_shape(windows, h, w), c), x.dtype)
    choice = empty(y.shape, choice_dtype(windows))
    _cuda.launch_each(_with_types("forward", choice), x.dtype, y.size, x, y, choice, x.shape, y.shape, windows)
    return y, choice


def gather(x: Array, choice: Array, windows: Windows) -> Array:
    choice = choice.astype(choice_dtype(windows), copy=False)
    y = empty(choice.shape, x.dtype)
    _cuda.launch_each(_with_types("gather", choice), x.dtype, y.size, x, choice, y, x.shape, y.shape, windows)
    return y


def scatter(dy: Array, choice: Array, x_shape: tuple[int, ...], windows: Windows) -> Array:
    choice = choice.astype(choice_dtype(windows), copy=False)
    dx = empty(x_shape, dy.dtype)
    _cuda.launch_each(_with_types("scatter", choice), dy.dtype, dx.size, dy, choice, dx, x_shape, dy.shape, windows)
    return dx


def _with_types(kernel: str, choice: Array) -> str:
    return f"{kernel}<T, {C_TYPES[choice.dtype.name]}>"
