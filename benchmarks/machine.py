"""What the figures depend on, besides the programs: the machine, how busy it is, and the revision of the source."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from minidl.devices import describe
from minidl.ops.threads import processors

VECTOR_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")


def describe_machine(backend: str) -> dict[str, Any]:
    cpu = _cpu_info()
    flags = (cpu.get("flags") or cpu.get("Features") or "").split()
    return {
        **({"gpu": describe(backend)} if backend == "gpu" else {}),
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "cores": processors(),
        "vector_features": [feature for feature in VECTOR_FEATURES if feature in flags],
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def load() -> list[float]:
    """How many processes wanted to compute in the last 1, 5 and 15 minutes, on average."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def revision() -> str:
    """The commit of the source, with a + when files differ from it; "unknown" without git."""
    try:
        commit = _git("rev-parse", "--short=10", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _cpu_info() -> dict[str, str]:
    """The first processor's entries in /proc/cpuinfo; nothing where there is no such file."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = (line.split(":", 1) for line in path.read_text().split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in lines}


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None
