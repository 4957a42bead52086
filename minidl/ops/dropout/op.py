"""Dropout (Srivastava et al. 2014), inverted: what is kept is scaled up, so that evaluation needs nothing."""

from minidl.backend import ieee
from minidl.operands import operands
from minidl.tensor import Operand, Tensor, record


@ieee
def dropout(x: Operand, rate: float, key: tuple[int, int, int]) -> Tensor:
    """Set each number to 0 with probability `rate`, and divide the others by 1 - rate.

    Whether number i is dropped is a hash of (key, i): the same key drops the same numbers on every backend, so the mask
    is computed again when it is needed and never stored. A key is (seed, step, mask), whole numbers from 0.
    """
    (x,) = operands("dropout", x)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: expected a rate from 0 to below 1, got {rate}")

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dropout(dy, rate, key),)  # linear: its own transpose

    return record(x.backend.kernels(__package__).apply(x.array, rate, key), (x,), backward)
