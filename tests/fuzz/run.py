"""Mutants of the files that minidl reads: python tests/fuzz/run.py FORMAT --mutants 500 --seed 0, or FORMAT "all".

Each mutant has to end in an error of one line, or in exactly what the whole file gives. Whatever else happens is
counted: other exceptions, and results that are silently different, which only a format with a digest can notice. A
crash ends this process; the last mutant is then in the file that --keep names.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import data_formats
import fuzz_formats
from fuzz_formats import Case, Refused

FORMATS = fuzz_formats.FORMATS | data_formats.FORMATS

KINDS = ("bit", "byte", "digit", "truncate", "extend", "zero", "repeat", "cut out", "swap", "empty", "other")
RIGHT, REFUSED, DIFFERENT, WRONG = "right", "refused", "different", "wrong"


def mutant(whole: bytes, others: tuple[bytes, ...], random: random.Random) -> bytes:
    """The file with one thing wrong with it."""
    data, kind = bytearray(whole), random.choice(KINDS)
    at, size = random.randrange(len(data)), random.randint(1, 16)
    match kind:
        case "bit":
            data[at] ^= 1 << random.randrange(8)
        case "byte":
            data[at] = random.randrange(256)
        case "digit":
            digits = [k for k, byte in enumerate(data) if byte in b"0123456789"] or [at]
            data[random.choice(digits)] = ord(random.choice("0123456789-.e"))
        case "truncate":
            del data[at:]
        case "extend":
            data += random.randbytes(size)
        case "zero":
            data[at : at + size] = bytes(len(data[at : at + size]))
        case "repeat":
            data[at:at] = data[at : at + size]
        case "cut out":
            del data[at : at + size]
        case "swap":
            other = random.randrange(len(data))
            data[at], data[other] = data[other], data[at]
        case "empty":
            data.clear()
        case "other":
            return random.choice(others) if others else bytes(reversed(whole))
    return bytes(data)


def outcome(case: Case, data: bytes, right: object) -> tuple[str, str]:
    """What becomes of one mutant, and what was said."""
    case.restore()
    case.file.write_bytes(data)
    try:
        found = case.read()
    except (ValueError, OSError, Refused) as error:
        named = case.file.name in str(error) or case.file.parent.name in str(error)
        return (REFUSED if named and "\n" not in str(error).strip() else WRONG), str(error)
    except Exception as error:
        return WRONG, f"{type(error).__name__}: {error}"
    return (RIGHT, "") if found == right else (DIFFERENT, str(found)[:200])


def fuzz(name: str, mutants: int, seed: int, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Outcomes, counted, and what was said by those that must not be."""
    counted: Counter[str] = Counter()
    bad = []
    generator = random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory() as folder, FORMATS[name](Path(folder)) as case:
        whole = case.file.read_bytes()
        case.restore()
        right = case.read()
        for _ in range(mutants):
            data = mutant(whole, case.others, generator)
            if keep is not None:
                keep.write_bytes(data)
            kind, said = outcome(case, data, right)
            counted[kind] += 1
            if kind == WRONG or (kind == DIFFERENT and case.digest):
                bad.append(f"{kind}: {said}")
    return counted, bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=["all", *FORMATS])
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where each mutant is written before it is tried")
    options = parser.parse_args()
    failed = 0
    for name in FORMATS if options.format == "all" else [options.format]:
        counted, bad = fuzz(name, options.mutants, options.seed, options.keep)
        failed += len(bad)
        print(f"{name:12}", *(f"{kind} {counted[kind]:4}" for kind in (RIGHT, REFUSED, DIFFERENT, WRONG)))
        print(*(f"  {line[:300]}" for line in bad[:10]), sep="\n", end="\n" if bad else "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
