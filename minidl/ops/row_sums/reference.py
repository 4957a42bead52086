"""The definition, in NumPy; sums in float64, since a batch has many thousands of rows."""

import numpy as np
from numpy.typing import NDArray


def forward(x: NDArray) -> NDArray:
    return np.asarray(x.sum(tuple(range(x.ndim - 1)), dtype=np.float64).astype(x.dtype))
