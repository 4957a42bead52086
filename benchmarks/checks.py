"""Whether the peers compute the same thing. One that does not gets no number."""

from __future__ import annotations

import numpy as np

from benchmarks.networks import Array

# How far an output may be, by the last words of its name. A float32 is rounded at 6e-8, the sum of a long product at
# about 1e-6. Gradients differ more: of millions of sums a few are so near to 0 that rounding decides what relu lets
# through. Layer upon layer adds to that, and a second step starts from what the first has made different. A kernel that
# forgets a corner is beyond these bounds, and so is an optimiser that forgets its momentum.
TOLERANCES = {
    "scores": 1e-3, "y": 1e-4, "dx": 1e-2, "dweight": 1e-2, "dbias": 1e-2, "step 1": 5e-2, "step 2": 2e-1,
}  # fmt: skip


def tolerance(name: str) -> float:
    return next(value for ending, value in TOLERANCES.items() if name.endswith(ending))


def distance(ours: Array, theirs: Array) -> float:
    """|ours - theirs| / |theirs|; infinite for shapes that differ and for numbers that are not finite."""
    if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return float("inf")
    size = float(np.linalg.norm(theirs.ravel()))
    return float(np.linalg.norm((ours - theirs).ravel())) / (size or 1.0)


def compare(ours: dict[str, Array], theirs: dict[str, Array]) -> dict[str, float]:
    """The distance of every output; one that is missing on either side is infinitely far."""
    shared = ours.keys() & theirs.keys()
    return {
        name: distance(ours[name], theirs[name]) if name in shared else float("inf")
        for name in sorted(ours.keys() | theirs.keys())
    }


def mismatch(distances: dict[str, float]) -> str | None:
    """What is wrong, in words; None if all is well."""
    wrong = [
        f"{name} by {far:.1e}, allowed {tolerance(name):.0e}"
        for name, far in distances.items()
        if not far <= tolerance(name)
    ]
    return f"MISMATCH: not what minidl computes: {'; '.join(wrong)}" if wrong else None
