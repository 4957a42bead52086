"""Do the checks bite? Spoils the CUDA sources in one place at a time and counts how often that is noticed.

    python tests/cuda/mutations.py [OP ...] [--processes N]

Barriers are deleted, signs flipped, comparisons and indices shifted. A spoiled kernel is run traced (kernel_runs.py),
with its threads in descending order, and has to fail to compile, to be caught by the emulator, or to compute other
numbers. What is not noticed is printed: it is a gap in the checks, or makes no difference.
"""

import argparse
import multiprocessing
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from emulator import strict_cupy
from emulator.program import KernelError

strict_cupy.install()

from kernel_list import CUDA_FILES  # noqa: E402
from kernel_runs import agrees  # noqa: E402

from minidl.ops import cuda  # noqa: E402

CHANGES = [
    ("barrier deleted", r"__syncthreads\(\);", ""),
    ("sign flipped", r" \+ ", " - "),
    ("sign flipped", r" - ", " + "),
    ("sign flipped", r"\+= ", "-= "),
    ("sign flipped", r"-= ", "+= "),
    ("comparison shifted", r" < ", " <= "),
    ("comparison shifted", r" >= ", " > "),
    ("comparison shifted", r" > ", " >= "),
    ("condition swapped", r" && ", " || "),
    ("index shifted", r"\[([^][]+)\](?! *[;=]?\w* *,)", r"[\1 + 1]"),
]
PATIENCE = 300  # seconds
DECLARATION = re.compile(
    r"^\s*(//|#|template|static|constexpr|using|__shared__)|^struct|^\w[^;]*\[\w+\];|^\s*(T|double|typename \S+) \w+\["
)


@dataclass(frozen=True)
class Mutation:
    """One place of one file, spoiled."""

    op: str  # that is run with it
    path: Path
    line: int
    what: str
    before: str
    after: str


def mutations(op: str, path: Path) -> list[Mutation]:
    """All changes of the code in a file, without comments and declarations."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        code, comment, rest = line.partition("//")
        if DECLARATION.match(line):
            continue
        for what, pattern, replacement in CHANGES:
            for match in re.finditer(pattern, code):
                after = code[: match.start()] + match.expand(replacement) + code[match.end() :] + comment + rest
                found.append(Mutation(op, path, number, what, line, after))
    return found


def verdict(mutation: Mutation) -> str | None:
    """How a mutation is noticed; None when it is not."""
    read_text = Path.read_text

    def spoiled(path: Path, *arguments: object, **options: object) -> str:
        lines = read_text(path, *arguments, **options).split("\n")
        if path == mutation.path:
            lines[mutation.line - 1] = mutation.after
        return "\n".join(lines)

    cuda._compiled.cache_clear()
    strict_cupy.settings.traced, strict_cupy.settings.order = True, "descending"
    Path.read_text = spoiled
    try:
        return None if agrees(mutation.op) else "other numbers"
    except KernelError as problem:
        return "does not compile" if "g++" in str(problem) else "caught by the emulator"
    except (ArithmeticError, IndexError, ValueError) as problem:
        return f"an error: {type(problem).__name__}"
    finally:
        Path.read_text = read_text


def verdict_of_child(mutation: Mutation) -> str | None:
    """verdict() in a process of its own, which a spoiled kernel may take down or keep for ever."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: sender.send(verdict(mutation)))
    child.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(PATIENCE) else "does not end"
    except EOFError:
        return "crashes"
    finally:
        child.kill()
        child.join()


def with_op(path: Path) -> list[tuple[str, Path]]:
    """A .cu file, and the shared ones that its op is the smallest user of."""
    shared = {"sum": "column_sums.cuh", "dense": "tiles.cuh", "mean_pool2d": "cuda.cuh"}
    shared |= {"softmax": "warps.cuh"}
    op = path.parent.name
    files = [(op, path)]
    if op in shared:
        files.append((op, cuda.FOLDER / shared[op]))
    return files + [(op, other) for other in path.parent.glob("*.cuh")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ops", nargs="*", metavar="OP")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    wanted = [
        mutation
        for path in CUDA_FILES
        if not options.ops or path.parent.name in options.ops
        for op, file in with_op(path)
        for mutation in mutations(op, file)
    ]
    counts: dict[str, list[int]] = {}
    missed = []
    with ThreadPoolExecutor(options.processes) as pool:
        for mutation, how in zip(wanted, pool.map(verdict_of_child, wanted), strict=True):
            row = counts.setdefault(mutation.what, [0, 0])
            row[0] += how is not None
            row[1] += 1
            if how is None:
                missed.append(mutation)
            print(
                f"{mutation.path.parent.name}/{mutation.path.name}:{mutation.line} {mutation.what}: {how}", flush=True
            )
    print("\n| change | noticed | of |\n| --- | --- | --- |")
    for what, (noticed, of) in counts.items():
        print(f"| {what} | {noticed} | {of} |")
    for mutation in missed:
        print(f"\nnot noticed: {mutation.path.parent.name}/{mutation.path.name}:{mutation.line}\n"
              f"    {mutation.before.strip()}\n    {mutation.after.strip()}")  # fmt: skip


if __name__ == "__main__":
    main()
