"""What Keras's optimizers share: learning rates and schedules, clipping, weight decay, configurations."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minidl.backend import Array, ieee
from minidl.gradient_rules import ClipGlobalNorm, ClipGrad, ClipNorm, GradientRule
from minidl.keras.objects import auto_name
from minidl.keras.optimizers import schedules
from minidl.keras.optimizers.schedules import LearningRateSchedule
from minidl.optimiser_base import Optimiser, at_least_0
from minidl.tensor import Tensor

LearningRate = float | LearningRateSchedule | Callable[[], float]

# Settings of Keras that have one value here, and what does the same
FIXED = {
    "use_ema": (False, "average the weights in a callback"),
    "ema_momentum": (0.99, "average the weights in a callback"),
    "ema_overwrite_frequency": (None, "average the weights in a callback"),
    "loss_scale_factor": (None, "minidl trains in float32, whose gradients need no scaling"),
    "gradient_accumulation_steps": (None, "use a larger batch_size"),
}
KERAS_NAMES = {"weight": "kernel", "scale": "gamma", "shift": "beta"}  # of parameters, by minidl's


class Optimizer(Optimiser):
    """Keras's settings around a minidl optimiser. A new one defines `memories` and update() or move().

    learning_rate: a number, a schedule, which is called with the number of steps so far, or a function without
    arguments. weight_decay: before each step, parameters lose this share of themselves, times the learning rate; not
    scaled by any average of gradients (Loshchilov and Hutter 2017). clipnorm limits the norm of each gradient,
    global_clipnorm that of all together, clipvalue each number; one of the three at most, and 0 switches it off.

    The other settings of Keras are there to be refused by name: NotImplementedError unless they are at their default.
    """

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **fixed: Any,
    ) -> None:
        super().__init__(0.0, rules=_clipping(clipnorm, clipvalue, global_clipnorm))
        self._check_fixed(fixed)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        if weight_decay is not None:
            at_least_0(f"{type(self).__name__}: expected a weight_decay", weight_decay)
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.name = name or auto_name(type(self).__name__)
        self._without_decay: dict[int, Tensor] = {}
        self._names_without_decay: re.Pattern[str] | None = None
        self._names: frozenset[str] = frozenset()  # of all parameters, from the first step on

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step. It can be set, unless it follows a schedule: TypeError."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return float(rate(self.steps))
        return float(rate() if callable(rate) else rate)

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        if callable(learning_rate):
            self._learning_rate: LearningRate = learning_rate
            return
        if isinstance(getattr(self, "_learning_rate", None), LearningRateSchedule):
            raise TypeError(f"{type(self).__name__}: its learning rate follows a schedule and cannot be set; make the "
                            f"optimizer with a number to set it yourself")  # fmt: skip
        rate = at_least_0(f"{type(self).__name__}: expected a learning rate", float(learning_rate))
        self._learning_rate = rate

    @property
    def iterations(self) -> int:
        """How many steps have been made."""
        return self.steps

    @ieee
    def step(self, params: Mapping[str, Tensor]) -> None:
        """Move every parameter that has a gradient, in place, and use the gradient up.

        ValueError if there are parameters but no gradients, and, as in Keras, for a parameter that was not there in the
        first step: iterations are those of all parameters, and its first moves would be far too large.
        """
        if params and all(parameter.grad is None for parameter in params.values()):
            raise ValueError(f"{type(self).__name__}: none of {len(params)} parameters has a gradient; call "
                             f"backward() of the loss before each step")  # fmt: skip
        new = params.keys() - (self._names or params.keys())
        if new:
            raise ValueError(f"{type(self).__name__}: {min(new)} was not among the parameters of the first step; "
                             f"compile() with a new optimizer when layers are added or set to trainable")  # fmt: skip
        if self.groups:
            raise NotImplementedError(f"{type(self).__name__}: groups are for minidl.optimisers; Keras has none")
        super().step(params)
        self._names |= params.keys()

    def description(self) -> dict[str, Any]:
        return super().description() | {"optimiser": f"keras.{type(self).__name__}"}

    def restore(self, steps: int, counts: dict[str, int], state: dict[str, dict[str, Array]]) -> None:
        super().restore(steps, counts, state)
        self._names = frozenset()

    def _move(self, params: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        if self.weight_decay:
            for name, parameter in params.items():
                if self._decays(name, parameter):
                    parameter.array *= 1 - self._rate * self.weight_decay
        super()._move(params, gradients)

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        for parameter, gradient, *remembered in zip(parameters, gradients, *memories, strict=True):
            parameter.array -= self.move(gradient.array, *remembered)

    def move(self, gradient: Array, *memories: Array) -> Array:
        """What is subtracted from one parameter at learning rate self._rate; memories are changed in place."""
        raise NotImplementedError(f"{type(self).__name__} defines neither update() nor move()")

    def exclude_from_weight_decay(
        self, var_list: Sequence[Tensor] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Parameters that weight_decay leaves alone: these tensors, and those whose name contains one of var_names.

        Names are Keras's ("kernel", "bias", "gamma", "beta") or minidl's ("weight", "bias", "scale", "shift"); regular
        expressions, as in Keras.
        """
        self._without_decay = {id(parameter): parameter for parameter in var_list or ()}
        self._names_without_decay = re.compile("|".join(var_names)) if var_names else None

    def _decays(self, name: str, parameter: Tensor) -> bool:
        name = name.split(".")[-1]
        pattern = self._names_without_decay
        named = pattern is not None and any(pattern.search(x) for x in (name, KERAS_NAMES.get(name, name)))
        return not named and id(parameter) not in self._without_decay

    def get_config(self) -> dict[str, Any]:
        """The settings, as from_config() and Keras take them; a schedule as schedules.serialize() has it."""
        rate = self._learning_rate
        if callable(rate) and not isinstance(rate, LearningRateSchedule):
            raise TypeError(f"{type(self).__name__}: a learning rate that is a function cannot be saved; make it a "
                            f"LearningRateSchedule")  # fmt: skip
        return {
            "name": self.name,
            "learning_rate": schedules.serialize(rate) if isinstance(rate, LearningRateSchedule) else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            **{name: value for name, (value, _) in FIXED.items()},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Optimizer":
        """The optimizer that get_config() described, at its beginning."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), Mapping):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"])
        return cls(**config)

    def _check_fixed(self, fixed: Mapping[str, Any]) -> None:
        for name, value in fixed.items():
            if name not in FIXED:
                raise TypeError(f"{type(self).__name__}: unexpected argument {name!r}")
            default, instead = FIXED[name]
            if value != default:
                raise NotImplementedError(f"{type(self).__name__}: expected {name}={default}, got {value!r}, which "
                                          f"minidl does not have; {instead}")  # fmt: skip


def _clipping(clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None) -> list[GradientRule]:
    """What the settings do to gradients; ValueError for more than one."""
    if sum(limit is not None for limit in (clipnorm, clipvalue, global_clipnorm)) > 1:
        raise ValueError(f"expected one of clipnorm, clipvalue and global_clipnorm at most, got {clipnorm=}, "
                         f"{clipvalue=}, {global_clipnorm=}")  # fmt: skip
    rules = [(ClipNorm, clipnorm), (ClipGrad, clipvalue), (ClipGlobalNorm, global_clipnorm)]
    return [rule(limit) for rule, limit in rules if limit]
