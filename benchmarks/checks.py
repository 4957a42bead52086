"""Whether the peers compute the same thing. One that does not gets no number."""

from __future__ import annotations

import numpy as np

from benchmarks.networks import Array

# How far each output may be. A float32 is rounded at 6e-8, the sum of a long product at about 1e-6. Gradients differ
# more: of millions of sums a few are so near to 0 that rounding decides what relu lets through, and layer upon layer
# adds to that: in the first layer of VGG19 even Keras and PyTorch differ by 2e-2. The second step starts from what the
# first has made different. A kernel that forgets a border, or an optimiser that forgets its momentum, is far beyond.
TOLERANCES = {
    "scores": 1e-4,
    "loss of step 1": 1e-4, "change of the last weight in step 1": 1e-2, "change of the first weight in step 1": 1e-1,
    "loss of step 2": 1e-2, "change of the last weight in step 2": 5e-2, "change of the first weight in step 2": 2e-1,
    "y": 1e-4, "dx": 1e-2, "dweight": 1e-2, "dbias": 1e-2, "dscale": 1e-2, "dshift": 1e-2, "dscores": 1e-2,
}  # fmt: skip


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
        f"{name} by {far:.1e}, allowed {TOLERANCES[name]:.0e}"
        for name, far in distances.items()
        if not far <= TOLERANCES[name]
    ]
    return f"MISMATCH: not what minidl computes: {'; '.join(wrong)}" if wrong else None
