"""What can be done to gradients before an optimiser uses them, with Flux's names.

Adam(rules=[ClipNorm(1.0), WeightDecay(5e-4)])                # one after the other
OptimiserChain(ClipNorm(1.0), WeightDecay(5e-4), Adam())     # the same in Flux's spelling, the optimiser last
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from minidl.backend import Array, ieee
from minidl.optimiser_base import GradientRule, Group, Optimiser, above_0, at_least_0
from minidl.tensor import Tensor

__all__ = ["ClipGlobalNorm", "ClipGrad", "ClipNorm", "GradientRule", "OptimiserChain", "WeightDecay"]


class WeightDecay(GradientRule):
    """gradient + decay * parameter, so that weights which nothing holds shrink (Krogh and Hertz 1991)."""

    def __init__(self, decay: float) -> None:
        self.decay = at_least_0("WeightDecay: expected a decay", decay)

    @ieee
    def change(self, gradient: Array, parameter: Array) -> Array:
        return gradient + self.decay * parameter

    def in_group(self, group: Group) -> GradientRule:
        return self if group.weight_decay is None else WeightDecay(group.weight_decay)


class ClipGrad(GradientRule):
    """Each number of a gradient limited to -limit...limit."""

    def __init__(self, limit: float) -> None:
        self.limit = at_least_0("ClipGrad: expected a limit", limit)

    def change(self, gradient: Array, parameter: Array) -> Array:
        return gradient.clip(-self.limit, self.limit)


class ClipNorm(GradientRule):
    """Each gradient whose norm, the root of its sum of squares, is above `limit` shortened to it (Flux's ClipNorm)."""

    def __init__(self, limit: float) -> None:
        self.limit = above_0("ClipNorm: expected a limit", limit)

    @ieee
    def change(self, gradient: Array, parameter: Array) -> Array:
        return gradient * _shortening([gradient], self.limit)


class ClipGlobalNorm(GradientRule):
    """All gradients together shortened so that the norm of all their numbers is at most `limit` (Pascanu et al. 2013).

    What PyTorch's clip_grad_norm_ does and Keras calls global_clipnorm.
    """

    def __init__(self, limit: float) -> None:
        self.limit = above_0("ClipGlobalNorm: expected a limit", limit)

    @ieee
    def apply(self, params: Mapping[str, Tensor]) -> None:
        moving = [parameter for parameter in params.values() if parameter.grad is not None]
        gradients = [parameter.grad.array for parameter in moving if parameter.grad is not None]
        if gradients:
            factor = _shortening(gradients, self.limit)
            for parameter, gradient in zip(moving, gradients, strict=True):
                parameter.grad = Tensor(gradient * factor, parameter.backend)


def _of_the_optimiser(name: str) -> Any:
    return property(
        lambda chain: getattr(chain.optimiser, name),
        lambda chain, value: setattr(chain.optimiser, name, value),
        doc=f"The optimiser's {name}.",
    )


class OptimiserChain(Optimiser):
    """Gradient rules one after the other, and an optimiser, which is last: Flux's OptimiserChain.

    OptimiserChain(ClipNorm(1.0), Adam()) does what Adam(rules=[ClipNorm(1.0)]) does, and their checkpoints are equal:
    all but the rules is the optimiser's. TypeError when anything else stands among the parts.
    """

    learning_rate, steps, state, counts, groups = map(
        _of_the_optimiser, ("learning_rate", "steps", "state", "counts", "groups")
    )

    def __init__(self, *parts: GradientRule | Optimiser) -> None:
        self.rules = [rule for rule in parts[:-1] if isinstance(rule, GradientRule)]
        last = parts[-1] if parts else None
        if len(self.rules) != len(parts) - 1 or not isinstance(last, Optimiser):
            raise TypeError(f"OptimiserChain: expected gradient rules and an optimiser behind them, got {parts}")
        self.optimiser, self.memories = last, last.memories

    @contextmanager
    def _with_all_rules(self) -> Iterator[Optimiser]:
        """The optimiser with the chain's rules before its own."""
        own = self.optimiser.rules
        self.optimiser.rules = [*self.rules, *own]
        try:
            yield self.optimiser
        finally:
            self.optimiser.rules = own

    def step(self, params: Mapping[str, Tensor]) -> None:
        with self._with_all_rules() as optimiser:
            optimiser.step(params)

    def check_groups(self, params: Mapping[str, Tensor]) -> None:
        with self._with_all_rules() as optimiser:
            optimiser.check_groups(params)

    def restore(self, steps: int, counts: dict[str, int], state: dict[str, dict[str, Array]]) -> None:
        self.optimiser.restore(steps, counts, state)

    def description(self) -> dict[str, Any]:
        with self._with_all_rules() as optimiser:
            return optimiser.description()


@ieee
def _shortening(gradients: list[Array], limit: float) -> Any:
    """The factor that brings the norm of all numbers down to `limit`; 1 when it is there. On a GPU it stays there."""
    squares = sum((gradient.astype("float64") ** 2).sum(dtype="float64") for gradient in gradients)
    norm = squares**0.5
    return (limit / norm.clip(limit, None)).astype(gradients[0].dtype)
