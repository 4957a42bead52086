"""Convolution, its two gradients, and transposed convolution.

"Convolution" slides the filters as they are (cross-correlation), as Keras and PyTorch do; Flux's Conv flips them first.
With windows, stride and padding fixed, three functions are closed under differentiation: each one's gradients are the
other two.

    y  = conv2d(x, weight)                    linear in x and in weight
    dx = conv2d_input_gradient(dy, weight)    its transpose in x
    dw = conv2d_weight_gradient(dy, x)        its transpose in weight
"""

from minidl.backend import Array, ieee
from minidl.modes import exact_convolution, is_exact_convolution, is_recording
from minidl.operands import check_bias, is_whole_number, operands, operands_with_bias
from minidl.ops.max_pool2d.op import _scatter
from minidl.ops.relu.op import relu_gradient
from minidl.ops.sum.op import row_sums
from minidl.ops.windows import HALVING, Sizes, Windows, check_fits, check_pool, image_shape, make_windows, output_shape
from minidl.tensor import Operand, Tensor, record

Shape = tuple[int, ...]


def conv2d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    pad: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Slide filters over images: x (n, h, w, c) * weight (kh, kw, c, f) + bias (f,) -> y (n, out_h, out_w, f).

    y[n, i, j, o] = bias[o] + sum over ki, kj, ch of
                    x[n, i * stride + ki * dilation - pad, j * stride + kj * dilation - pad, ch] * weight[ki, kj, ch, o]

    pad is a number, (height, width) or (top, bottom, left, right). With groups > 1, channels and filters are split into
    that many equal parts, each seeing only its own: weight (kh, kw, c / groups, f). ValueError for shapes that do not
    fit together.
    """
    return _forward(*_checked("conv2d", x, weight, bias, stride, pad, dilation, groups), groups)


@ieee
def conv2d_relu(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    pad: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """relu(conv2d(...)) at one go, while the numbers are still in the cache; shapes and errors are conv2d's."""
    x, weight, bias, windows = _checked("conv2d", x, weight, bias, stride, pad, dilation, groups)
    kernels = x.backend.kernels(__package__)
    y = kernels.forward_relu(x.array, weight.array, _added_array(bias, weight), windows, groups)
    has_bias, exact = bias is not None, is_exact_convolution()

    def backward(dy: Tensor) -> tuple[Tensor | None, ...]:
        dz, dbias = _before_relu(dy, y)
        return _gradients(dz, dbias if has_bias else None, x, weight, windows, groups, exact)

    return record(y, (x, weight) if bias is None else (x, weight, bias), backward)


@ieee
def conv2d_relu_max_pool2d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    pad: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """max_pool2d(relu(conv2d(...)), 2) at one go: y (n, out_h // 2, out_w // 2, f); errors are those of the three."""
    x, weight, bias, windows = _checked("conv2d", x, weight, bias, stride, pad, dilation, groups)
    convolved = (x.shape[0], *output_shape(windows, *x.shape[1:3]), weight.shape[3])
    check_pool("max_pool2d", HALVING, convolved)
    kernels = x.backend.kernels(__package__)
    y, choice = kernels.forward_relu_max_pool(x.array, weight.array, _added_array(bias, weight), windows, groups)
    has_bias, exact = bias is not None, is_exact_convolution()

    def backward(dy: Tensor) -> tuple[Tensor | None, ...]:
        dz, dbias = _before_relu(dy, y)
        dz = _scatter(dz, choice, convolved, HALVING)
        return _gradients(dz, dbias if has_bias else None, x, weight, windows, groups, exact)

    return record(y, (x, weight) if bias is None else (x, weight, bias), backward)


def conv_transpose2d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    pad: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution run backwards: x (n, h, w, c), weight (kh, kw, f / groups, c), bias (f,) -> y (n, out_h, out_w, f).

    Every pixel of x paints its filters, scaled, into y: the input gradient of the conv2d that turns y's shape into x's
    (Zeiler et al. 2010). out_h = (h - 1) * stride + dilation * (kh - 1) + 1 - top - bottom.
    """
    x, weight, bias = operands_with_bias("conv_transpose2d", x, weight, bias)
    _check_weight("conv_transpose2d", weight.shape, groups)
    _check_images("conv_transpose2d", x.shape, weight.shape[3])
    windows = make_windows("conv_transpose2d", weight.shape[:2], stride, pad, dilation)
    out_h, out_w = image_shape(windows, *x.shape[1:3])
    filters = weight.shape[2] * groups
    if out_h < 1 or out_w < 1:
        raise ValueError(f"conv_transpose2d: padding {pad} leaves no pixel of the output ({out_h} x {out_w})")
    check_bias("conv_transpose2d", bias, filters)
    y = conv2d_input_gradient(x, weight, (x.shape[0], out_h, out_w, filters), windows, groups)
    return y if bias is None else y + bias


def _checked(
    op: str, x: Operand, weight: Operand, bias: Operand | None, stride: Sizes, pad: Sizes, dilation: Sizes, groups: int
) -> tuple[Tensor, Tensor, Tensor | None, Windows]:
    """The operands of a convolution as tensors, and its windows; ValueError when shapes do not fit together."""
    x, weight, bias = operands_with_bias(op, x, weight, bias)
    _check_weight(op, weight.shape, groups)
    _check_images(op, x.shape, weight.shape[2] * groups)
    windows = make_windows(op, weight.shape[:2], stride, pad, dilation)
    check_fits(op, windows, *x.shape[1:3])
    check_bias(op, bias, weight.shape[3])
    return x, weight, bias, windows


@ieee
def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, groups: int) -> Tensor:
    y = x.backend.kernels(__package__).forward(x.array, weight.array, _added_array(bias, weight), windows, groups)
    has_bias, exact = bias is not None, is_exact_convolution()

    def backward(dy: Tensor) -> tuple[Tensor | None, ...]:
        return _gradients(dy, row_sums(dy) if has_bias else None, x, weight, windows, groups, exact)

    return record(y, (x, weight) if bias is None else (x, weight, bias), backward, name="conv2d")


def _added_array(bias: Tensor | None, weight: Tensor) -> Array:
    """The bias as kernels want it: zeros where there is none."""
    return weight.backend.xp.zeros(weight.shape[3], weight.dtype) if bias is None else bias.array


def _gradients(
    dy: Tensor, dbias: Tensor | None, x: Tensor, weight: Tensor, windows: Windows, groups: int, exact: bool
) -> tuple[Tensor | None, ...]:
    """What a change of conv2d's y asks of its inputs: (dx, dweight) or (dx, dweight, dbias)."""
    with exact_convolution(exact):
        dx = conv2d_input_gradient(dy, weight, x.shape, windows, groups) if x.requires_grad else None
        dweight = conv2d_weight_gradient(dy, x, weight.shape, windows, groups) if weight.requires_grad else None
    return (dx, dweight) if dbias is None else (dx, dweight, dbias)


