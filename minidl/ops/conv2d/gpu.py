"""CUDA: each pass as a product of matrices, read tile by tile out of the images; see gpu.cu."""

from math import prod

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, empty, flags
from minidl.ops.max_pool2d import gpu as max_pool2d
from minidl.ops.tiles import TILE_THREADS, added_up, tile_grid
from minidl.ops.windows import HALVING, Windows, output_shape

_cuda = CudaFile(__file__)
Shape = tuple[int, ...]


def forward(x: Array, weight: Array, bias: Array, windows: Windows, groups: int) -> Array:
    return _forward(x, weight, None, bias, windows, groups, relu=False)


def forward_relu(x: Array, weight: Array, bias: Array, windows: Windows, groups: int) -> Array:
    return _forward(x, weight, None, bias, windows, groups, relu=True)


def forward_relu_max_pool(x: Array, weight: Array, bias: Array, windows: Windows, groups: int) -> tuple[Array, Array]:
    return max_pool2d.forward(forward_relu(x, weight, bias, windows, groups), HALVING)


def forward_normalise(
    x: Array, weight: Array, factor: Array, shift: Array, windows: Windows, groups: int, relu: bool
) -> Array:
    return _forward(x, weight, factor, shift, windows, groups, relu)


def forward_normalise_relu_max_pool(
    x: Array, weight: Array, factor: Array, shift: Array, windows: Windows, groups: int
) -> Array:
    return max_pool2d.forward(_forward(x, weight, factor, shift, windows, groups, relu=True), HALVING)[0]


def input_gradient(dy: Array, weight: Array, x_shape: Shape, windows: Windows, groups: int) -> Array:
    sizes = prod(x_shape[:3]), x_shape[3] // groups, windows.height * windows.width * (dy.shape[3] // groups)
    kernel = f"input_gradient<T, {flags((windows.stride_h, windows.stride_w) != (1, 1))}>"
    dx, _ = _product(kernel, sizes, x_shape, (dy, weight), (x_shape, dy.shape, windows), groups)
    return dx


def weight_gradient(dy: Array, x: Array, weight_shape: Shape, windows: Windows, groups: int) -> Array:
    sizes = prod(weight_shape[:3]), weight_shape[3] // groups, prod(dy.shape[:3])
    dweight, _ = _product("weight_gradient<T>", sizes, weight_shape, (dy, x), (x.shape, dy.shape, windows), groups)
    return dweight


def _forward(
    x: Array, weight: Array, factor: Array | None, shift: Array, windows: Windows, groups: int, relu: bool
) -> Array:
    """(x * weight) * factor + shift; without a factor, (x * weight) + shift."""
    y_shape = (x.shape[0], *output_shape(windows, *x.shape[1:3]), weight.shape[3])
    sizes = prod(y_shape[:3]), y_shape[3] // groups, prod(weight.shape[:3])
    chosen = flags(factor is not None, relu)
    numbers = (shift if factor is None else factor, shift)  # a kernel needs some array where it will not look
    y, chunks = _product(
        f"forward<T, {chosen}>", sizes, y_shape, (x, weight, *numbers), (x.shape, y_shape, windows), groups
    )
    if chunks > 1:
        _cuda.launch_each(f"finish<T, {chosen}>", x.dtype, y.size, y, *numbers, y_shape[3])
    return y


def _product(
    kernel: str,
    sizes: tuple[int, int, int],
    result_shape: Shape,
    arrays: tuple[Array, ...],
    shapes: tuple[Shape, Shape, Windows],
    groups: int,
) -> tuple[Array, int]:
    """The result of one of the three passes, and into how many chunks its sums were cut.

    sizes: rows, columns and depth of each group's product.
    """
    grid, chunks = tile_grid(*sizes, groups)
    sums = empty((chunks, *result_shape), arrays[0].dtype)
    _cuda.launch(kernel, sums.dtype, grid, (TILE_THREADS,), *arrays, sums, *shapes, groups, chunks)
    return added_up(sums), chunks
