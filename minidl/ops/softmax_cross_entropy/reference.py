"""The definition, in NumPy."""

import numpy as np
from numpy.typing import NDArray

from minidl.ops.softmax.reference import logsoftmax


def forward(scores: NDArray, targets: NDArray) -> NDArray:
    logs = logsoftmax(scores)
    costs = np.where((targets == 0) & np.isinf(logs), 0, -targets * logs)  # 0 * log 0 is 0
    losses: NDArray = costs.sum(axis=-1, dtype=np.float64)
    return losses.astype(scores.dtype)
