"""Optimisers turn gradients into steps, with Flux's names, defaults and definitions.

Each takes rules=[...], which change gradients first (minidl.gradient_rules), and groups=[Group(...)], parameters with
rates of their own. What a step consists of, and what is remembered, is in minidl.optimiser_base.
"""

from __future__ import annotations

from collections.abc import Sequence

from minidl.backend import Array
from minidl.ops.optimiser_steps import op as steps
from minidl.optimiser_base import GradientRule, Group, Optimiser, at_least_0
from minidl.tensor import Tensor

__all__ = ["Adam", "AdamW", "Descent", "Group", "Momentum", "Nesterov", "Optimiser", "RMSProp"]


def _check_decay(name: str, value: float) -> None:
    """What is left of an average after a step; from 1 on, it would never fade."""
    if not 0 <= value < 1:
        raise ValueError(f"expected {name} from 0 to below 1, got {value}")


class Descent(Optimiser):
    """parameter -= learning_rate * gradient"""

    def __init__(
        self, learning_rate: float = 0.1, *, rules: Sequence[GradientRule] = (), groups: Sequence[Group] = ()
    ) -> None:
        super().__init__(learning_rate, rules=rules, groups=groups)

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        steps.descent(parameters, gradients, self.learning_rate)


class Momentum(Optimiser):
    """velocity = momentum * velocity - learning_rate * gradient; parameter += velocity (Polyak 1964).

    `weight_decay` adds that much of each parameter to its gradient, as PyTorch's SGD and Flux's WeightDecay do, so that
    weights which nothing holds shrink (Krogh and Hertz 1991).

    The learning rate is inside the velocity, as in Flux and Keras: when it changes, old gradients keep their old rate.
    PyTorch multiplies by it afterwards.
    """

    memories, decays = ("velocity",), "weight_decay"

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        rules: Sequence[GradientRule] = (),
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__(learning_rate, rules=rules, groups=groups)
        _check_decay("momentum", momentum)
        self.momentum = momentum
        self.weight_decay = at_least_0("Momentum: expected a weight decay", weight_decay)

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        (velocities,) = memories
        steps.momentum(parameters, gradients, velocities, self.learning_rate, self.momentum, self.weight_decay)


class Nesterov(Optimiser):
    """Momentum that looks ahead: the step is momentum ** 2 * velocity - (1 + momentum) * learning_rate * gradient,
    with the velocity as it was before this step (Nesterov 1983, in Flux's form)."""

    memories = ("velocity",)

    def __init__(
        self,
        learning_rate: float = 0.001,
        momentum: float = 0.9,
        *,
        rules: Sequence[GradientRule] = (),
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__(learning_rate, rules=rules, groups=groups)
        _check_decay("momentum", momentum)
        self.momentum = momentum

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        (velocities,) = memories
        steps.nesterov(parameters, gradients, velocities, self.learning_rate, self.momentum)


class RMSProp(Optimiser):
    """square = decay * square + (1 - decay) * gradient ** 2;
    parameter -= learning_rate * gradient / (sqrt(square) + eps) (Hinton 2012)."""

    memories = ("square",)

    def __init__(
        self,
        learning_rate: float = 0.001,
        decay: float = 0.9,
        eps: float = 1e-8,
        *,
        rules: Sequence[GradientRule] = (),
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__(learning_rate, rules=rules, groups=groups)
        _check_decay("decay", decay)
        self.decay, self.eps = decay, at_least_0("RMSProp: expected an eps", eps)

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        (squares,) = memories
        steps.rmsprop(parameters, gradients, squares, self.learning_rate, self.decay, self.eps)


class Adam(Optimiser):
    """Averages of the gradient and of its square, corrected for starting at zero (Kingma and Ba 2014).

    mean = b1 * mean + (1 - b1) * gradient; square = b2 * square + (1 - b2) * gradient ** 2; in update t
    parameter -= learning_rate * (mean / (1 - b1 ** t)) / (sqrt(square / (1 - b2 ** t)) + eps)

    t counts the updates of the parameter, as in PyTorch and Optimisers.jl: one that is thawed late starts with t = 1.
    """

    memories = ("mean", "square")
    decay = 0.0

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        rules: Sequence[GradientRule] = (),
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__(learning_rate, rules=rules, groups=groups)
        if len(betas) != 2:
            raise ValueError(f"{type(self).__name__}: expected two betas, got {betas}")
        for beta in betas:
            _check_decay("beta", beta)
        self.betas, self.eps = betas, at_least_0(f"{type(self).__name__}: expected an eps", eps)

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        means, squares = memories
        numbers = self.learning_rate, self.betas, self.eps, self.decay, self.update_number
        steps.adam(parameters, gradients, means, squares, *numbers)


class AdamW(Adam):
    """Adam whose weights also shrink by learning_rate * decay of themselves (Loshchilov and Hutter 2017)."""

    decays = "decay"

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        decay: float = 0.0,
        eps: float = 1e-8,
        *,
        rules: Sequence[GradientRule] = (),
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__(learning_rate, betas, eps, rules=rules, groups=groups)
        self.decay = at_least_0("AdamW: expected a decay", decay)
