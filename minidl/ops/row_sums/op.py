"""Sums over everything but the channels: the gradient of what was added to every row, such as a bias."""

from minidl.backend import ieee
from minidl.operands import operands
from minidl.ops.shaping import broadcast_to
from minidl.tensor import Operand, Tensor, record


@ieee
def row_sums(x: Operand) -> Tensor:
    """x (..., c) summed over all axes but the last -> (c,); ValueError for a number without axes."""
    (x,) = operands("row_sums", x)
    if x.ndim == 0:
        raise ValueError("row_sums: expected x (..., c), got a single number")
    shape = x.shape

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (broadcast_to(dy, shape),)

    return record(x.backend.kernels(__package__).forward(x.array), (x,), backward)
