"""What can be measured: a table from the names on the command line to cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from benchmarks.fresh import memory, start_up
from benchmarks.networks import NETWORKS, TITLES, ConvCase, convolutions
from benchmarks.op_cases import SHAPES
from benchmarks.session import Case, Measurement, Session, Settings
from benchmarks.turns import (
    accuracy_in_turns,
    fit_in_turns,
    inference_in_turns,
    layer_in_turns,
    op_in_turns,
    step_in_turns,
)

BATCHES = (16, 64, 256)
BATCH = 64
FIT_IMAGES, ACCURACY_IMAGES = 1280, 10_240

Measure = Callable[[Session, Case], Measurement]
Cases = Callable[[Settings], Iterator[Case]]


@dataclass(frozen=True)
class Subject:
    """A choice on the command line. `name` is what its measurements are called: two choices may share it."""

    name: str
    measure: Measure
    cases: Cases
    by_default: bool = True


def steps(settings: Settings) -> Iterator[Case]:
    for threads in settings.threads:
        for network in settings.networks:
            yield from ({"network": network, "batch": batch, "threads": threads} for batch in BATCHES)


def threads(settings: Settings) -> Iterator[Case]:
    for count in sorted({1, *settings.threads}):
        yield from ({"network": network, "batch": BATCH, "threads": count} for network in settings.networks)


def inferences(settings: Settings) -> Iterator[Case]:
    for count in settings.threads:
        for network in settings.networks:
            yield from ({"network": network, "batch": batch, "threads": count} for batch in (BATCH, 1))


def fits(settings: Settings, images: int = FIT_IMAGES) -> Iterator[Case]:
    """Whole batches only: a smaller one at the end would be compiled for once more."""
    whole = (settings.images or images) // BATCH * BATCH
    for count in settings.threads:
        yield {"network": settings.networks[-1], "batch": BATCH, "images": whole, "threads": count}


def layers(settings: Settings) -> Iterator[Case]:
    for count in settings.threads:
        for layer in convolutions(NETWORKS[settings.networks[0]], BATCH):
            for direction in ("forward", "backward"):
                yield {"layer": asdict(layer), "direction": direction, "threads": count}


def ops(settings: Settings) -> Iterator[Case]:
    for count in settings.threads:
        for op in SHAPES:
            for direction in ("forward", "backward"):
                yield {"op": op, "direction": direction, "threads": count}


def starts(settings: Settings) -> Iterator[Case]:
    for cache in ("empty", "warm"):
        yield {"network": settings.networks[-1], "batch": BATCH, "cache": cache, "threads": settings.threads[-1]}


def memories(settings: Settings) -> Iterator[Case]:
    for network in settings.networks:
        yield from ({"network": network, "batch": batch, "threads": settings.threads[-1]} for batch in BATCHES)


def accuracies(settings: Settings) -> Iterator[Case]:
    for case in fits(settings, ACCURACY_IMAGES):
        yield case | {"accuracy": settings.accuracy}


SUBJECTS = {
    "step": Subject("step", step_in_turns, steps),
    "threads": Subject("step", step_in_turns, threads),
    "inference": Subject("inference", inference_in_turns, inferences),
    "fit": Subject("fit", fit_in_turns, fits),
    "layers": Subject("layers", layer_in_turns, layers),
    "ops": Subject("ops", op_in_turns, ops),
    "startup": Subject("startup", start_up, starts),
    "memory": Subject("memory", memory, memories),
    "accuracy": Subject("accuracy", accuracy_in_turns, accuracies, by_default=False),  # takes hours
}


def tasks(settings: Settings) -> list[tuple[str, Case, Measure]]:
    """(name, case, how to measure it) of all subjects chosen, in order, each once."""
    found: list[tuple[str, Case, Measure]] = []
    for choice in settings.subjects:
        subject = SUBJECTS[choice]
        for case in subject.cases(settings):
            if (subject.name, case) not in [(name, known) for name, known, _ in found]:
                found.append((subject.name, case, subject.measure))
    return found


def describe(case: Case) -> str:
    """A case in words, without its number of threads."""
    words = []
    if "layer" in case:
        layer = ConvCase(**case["layer"])
        words += [f"{layer.pixels} x {layer.pixels}, {layer.inputs} to {layer.outputs}", case["direction"]]
    elif "op" in case:
        sizes = " and ".join(" x ".join(map(str, shape)) for shape in SHAPES[case["op"]].values())
        words += [f"{case['op']} of {sizes}", case["direction"]]
    else:
        words += [TITLES[case["network"]], f"batch {case['batch']}"]
    if "images" in case:
        words.append(f"{case['images']:,} images")
    if "cache" in case:
        words.append(f"{case['cache']} cache")
    return ", ".join(words)
