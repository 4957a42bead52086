"""The rectified linear unit (Nair and Hinton 2010)."""

from minidl.backend import Array, ieee
from minidl.operands import operands
from minidl.tensor import Operand, Tensor, record


@ieee
def relu(x: Operand) -> Tensor:
    """max(x, 0); its gradient at 0 is 0. nan stays nan."""
    (x,) = operands("relu", x)
    y = x.backend.kernels(__package__).forward(x.array)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (relu_gradient(dy, y),)  # where y > 0, so was x, which need not be kept

    return record(y, (x,), backward)


@ieee
def relu_gradient(dy: Operand, y: Array) -> Tensor:
    """dy where y > 0, else 0, whatever dy is there: y is what relu returned. y is not copied: leave it as it is.

    ValueError when the shapes or dtypes differ.
    """
    (dy,) = operands("relu_gradient", dy)
    if dy.shape != y.shape or dy.dtype != y.dtype:
        raise ValueError(f"relu_gradient: expected y like dy, {dy.shape} {dy.dtype}, got {y.shape} {y.dtype}")

    def backward(ddx: Tensor) -> tuple[Tensor]:
        return (relu_gradient(ddx, y),)  # linear: its own transpose

    return record(dy.backend.kernels(__package__).gradient(dy.array, y), (dy,), backward)
