"""What `minidl train` can choose from by name: optimisers, each with rates that suit it, and schedules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from minidl.gradient_rules import ClipGlobalNorm, GradientRule, OptimiserChain, WeightDecay
from minidl.optimisers import Adam, AdamW, Descent, Group, Momentum, Nesterov, Optimiser, RMSProp
from minidl.schedules import Schedule, constant, cosine, one_cycle, piecewise, warmed_up


class UsageError(ValueError):
    """What was asked for makes no sense, whatever the files hold."""


@dataclass(frozen=True)
class Rates:
    """The numbers that an optimiser is made with; momentum None: it has none."""

    learning_rate: float
    momentum: float | None = None
    weight_decay: float = 0.0


OPTIMISERS = {
    "momentum": Rates(0.005, momentum=0.9),
    "nesterov": Rates(0.005, momentum=0.9),
    "adam": Rates(0.0003),  # as Flux's model zoo trains VGG
    "adamw": Rates(0.0003, weight_decay=0.01),
    "rmsprop": Rates(0.0003),
    "descent": Rates(0.05),  # a momentum of 0.9 carries ten times as far
}
SCHEDULES = ("cosine", "one-cycle", "step", "constant")


def suited(name: str, **given: float | None) -> Rates:
    """The rates that suit an optimiser, but for those that are given and not None."""
    return replace(OPTIMISERS[name], **{rate: value for rate, value in given.items() if value is not None})


def parse_groups(text: str) -> list[Group]:
    """The groups in "*.bias:rate_factor=2,weight_decay=0; *.scale,*.shift:weight_decay=0".

    ValueError for anything else.
    """
    groups = []
    for part in text.replace(" ", "").split(";"):
        patterns, _, settings = part.partition(":")
        try:
            numbers = {name: float(value) for name, value in (setting.split("=") for setting in settings.split(","))}
            groups.append(Group(*patterns.split(","), **numbers))
        except (TypeError, ValueError) as error:  # TypeError: another setting
            raise ValueError(
                f"groups: expected '*.bias:rate_factor=2,weight_decay=0' or the like, got {part!r}: {error}"
            ) from None
    return groups


def make_optimiser(name: str, rates: Rates, clip_norm: float | None = None, groups: Sequence[Group] = ()) -> Optimiser:
    """An optimiser of OPTIMISERS. Gradients are shortened to `clip_norm` first; then weights decay.

    AdamW lets weights shrink beside its steps; for the others, decay is part of the gradient.
    """
    optimiser = _bare(name, rates)
    optimiser.groups = list(groups)
    rules: list[GradientRule] = [] if clip_norm is None else [ClipGlobalNorm(clip_norm)]
    decays = bool(rates.weight_decay) or any(group.weight_decay is not None for group in groups)
    if decays and optimiser.decays is None:
        rules.append(WeightDecay(rates.weight_decay))
    return OptimiserChain(*rules, optimiser) if rules else optimiser


def _bare(name: str, rates: Rates) -> Optimiser:
    match name:
        case "momentum":
            return Momentum(rates.learning_rate, rates.momentum or 0.0, rates.weight_decay)
        case "nesterov":
            return Nesterov(rates.learning_rate, rates.momentum or 0.0)
        case "adamw":
            return AdamW(rates.learning_rate, decay=rates.weight_decay)
    kinds: dict[str, Callable[[float], Optimiser]] = {"adam": Adam, "rmsprop": RMSProp, "descent": Descent}
    return kinds[name](rates.learning_rate)


def make_schedule(name: str, learning_rate: float, steps: int, warmup: int | None = None) -> Schedule:
    """A schedule of SCHEDULES over a run of so many steps, with `warmup` steps in which the rate rises.

    Without a number, cosine has a short rise, for a fresh network needs a few steps to find its direction; one-cycle
    has a rise of its own; the others have none. "step" divides by ten after a half and after three quarters of the
    run (He et al. 2015).
    """
    if warmup is not None and warmup >= steps:
        raise UsageError(f"expected a warmup of fewer steps than the {steps} of the whole run, got {warmup}")
    if name == "cosine":
        return cosine(learning_rate, steps, warmup=min(200, steps // 10) if warmup is None else warmup)
    if name == "one-cycle":
        return one_cycle(learning_rate, steps) if steps > 1 else constant(learning_rate)
    schedule = constant(learning_rate)
    if name == "step":
        half, three_quarters = -(-steps // 2), -(-3 * steps // 4)  # rounded up
        schedule = piecewise({three_quarters: learning_rate / 100, half: learning_rate / 10, 0: learning_rate})
    return warmed_up(schedule, warmup) if warmup else schedule
