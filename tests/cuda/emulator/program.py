"""Compiles a CUDA source with g++ and runs its kernels on fibers: one kernel, one library, over a common scheduler.

The source is not touched, but for declarations of shared memory, which become references into the emulator's.
"""

import ctypes
import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
CACHE = Path(tempfile.gettempdir()) / f"minidl-emulator-{os.getuid()}"
FLAGS = ["-std=c++17", "-march=native", "-fPIC", "-w", f"-I{FOLDER}"]
PLAIN, TRACED = ["-O2"], ["-O1", "-gdwarf-4", "-DTRACE"]  # of newer tables addr2line does not read the files
ORDERS = ["ascending", "descending", "random"]


class KernelError(Exception):
    """The kernel, or the way it was launched, is wrong."""


@dataclass(frozen=True)
class Cost:
    """What the accesses to memory in one line of a kernel ask of it."""

    line: str  # "conv2d/gpu.cu:12"
    space: str  # "global" or "shared"
    kind: str  # "read" or "write"
    requests: int  # of a warp each
    sectors: float  # global: times the fewest that could hold what was asked for
    turns: float  # shared: of 32 threads that meet in a bank, on average


@dataclass
class Kernel:
    """A compiled kernel such as "forward<float>"."""

    library: ctypes.CDLL
    path: Path
    traced: bool

    def __post_init__(self) -> None:
        self.library.emulator_signature.restype = ctypes.c_char_p
        self.library.emulator_launch.restype = ctypes.c_char_p
        self.signature = self.library.emulator_signature().decode().rstrip(";").split(";")

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: list[int],
        arrays: list[tuple[int, int, str]],
        order: str,
        seed: int = 0,
    ) -> list[Cost]:
        """Run all blocks; `arguments` are addresses of values, `arrays` (address, bytes, name) what may be accessed.

        Returns what memory accesses cost when the kernel is traced. KernelError for what a device would not forgive.
        """
        if self.traced:
            self.library.emulator_trace_begin()
            for address, size, name in arrays:
                self.library.emulator_trace_array(ctypes.c_void_p(address), ctypes.c_size_t(size), name.encode())
        mistake = self.library.emulator_launch(
            self.library.emulator_call,
            (ctypes.c_void_p * max(1, len(arguments)))(*arguments),
            (ctypes.c_uint * 3)(*grid),
            (ctypes.c_uint * 3)(*block),
            ORDERS.index(order),
            seed,
        ).decode()
        costs, mistakes = self._what_was_traced() if self.traced else ([], [])
        if mistakes or mistake:
            raise KernelError("; ".join(mistakes or [mistake]))
        return costs

    def _what_was_traced(self) -> tuple[list[Cost], list[str]]:
        self.library.emulator_trace_end.restype = ctypes.c_char_p
        rows = [line.split("|") for line in self.library.emulator_trace_end().decode().splitlines()]
        line_of = self._lines({row[3] if row[0] == "mistake" else row[1] for row in rows}
                              | {row[6] for row in rows if row[0] == "mistake" and len(row) > 6})  # fmt: skip
        costs, mistakes = [], []
        for kind, *row in rows:
            if kind == "mistake":
                times, what, place, array, *race = row
                other = f", byte {race[0]}, and {line_of[race[1]]}: {race[2]}" if race else ""
                mistakes.append(f"{line_of[place]}: {what} of {array}{other} ({times} times)")
            else:
                place, shared, write, requests, sectors, fewest, turns = row
                requests = int(requests)
                costs.append(Cost(
                    line_of[place], "shared" if shared == "1" else "global", "write" if write == "1" else "read",
                    requests, int(sectors) / max(1, int(fewest)), int(turns) / requests,
                ))  # fmt: skip
        return sorted(costs, key=lambda cost: cost.line), sorted(mistakes)

    def _lines(self, places: set[str]) -> dict[str, str]:
        if not places:
            return {}
        found = subprocess.run(
            ["addr2line", "-e", self.path, *(f"0x{place}" for place in places)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        names = [re.sub(r" .*", "", "/".join(line.split("/")[-2:])) for line in found.stdout.splitlines()]
        return dict(zip(places, names, strict=True))


@cache
def compile_kernel(source: str, kernel: str, traced: bool = False) -> Kernel:
    """The kernel of that name, such as "forward<float>", in a CUDA source; KernelError when g++ does not like it."""
    text = f'#include "shim.h"\n{translated(source)}\nEMULATOR_ENTRY({kernel})\n'
    # The calls that the sanitizers' options put in come to trace.cpp; their own libraries are not linked
    flags = [*TRACED, "-fsanitize=thread,bounds-strict", "-fno-sanitize-recover"] if traced else PLAIN
    library = _library([text], flags, [str(_scheduler(traced))])
    return Kernel(ctypes.CDLL(str(library)), library, traced)


@cache
def _scheduler(traced: bool) -> Path:
    """The library that runs threads. All kernels share it, and with it the stacks of the threads."""
    texts = [(FOLDER / name).read_text() for name in ["scheduler.cpp", *(["trace.cpp"] if traced else [])]]
    return _library(texts, TRACED if traced else PLAIN, ["-ldl"])


def _library(texts: list[str], flags: list[str], linked: list[str]) -> Path:
    """A shared library of these C++ files, from the cache unless something in it is new."""
    headers = [(FOLDER / name).read_text() for name in ("shim.h", "trace.h")]
    key = hashlib.sha256(repr((texts, headers, FLAGS, flags, linked)).encode()).hexdigest()[:20]
    library = CACHE / f"{key}.so"
    if library.exists():
        return library
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        objects = []
        for number, text in enumerate(texts):
            source, compiled = (Path(folder, f"{number}.{ending}") for ending in ("cpp", "o"))
            source.write_text(text)
            _run_gxx([*flags, "-c", str(source)], compiled)
            objects.append(str(compiled))
        _run_gxx(["-shared", *objects, *linked], Path(folder, "library.so"))
        os.replace(Path(folder, "library.so"), library)
    return library


def _run_gxx(arguments: list[str], target: Path) -> None:
    result = subprocess.run(["g++", *FLAGS, *arguments, "-o", str(target)], capture_output=True, text=True)
    if result.returncode:
        raise KernelError(f"g++ failed:\n{result.stderr[:4000]}")


def translated(source: str) -> str:
    """The source with its shared variables in the emulator's memory; comments go, and lines keep their numbers."""
    without_comments = re.sub(
        r"/\*.*?\*/|//[^\n]*", lambda comment: "\n" * comment[0].count("\n"), source, flags=re.DOTALL
    )
    return re.sub(r"__shared__ ([^;]+);", _shared, without_comments)


def _shared(declaration: re.Match[str]) -> str:
    """`__shared__ T a[2], b[3];` as two references."""
    c_type, first, others = re.fullmatch(r"(.+?)\s+(\w+\s*(?:\[.*?)?)((?:,.*)?)", declaration[1]).groups()
    references = []
    for variable in [first, *others.split(",")[1:]]:
        name, bracket, sizes = (part.strip() for part in variable.partition("["))
        references.append(
            f"static char key_of_{name}; using Type_of_{name} = {c_type} {bracket}{sizes}; "
            f"Type_of_{name}& {name} = *(Type_of_{name}*)"
            f'emulator::shared_memory(&key_of_{name}, sizeof(Type_of_{name}), "{name}");'
        )
    return " ".join(references) + "\n" * declaration[0].count("\n")
