"""Single ops beside convolution, at sizes of VGG19 with batches of 64; softmax with the 1,000 classes of ImageNet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.networks import Array

IMAGES = (64, 32, 32, 64)
ROWS = (256, 1000)
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "batch_norm": {"x": IMAGES, "scale": (64,), "shift": (64,)},
    "max_pool2d": {"x": IMAGES},
    "mean_pool2d": {"x": IMAGES},
    "relu": {"x": IMAGES},
    "row_sums": {"x": IMAGES},
    "sum": {"x": IMAGES},
    "mean": {"x": IMAGES},
    "dense": {"x": (64, 4096), "weight": (4096, 4096), "bias": (4096,)},
    "dropout": {"x": (64, 4096)},
    "softmax": {"x": ROWS},
    "softmax_cross_entropy": {"scores": ROWS, "targets": ROWS},
}
NOT_TRAINED = {"targets"}  # what no library computes a gradient of
POOL = 2  # the size of the windows of both pools


@dataclass(frozen=True)
class OpCase:
    """One op on fixed random arrays."""

    op: str

    def arrays(self) -> dict[str, Array]:
        """Its inputs by name; of moderate size, and different everywhere, so that no pool has a tie."""
        random = np.random.default_rng(0)
        arrays = {name: random.standard_normal(shape, np.float32) for name, shape in SHAPES[self.op].items()}
        if "weight" in arrays:
            arrays["weight"] *= np.float32(1 / math.sqrt(len(arrays["weight"])))
        if "targets" in arrays:
            arrays["targets"] = np.eye(ROWS[1], dtype=np.float32)[random.integers(0, ROWS[1], ROWS[0])]
        return arrays

    def dy(self, shape: tuple[int, ...]) -> Array:
        """What comes in from behind, in the shape of the output."""
        return np.random.default_rng(1).standard_normal(shape, np.float32)
