"""What minidl can compute with on this machine."""

import platform
from dataclasses import dataclass
from importlib import import_module

import numpy

from minidl.backend import ARRAY_LIBRARIES, why_unusable
from minidl.ops.threads import thread_count


@dataclass(frozen=True)
class Device:
    """A backend, whether it can be used here, and what it is or what is missing."""

    backend: str
    usable: bool
    description: str


def devices() -> list[Device]:
    """All backends, in reading order."""
    found = []
    for name in ARRAY_LIBRARIES:
        problem = why_unusable(name)
        found.append(Device(name, problem is None, problem or describe(name)))
    return found


def describe(backend: str) -> str:
    """A backend that can be used, in words."""
    if backend == "reference":
        return f"NumPy {numpy.__version__}: the definitions, slow"
    if backend == "cpu":
        return f"Numba on {thread_count()} threads of this {platform.machine()} processor"
    cupy = import_module("cupy")
    card = cupy.cuda.runtime.getDeviceProperties(0)
    memory = card["totalGlobalMem"] / 2**30
    return (
        f"CuPy {cupy.__version__} on {card['name'].decode()}, compute capability {card['major']}.{card['minor']}, "
        f"{memory:.0f} GiB"
    )
