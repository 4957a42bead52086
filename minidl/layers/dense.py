"""The dense (fully connected) layer."""

from collections.abc import Callable

from minidl.layers.initialisers import Initialiser, glorot_uniform
from minidl.layers.layer import Layer, arguments
from minidl.ops.dense.op import dense
from minidl.ops.elementwise import identity
from minidl.randomness import generator
from minidl.tensor import Operand, Tensor
from minidl.whole_numbers import whole_number


class Dense(Layer):
    """x (n, in) @ weight (in, out) + bias (out,), then `activation`: Flux's Dense(in => out, activation).

    weight is drawn by `init`; bias starts as zeros, or is None.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: Callable[[Tensor], Tensor] = identity,
        *,
        bias: bool = True,
        init: Initialiser = glorot_uniform,
    ) -> None:
        inputs, outputs = whole_number("Dense", "inputs", inputs), whole_number("Dense", "outputs", outputs)
        if inputs < 1 or outputs < 1:
            raise ValueError(f"Dense: expected at least one input and one output, got {inputs} and {outputs}")
        self.weight = Tensor(init((inputs, outputs), generator()), requires_grad=True)
        self.bias = Tensor([0.0] * outputs, requires_grad=True) if bias else None
        self.activation = activation

    def __call__(self, x: Operand) -> Tensor:
        return self.activation(dense(x, self.weight, self.bias))

    def code(self) -> str:
        inside = arguments(*self.weight.shape, self.activation, bias=(self.bias is not None, True))
        return f"{type(self).__name__}({inside})"
