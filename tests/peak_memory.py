"""How much memory a piece of Python takes at most, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
def _peak():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0]) // 1024

_before = _peak()
try:
    {work}
except (ValueError, OSError) as error:
    print(error)
print(_peak() - _before)
"""


def said_and_peak(beginning, work, *arguments):
    """(what one line of Python says, or its error; MB by which it raises the peak of the process after `beginning`)."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs the peak of a process, which Linux tells")
    script = beginning + MEASURE.format(work=work)
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True,
        env={**os.environ, "NUMBA_NUM_THREADS": "1"}, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    *said, peak = result.stdout.splitlines()
    return "\n".join(said), int(peak)
