"""The dense layer's matrix product and its two gradients.

    y  = dense(x, weight)                    linear in x and in weight
    dx = dense_input_gradient(dy, weight)    its transpose in x
    dw = dense_weight_gradient(dy, x)        its transpose in weight

Like conv2d and its gradients, the three are closed under differentiation.
"""

from minidl.backend import ieee
from minidl.operands import check_bias, operands, operands_with_bias
from minidl.ops.sum.op import row_sums
from minidl.tensor import Operand, Tensor, record


def dense(x: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """x (n, in) @ weight (in, out) + bias (out,) -> y (n, out)

    y[n, o] = bias[o] + sum over i of x[n, i] * weight[i, o]. ValueError for shapes that do not fit together.
    """
    x, weight, bias = operands_with_bias("dense", x, weight, bias)
    if weight.ndim != 2:
        raise ValueError(f"dense: expected weight (in, out), got {weight.shape}")
    if x.ndim != 2 or x.shape[1] != weight.shape[0]:
        raise ValueError(f"dense: expected x (n, {weight.shape[0]}), got {x.shape}; flatten images first")
    check_bias("dense", bias, weight.shape[1])
    return _forward(x, weight, bias)


@ieee
def _forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    added = x.backend.xp.zeros(weight.shape[1], x.dtype) if bias is None else bias.array
    y = x.backend.kernels(__package__).forward(x.array, weight.array, added)
    has_bias = bias is not None

    def backward(dy: Tensor) -> tuple[Tensor | None, ...]:
        dx = dense_input_gradient(dy, weight) if x.requires_grad else None
        dweight = dense_weight_gradient(dy, x) if weight.requires_grad else None
        return (dx, dweight, row_sums(dy)) if has_bias else (dx, dweight)

    return record(y, (x, weight) if bias is None else (x, weight, bias), backward, name="dense")


@ieee
def dense_input_gradient(dy: Operand, weight: Operand) -> Tensor:
    """What a change of y asks of x: dy (n, out), weight (in, out) -> dx (n, in)."""
    dy, weight = operands("dense_input_gradient", dy, weight)
    if dy.ndim != 2 or weight.ndim != 2 or dy.shape[1] != weight.shape[1]:
        raise ValueError(f"dense_input_gradient: expected dy (n, out) and weight (in, out), "
                         f"got {dy.shape} and {weight.shape}")  # fmt: skip

    def backward(ddx: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            _forward(ddx, weight, None) if dy.requires_grad else None,
            dense_weight_gradient(dy, ddx) if weight.requires_grad else None,
        )

    return record(dy.backend.kernels(__package__).input_gradient(dy.array, weight.array), (dy, weight), backward)


@ieee
def dense_weight_gradient(dy: Operand, x: Operand) -> Tensor:
    """What a change of y asks of the weight: dy (n, out), x (n, in) -> dweight (in, out)."""
    dy, x = operands("dense_weight_gradient", dy, x)
    if dy.ndim != 2 or x.ndim != 2 or dy.shape[0] != x.shape[0]:
        raise ValueError(f"dense_weight_gradient: expected dy (n, out) and x (n, in), got {dy.shape} and {x.shape}")

    def backward(ddweight: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            _forward(x, ddweight, None) if dy.requires_grad else None,
            dense_input_gradient(dy, ddweight) if x.requires_grad else None,
        )

    return record(dy.backend.kernels(__package__).weight_gradient(dy.array, x.array), (dy, x), backward)
