"""The dropout layer."""

from minidl.layers.layer import Layer, arguments
from minidl.modes import TrainingStep, training_step
from minidl.operands import operands
from minidl.ops.dropout.op import check_rate, dropout
from minidl.randomness import current_seed
from minidl.tensor import Operand, Tensor


class Dropout(Layer):
    """In training, set each number to 0 with probability `rate` and divide the others by 1 - rate; else do nothing.

    The mask depends on the seed, the training step, and how many masks this step has drawn before (Srivastava et al.
    2014; Flux's Dropout(p)). active=True drops outside training too, active=False never; see testmode().
    """

    def __init__(self, rate: float, *, active: bool | None = None) -> None:
        check_rate("Dropout", rate)
        self.rate, self.active = rate, active
        self.outside = TrainingStep(0)  # counts the masks drawn outside training, if there are any

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("Dropout", x)
        step = training_step() or (self.outside if self.active else None)
        if step is None or self.active is False:
            return x
        return dropout(x, self.rate, (current_seed(), *step.next_mask()))

    def code(self) -> str:
        return f"{type(self).__name__}({arguments(self.rate, active=(self.active, None))})"
