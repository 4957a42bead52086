"""What a network computes without gradients: there, batch norm can be a part of the convolution before it."""

from minidl.backend import ieee
from minidl.modes import is_recording
from minidl.operands import operands, shapes_of
from minidl.ops.conv2d.op import _added_array, _checked
from minidl.ops.windows import HALVING, Sizes, check_pool, output_shape
from minidl.tensor import Operand, Tensor


@ieee
def conv2d_batch_norm(
    x: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sizes,
    pad: Sizes,
    dilation: Sizes,
    groups: int,
    statistics: tuple[Operand, Operand],
    scale: Operand,
    shift: Operand,
    eps: float,
    relu: bool,
    pool: bool,
) -> Tensor:
    """Convolution, batch norm with given statistics and, if asked for, relu, or relu and max_pool2d(..., 2), at one go.

    What a network does in evaluation: y = conv * factor + (bias - mean) * factor + shift, where all but the first term
    is known before, with factor = scale / sqrt(variance + eps); statistics (mean, variance), scale and shift (f,). It
    has no gradients, so it is for no_grad() only: RuntimeError elsewhere. ValueError for shapes that do not fit.
    """
    if is_recording():
        raise RuntimeError("conv2d_batch_norm: it has no gradients; call it inside no_grad()")
    x, weight, bias, windows = _checked("conv2d", x, weight, bias, stride, pad, dilation, groups)
    x, mean, variance, scale, shift = operands("batch_norm", x, *statistics, scale, shift)
    filters = weight.shape[3]
    if any(numbers.shape != (filters,) for numbers in (mean, variance, scale, shift)):
        raise ValueError(f"batch_norm: expected mean, variance, scale and shift ({filters},), "
                         f"got {shapes_of((mean, variance, scale, shift))}")  # fmt: skip
    factor = scale.array / x.backend.xp.sqrt(variance.array + x.dtype.type(eps))
    shifts = (_added_array(bias, weight) - mean.array) * factor + shift.array
    kernels = x.backend.kernels(__package__)
    if pool:
        check_pool("max_pool2d", HALVING, (x.shape[0], *output_shape(windows, *x.shape[1:3]), filters))
        y = kernels.forward_normalise_relu_max_pool(x.array, weight.array, factor, shifts, windows, groups)
    else:
        y = kernels.forward_normalise(x.array, weight.array, factor, shifts, windows, groups, relu)
    return Tensor(y, x.backend)
