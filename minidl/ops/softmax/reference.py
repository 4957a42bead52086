"""The definition, in NumPy. Subtracting the largest score changes nothing but keeps exp() finite."""

import numpy as np
from numpy.typing import NDArray


def softmax(x: NDArray) -> NDArray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return (exponentials / exponentials.sum(axis=-1, keepdims=True, dtype=np.float64)).astype(x.dtype)


def logsoftmax(x: NDArray) -> NDArray:
    shifted = x - x.max(axis=-1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True, dtype=np.float64))).astype(x.dtype)
