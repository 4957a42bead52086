"""What all optimisers share: a step through gradient rules, parameter groups, and what is remembered of each parameter.

Adam(0.001, rules=[ClipNorm(1.0)], groups=[Group("*.bias", rate_factor=2)])

Parameters and state are flat dicts with the same names. What is remembered belongs to a parameter: `optimiser.state`
holds its arrays, {"velocity": {"layers.0.weight": array, ...}}, and `optimiser.counts` how many updates it has had,
{"layers.0.weight": 12, ...}. `optimiser.steps` counts steps from the start of training, for schedules and dropout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any
from weakref import ref

from minidl.backend import Array
from minidl.tensor import Tensor


def at_least_0(expected: str, value: float) -> float:
    """The value; ValueError, beginning with `expected`, unless it is finite and 0 or more."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{expected} of 0 or more, got {value}{_not_finite(value)}")
    return value


def above_0(expected: str, value: float) -> float:
    """The value; ValueError, beginning with `expected`, unless it is finite and more than 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"{expected} above 0, got {value}{_not_finite(value)}")
    return value


def _not_finite(value: float) -> str:
    return "" if math.isfinite(value) else ", which is not finite"


class Group:
    """Parameters with a learning rate or a weight decay of their own, chosen by name.

    Group("*.bias", "*.scale", "*.shift", weight_decay=0)     # biases, and what norms multiply by and add
    Group("layers.0.*", rate_factor=0.1)

    patterns      for names such as "layers.0.weight": * is anything, ? one character, [01] one of these (fnmatch);
                  "*.bias" fits the "bias" of a single layer, too
    rate_factor   times the optimiser's learning rate, which may follow a schedule
    weight_decay  in place of the optimiser's; None leaves that

    ValueError for no pattern, and unless the numbers are finite and at least 0.
    """

    def __init__(self, *patterns: str, rate_factor: float = 1.0, weight_decay: float | None = None) -> None:
        if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
            raise ValueError(f"Group: expected patterns of names, such as '*.bias', got {patterns}")
        self.patterns = patterns
        self.rate_factor = at_least_0("Group: expected a rate_factor", rate_factor)
        self.weight_decay = weight_decay
        if weight_decay is not None:
            at_least_0("Group: expected a weight_decay", weight_decay)

    def __repr__(self) -> str:
        patterns = ", ".join(map(repr, self.patterns))
        return f"Group({patterns}, rate_factor={self.rate_factor}, weight_decay={self.weight_decay})"

    def fits(self, name: str) -> bool:
        """Whether a parameter of this name is in the group."""
        return any(_fits(pattern, name) for pattern in self.patterns)


def _fits(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(f".{name}", pattern)


EVERY_OTHER = Group("*")  # the parameters that are in no group


class GradientRule:
    """Changes the gradients of parameters. A new one defines change(), or apply() when it has to see all of them."""

    def apply(self, params: Mapping[str, Tensor]) -> None:
        """Give all parameters that have a gradient another one."""
        for parameter in params.values():
            if parameter.grad is not None:
                parameter.grad = Tensor(self.change(parameter.grad.array, parameter.array), parameter.backend)

    def change(self, gradient: Array, parameter: Array) -> Array:
        """What one gradient becomes; a new array."""
        raise NotImplementedError(f"{type(self).__name__} does not define change()")

    def in_group(self, group: Group) -> GradientRule:
        """The rule that holds for the parameters of a group: another one where the group has a weight decay."""
        return self


class Optimiser:
    """What all optimisers share. A new one defines `memories`, the names of its state, and update().

    rules    what is done to gradients before the optimiser uses them, in this order; see minidl.gradient_rules
    groups   parameters with rates of their own; where several fit a name, the first counts
    decays   the name of its setting that is a weight decay, None if it has none

    ValueError for a learning rate that is negative or not finite; TypeError for other rules or groups.
    """

    memories: tuple[str, ...] = ()
    decays: str | None = None

    def __init__(
        self, learning_rate: float, *, rules: Sequence[GradientRule] = (), groups: Sequence[Group] = ()
    ) -> None:
        name = type(self).__name__
        self.learning_rate = at_least_0(f"{name}: expected a learning rate", learning_rate)
        for kind, things in ((GradientRule, rules), (Group, groups)):
            if isinstance(things, kind) or not all(isinstance(thing, kind) for thing in things):
                raise TypeError(f"{name}: expected a list of objects of class {kind.__name__}, got {things!r}")
        self.rules, self.groups = list(rules), list(groups)
        self.steps = 0
        self.update_number = 0  # of the parameters that update() is given: 1 in their first update
        self.state: dict[str, dict[str, Array]] = {memory: {} for memory in self.memories}
        self.counts: dict[str, int] = {}
        self._owners: dict[str, ref[Tensor]] = {}

    def step(self, params: Mapping[str, Tensor]) -> None:
        """Move every parameter that has a gradient, in place, and use the gradient up.

        ValueError for a learning rate that is negative or not finite, a group that fits nothing, and a parameter that
        is not the one whose memories these are; then nothing has been changed.
        """
        self._rate = at_least_0(f"{type(self).__name__}: expected a learning rate", self.learning_rate)
        self.check_groups(params)
        with_gradient = {name: parameter for name, parameter in params.items() if parameter.grad is not None}
        for name, parameter in with_gradient.items():
            self._check_owner(name, parameter)
        gradients = self._after_rules(with_gradient)
        moving = {name: with_gradient[name] for name in gradients}
        self.counts = self.counts | {name: self.updates(name) + 1 for name in moving}
        self._owners = self._owners | {name: ref(parameter) for name, parameter in moving.items()}
        self.steps += 1
        self._move(moving, gradients)
        for parameter in with_gradient.values():
            parameter.grad = None

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        """Change parameters and memories in place. All lists have one order; memories start as zeros.

        `self.learning_rate`, the weight decay and `self.update_number` are those of these parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def updates(self, name: str) -> int:
        """How many updates a parameter has had. Memories that came without a count are as old as the training."""
        if name in self.counts:
            return self.counts[name]
        return self.steps if any(name in arrays for arrays in self.state.values()) else 0

    def check_groups(self, params: Mapping[str, Tensor]) -> None:
        """ValueError for a pattern that fits no parameter, now or before, and a weight decay that takes no place."""
        names = params.keys() | self.counts.keys()
        for group in self.groups:
            for pattern in group.patterns:
                if not any(_fits(pattern, name) for name in names):
                    raise ValueError(
                        f"{type(self).__name__}: the group {pattern!r} fits none of {len(names)} parameters, such as "
                        f"{min(names, default=None)!r}; those that are frozen do not count"
                    )
            places = sum(rule.in_group(group) is not rule for rule in self.rules) + (self.decays is not None)
            if group.weight_decay is not None and places != 1:
                raise ValueError(
                    f"{type(self).__name__}: a group's weight_decay takes the place of one weight decay, but here are "
                    f"{places}: that of Momentum or AdamW, or of one rule WeightDecay for the other optimisers"
                )

    def description(self) -> dict[str, Any]:
        """What it is made of, as checkpoints name it; without numbers, which may be others when training goes on."""
        return {
            "optimiser": type(self).__name__,
            "rules": [type(rule).__name__ for rule in self.rules],
            "groups": [list(group.patterns) for group in self.groups],
        }

    def restore(self, steps: int, counts: dict[str, int], state: dict[str, dict[str, Array]]) -> None:
        """Go on with what another optimiser of this kind remembered."""
        self.steps, self.counts, self.state, self._owners = steps, counts, state, {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or what is pickled, may go on with a copy of the network."""
        return {name: {} if name == "_owners" else value for name, value in vars(self).items()}

    def _after_rules(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gradients by name. Rules see stand-ins for the parameters, whose own gradients stay until they are used."""
        if not self.rules:
            return {name: parameter.grad for name, parameter in params.items() if parameter.grad is not None}
        stand_ins = {name: Tensor(parameter.array, parameter.backend) for name, parameter in params.items()}
        for name, parameter in params.items():
            stand_ins[name].grad = parameter.grad
        for rule in self.rules:
            by_group = [(rule.in_group(self._group_of(name)), name) for name in stand_ins]
            for one in {id(one): one for one, _ in by_group}.values():
                one.apply({name: stand_ins[name] for other, name in by_group if other is one})
        return {name: stand_in.grad for name, stand_in in stand_ins.items() if stand_in.grad is not None}

    def _move(self, params: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        """One call of update() for all parameters of each backend, dtype, group and count; mostly for all of them."""
        alike: dict[tuple[Any, ...], list[str]] = {}
        for name, x in params.items():
            kind = x.backend.name, x.dtype, self._group_of(name), self.counts[name]
            alike.setdefault(kind, []).append(name)
        for (_, _, group, self.update_number), names in alike.items():
            memories = [[self._memory(memory, name, params[name]) for name in names] for memory in self.memories]
            with self._rates_of(group):
                self.update([params[name] for name in names], [gradients[name] for name in names], *memories)

    def _group_of(self, name: str) -> Group:
        return next((group for group in self.groups if group.fits(name)), EVERY_OTHER)

    @contextmanager
    def _rates_of(self, group: Group) -> Iterator[None]:
        """A block in which learning rate and weight decay are those of a group."""
        theirs = {"learning_rate": self.learning_rate * group.rate_factor} if group.rate_factor != 1 else {}
        if self.decays is not None and group.weight_decay is not None:
            theirs[self.decays] = group.weight_decay
        own = {name: getattr(self, name) for name in theirs}
        vars(self).update(theirs)
        try:
            yield
        finally:
            vars(self).update(own)

    def _check_owner(self, name: str, parameter: Tensor) -> None:
        """ValueError unless what is remembered under this name is of this parameter."""
        for memory in self.memories:
            array = self.state[memory].get(name, parameter)
            if array.shape != parameter.shape or array.dtype != parameter.dtype:
                raise ValueError(
                    f"{type(self).__name__}: {name} is {parameter.shape} {parameter.dtype}, but its {memory} is "
                    f"{array.shape} {array.dtype}: an optimiser belongs to one network, so make a new one"
                )
        if self.memories and name in self._owners and self._owners[name]() is not parameter:
            raise ValueError(
                f"{type(self).__name__}: {name} is another tensor than in the steps before, whose "
                f"{' and '.join(self.memories)} it would go on with: an optimiser belongs to one network, so make a "
                "new one"
            )

    def _memory(self, memory: str, name: str, parameter: Tensor) -> Array:
        arrays = self.state[memory]
        if name not in arrays:
            arrays[name] = parameter.backend.xp.zeros_like(parameter.array)
        array = arrays[name] = parameter.backend.asarray(arrays[name])  # the parameter may have moved
        return array
