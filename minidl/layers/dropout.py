"""The dropout layer."""

from minidl.layers.layer import Layer
from minidl.modes import training_step
from minidl.operands import operands
from minidl.ops.dropout.op import dropout
from minidl.randomness import current_seed
from minidl.tensor import Operand, Tensor


class Dropout(Layer):
    """In training, set each number to 0 with probability `rate` and divide the others by 1 - rate; else do nothing.

    The mask depends on the seed, the training step, and how many masks this step has drawn before (Srivastava et al.
    2014; Flux's Dropout(p)).
    """

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: expected a rate from 0 to below 1, got {rate}")
        self.rate = rate

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("Dropout", x)
        step = training_step()
        return x if step is None else dropout(x, self.rate, (current_seed(), *step.next_mask()))

    def code(self) -> str:
        return f"Dropout({self.rate})"
