"""CUDA: two passes over the memory for the statistics, one to normalise, two for the gradient; sums in float64."""

from minidl.backend import Array
from minidl.ops.column_sums import summed_columns
from minidl.ops.cuda import CudaFile, empty_like
from minidl.ops.sum import gpu as sums

_cuda = CudaFile(__file__)


def statistics(x: Array) -> tuple[Array, Array]:
    count = x.size // x.shape[-1]
    mean = sums.forward(x.reshape(1, count, -1), count, "float64")[0]
    (squares,) = summed_columns(_cuda, "sum_squares<T>", 1, x, mean)
    return mean.astype(x.dtype), (squares / count).astype(x.dtype)


def normalise(x: Array, mean: Array, factor: Array, shift: Array, relu: bool) -> Array:
    y = empty_like(x)
    _cuda.launch_each("normalise<T>", x.dtype, x.size, x, mean, factor, shift, relu, y, x.shape[-1])
    return y


def gradient(
    dy: Array, x: Array, mean: Array, deviation: Array, scale: Array, shift: Array, relu: bool
) -> tuple[Array, Array, Array]:
    """With t = x - mean, normal = t / deviation and factor = scale / deviation,

    dx = factor * (dy - mean of dy - normal * mean of dy * normal) = factor * dy - drift - pull * t
    """
    dx, factor, count = empty_like(x), scale / deviation, x.size // x.shape[-1]
    known = (dy, mean, factor, shift, relu)
    dshift, products = summed_columns(_cuda, "sum_products<T>", 2, x, *known)
    dscale = products / deviation
    drift, pull = factor * dshift / count, factor * dscale / count / deviation
    numbers = [array.astype(x.dtype) for array in (drift, pull)]
    _cuda.launch_each("input_gradient<T>", x.dtype, x.size, x, *known, *numbers, dx, x.shape[-1])
    return dx, dscale.astype(x.dtype), dshift.astype(x.dtype)
