"""What can be done to gradients before an optimiser uses them, with Flux's names.

OptimiserChain(ClipNorm(1.0), WeightDecay(5e-4), Adam())     # from left to right, the optimiser last
"""

from collections.abc import Mapping
from typing import Any

from minidl.backend import Array
from minidl.optimisers import Optimiser
from minidl.tensor import Tensor


class GradientRule:
    """Changes the gradients of parameters. A new one defines change(), or apply() when it has to see all of them."""

    def apply(self, params: Mapping[str, Tensor]) -> None:
        """Change the gradients of all parameters that have one."""
        for parameter in params.values():
            if parameter.grad is not None:
                parameter.grad = Tensor(self.change(parameter.grad.array, parameter.array), parameter.backend)

    def change(self, gradient: Array, parameter: Array) -> Array:
        """What one gradient becomes; a new array."""
        raise NotImplementedError(f"{type(self).__name__} does not define change()")


class WeightDecay(GradientRule):
    """gradient + decay * parameter, so that weights which nothing holds shrink (Krogh and Hertz 1991)."""

    def __init__(self, decay: float) -> None:
        self.decay = _at_least_0("WeightDecay: expected a decay", decay)

    def change(self, gradient: Array, parameter: Array) -> Array:
        return gradient + self.decay * parameter


class ClipGrad(GradientRule):
    """Each number of a gradient limited to -limit...limit."""

    def __init__(self, limit: float) -> None:
        self.limit = _at_least_0("ClipGrad: expected a limit", limit)

    def change(self, gradient: Array, parameter: Array) -> Array:
        return gradient.clip(-self.limit, self.limit)


class ClipNorm(GradientRule):
    """Each gradient whose norm, the root of its sum of squares, is above `limit` shortened to it (Flux's ClipNorm)."""

    def __init__(self, limit: float) -> None:
        self.limit = _above_0("ClipNorm", limit)

    def change(self, gradient: Array, parameter: Array) -> Array:
        return gradient * _shortening([gradient], self.limit)


class ClipGlobalNorm(GradientRule):
    """All gradients together shortened so that the norm of all their numbers is at most `limit` (Pascanu et al. 2013).

    What PyTorch's clip_grad_norm_ does and Keras calls global_clipnorm.
    """

    def __init__(self, limit: float) -> None:
        self.limit = _above_0("ClipGlobalNorm", limit)

    def apply(self, params: Mapping[str, Tensor]) -> None:
        moving = [parameter for parameter in params.values() if parameter.grad is not None]
        gradients = [parameter.grad.array for parameter in moving if parameter.grad is not None]
        if gradients:
            factor = _shortening(gradients, self.limit)
            for parameter, gradient in zip(moving, gradients, strict=True):
                parameter.grad = Tensor(gradient * factor, parameter.backend)


class OptimiserChain(Optimiser):
    """Gradient rules one after the other, and an optimiser, which is last: Flux's OptimiserChain.

    Learning rate, step count and state are the optimiser's. TypeError when anything else stands among the parts.
    """

    def __init__(self, *parts: GradientRule | Optimiser) -> None:
        self.rules = [rule for rule in parts[:-1] if isinstance(rule, GradientRule)]
        last = parts[-1] if parts else None
        if len(self.rules) != len(parts) - 1 or not isinstance(last, Optimiser):
            raise TypeError(f"OptimiserChain: expected gradient rules and an optimiser behind them, got {parts}")
        self.optimiser, self.memories = last, last.memories

    def step(self, params: Mapping[str, Tensor]) -> None:
        for rule in self.rules:
            rule.apply(params)
        self.optimiser.step(params)

    @property
    def learning_rate(self) -> float:
        """The optimiser's; setting it sets that."""
        return self.optimiser.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self.optimiser.learning_rate = learning_rate

    @property
    def steps(self) -> int:
        """How many steps the optimiser has taken."""
        return self.optimiser.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self.optimiser.steps = steps

    @property
    def state(self) -> dict[str, dict[str, Array]]:
        """The optimiser's memories, by their names and the parameters' names."""
        return self.optimiser.state

    @state.setter
    def state(self, state: dict[str, dict[str, Array]]) -> None:
        self.optimiser.state = state


def _shortening(gradients: list[Array], limit: float) -> Any:
    """The factor that brings the norm of all numbers down to `limit`; 1 when it is there. On a GPU it stays there."""
    squares = sum((gradient.astype("float64") ** 2).sum(dtype="float64") for gradient in gradients)
    norm = squares**0.5
    return (limit / norm.clip(limit, None)).astype(gradients[0].dtype)


def _at_least_0(expected: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{expected} of 0 or more, got {value}")
    return value


def _above_0(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name}: expected a limit above 0, got {value}")
    return value