@ieee
def _before_relu(dy: Tensor, y: Array) -> tuple[Tensor, Tensor]:
    """(dz, the sums of its rows): what a change of y = relu(z + bias) asks of z and of bias."""
    if is_recording():  # gradients of this gradient are wanted: write it with functions that have them
        dz = relu_gradient(dy, y)
        return dz, row_sums(dz)
    dz, sums = dy.backend.kernels("minidl.ops.relu").gradient_and_sums(dy.array, y)
    return Tensor(dz, dy.backend), Tensor(sums, dy.backend)


@ieee
def conv2d_input_gradient(
    dy: Operand, weight: Operand, x_shape: tuple[int, ...], windows: Windows, groups: int
) -> Tensor:
    """What a change of y asks of x: dy (n, out_h, out_w, f), weight (kh, kw, c / groups, f) -> dx of `x_shape`."""
    dy, weight = operands("conv2d_input_gradient", dy, weight)
    _check_gradient("conv2d_input_gradient", dy.shape, x_shape, weight.shape, windows, groups)
    dx = dy.backend.kernels(__package__).input_gradient(dy.array, weight.array, x_shape, windows, groups)

    exact = is_exact_convolution()

    def backward(ddx: Tensor) -> tuple[Tensor | None, Tensor | None]:
        with exact_convolution(exact):
            return (
                _forward(ddx, weight, None, windows, groups) if dy.requires_grad else None,
                conv2d_weight_gradient(dy, ddx, weight.shape, windows, groups) if weight.requires_grad else None,
            )

    return record(dx, (dy, weight), backward)


@ieee
def conv2d_weight_gradient(
    dy: Operand, x: Operand, weight_shape: tuple[int, ...], windows: Windows, groups: int
) -> Tensor:
    """What a change of y asks of the weight: dy (n, out_h, out_w, f), x (n, h, w, c) -> dweight of `weight_shape`."""
    dy, x = operands("conv2d_weight_gradient", dy, x)
    _check_gradient("conv2d_weight_gradient", dy.shape, x.shape, weight_shape, windows, groups)
    dweight = dy.backend.kernels(__package__).weight_gradient(dy.array, x.array, weight_shape, windows, groups)

    exact = is_exact_convolution()

    def backward(ddweight: Tensor) -> tuple[Tensor | None, Tensor | None]:
        with exact_convolution(exact):
            return (
                _forward(x, ddweight, None, windows, groups) if dy.requires_grad else None,
                conv2d_input_gradient(dy, ddweight, x.shape, windows, groups) if x.requires_grad else None,
            )

    return record(dweight, (dy, x), backward)


def _check_weight(op: str, shape: Shape, groups: int) -> None:
    if len(shape) != 4 or 0 in shape:
        raise ValueError(f"{op}: expected weight (kh, kw, channels, filters), each at least 1, got shape {shape}")
    if not is_whole_number(groups) or groups < 1 or shape[3] % groups:
        raise ValueError(f"{op}: expected groups to divide the {shape[3]} filters, got groups={groups}")


def _check_images(op: str, shape: Shape, channels: int) -> None:
    if len(shape) != 4 or shape[3] != channels:
        raise ValueError(f"{op}: expected images (n, h, w, {channels}), got {shape}")


def _check_gradient(
    op: str, dy_shape: Shape, x_shape: Shape, weight_shape: Shape, windows: Windows, groups: int
) -> None:
    """ValueError unless conv2d(x, weight) has the shape of dy: kernels believe the shapes that they are given."""
    _check_weight(op, weight_shape, groups)
    _check_images(op, x_shape, weight_shape[2] * groups)
    n, h, w, _ = x_shape
    expected = (n, *output_shape(windows, h, w), weight_shape[3])
    if dy_shape != expected or tuple(weight_shape[:2]) != (windows.height, windows.width):
        raise ValueError(
            f"{op}: expected dy {expected} and weight ({windows.height}, {windows.width}, ...) for images {x_shape}, "
            f"got {dy_shape} and {weight_shape}"
        )
