"""Numba: row by row, without temporary arrays."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.softmax.cpu import log_of_total


def forward(scores: NDArray, targets: NDArray) -> NDArray:
    losses = np.empty(len(scores), scores.dtype)
    _forward(scores, targets, losses)
    return losses


@compiled(parallel=True)
def _forward(scores, targets, losses):
    for m in prange(len(scores)):
        largest, log_total = log_of_total(scores[m])
        losses[m] = _loss(scores[m], targets[m], largest, log_total)


@compiled(fastmath={"reassoc"})  # adds up several terms side by side
def _loss(scores, targets, largest, log_total):
    loss = 0.0
    for k in range(scores.size):
        cost = log_total - (scores[k] - largest)
        loss += 0.0 if targets[k] == 0 and cost == np.inf else targets[k] * cost  # 0 * log 0 is 0
    return loss
