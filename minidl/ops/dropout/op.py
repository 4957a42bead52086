"""Dropout (Srivastava et al. 2014), inverted: what is kept is scaled up, so that evaluation needs nothing."""

import numbers

import numpy

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
    check_rate("dropout", rate)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dropout(dy, rate, key),)  # linear: its own transpose

    if rate == 1:  # nothing is kept, and nothing divided by 0
        return record(x.backend.xp.zeros_like(x.array), (x,), backward)
    seed, step, mask = (_word(part) for part in key)
    return record(x.backend.kernels(__package__).apply(x.array, rate, (seed, step, mask)), (x,), backward)


def check_rate(owner: str, rate: float) -> None:
    """ValueError unless it is a number from 0 to 1."""
    if not isinstance(rate, numbers.Real) or isinstance(rate, bool) or not 0 <= rate <= 1:
        raise ValueError(f"{owner}: expected a rate from 0 to 1, got {rate!r}")


def _word(part: int) -> int:
    """32 bits for a whole number. From 2 ** 32 on they are mixed of all its bits, for its last 32 would come again."""
    return part if part < 2**32 else int(numpy.random.SeedSequence(part).generate_state(1)[0])
