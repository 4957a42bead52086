"""CUDA: each pass as a product of matrices, read tile by tile out of the images; see gpu.cu."""

from math import prod

from minidl.backend import Array
from minidl.ops.cuda import CudaFile, empty
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
    channels, reaches = x_shape[3] // groups, windows.height * windows.width * (dy.shape[3] // groups)
    grid, chunks = tile_grid(prod(x_shape[:3]), channels, reaches, groups)
    sums = empty((chunks, *x_shape), dy.dtype)
    strided = str((windows.stride_h, windows.stride_w) != (1, 1)).lower()
    shapes = (x_shape, dy.shape, windows)
    _cuda.launch(f"input_gradient<T, {strided}>", dy.dtype, grid, (TILE_THREADS,), dy, weight, sums, *shapes, groups,
                 chunks)  # fmt: skip
    return added_up(sums)


def weight_gradient(dy: Array, x: Array, weight_shape: Shape, windows: Windows, groups: int) -> Array:
    grid, chunks = tile_grid(prod(weight_shape[:3]), weight_shape[3] // groups, prod(dy.shape[:3]), groups)
    sums = empty((chunks, *weight_shape), dy.dtype)
    shapes = (x.shape, dy.shape, windows)
    _cuda.launch("weight_gradient<T>", dy.dtype, grid, (TILE_THREADS,), dy, x, sums, *shapes, groups, chunks)
    return added_up(sums)


def _forward(
    x: Array, weight: Array, factor: Array | None, shift: Array, windows: Windows, groups: int, relu: bool
) -> Array:
    """(x * weight) * factor + shift; without a factor, (x * weight) + shift."""
    y_shape = (x.shape[0], *output_shape(windows, *x.shape[1:3]), weight.shape[3])
    grid, chunks = tile_grid(prod(y_shape[:3]), y_shape[3] // groups, prod(weight.shape[:3]), groups)
    flags = ", ".join(str(flag).lower() for flag in (factor is not None, relu))
    numbers = (shift if factor is None else factor, shift)  # a kernel needs some array where it will not look
    sums = empty((chunks, *y_shape), x.dtype)
    shapes = (x.shape, y_shape, windows)
    _cuda.launch(f"forward<T, {flags}>", x.dtype, grid, (TILE_THREADS,), x, weight, *numbers, sums, *shapes,
                 groups, chunks)  # fmt: skip
    y = added_up(sums)
    if chunks > 1:
        _cuda.launch_each(f"finish<T, {flags}>", x.dtype, y.size, y, *numbers, y_shape[3])
    return y
