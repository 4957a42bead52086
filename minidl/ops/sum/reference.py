"""The definition, in NumPy: added up and divided in float64, then rounded once."""

import numpy as np
from numpy.typing import DTypeLike, NDArray


def forward(x: NDArray, divisor: int, dtype: DTypeLike) -> NDArray:
    """x (groups, rows, columns) -> (groups, columns)."""
    return (x.sum(1, dtype=np.float64) / divisor).astype(dtype)
