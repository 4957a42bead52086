"""What happens to the sums of a convolution before they are written, while they are in registers or in the cache."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidl.ops.compiling import compiled
from minidl.ops.simd import at_least, lanes, load, multiply_add, splat, store


class Finish(NamedTuple):
    """y = max(sum * factor + shift, low), per filter: the bias, or the normalisation of batch norm, and relu."""

    factor: NDArray  # (filters,)
    shift: NDArray  # (filters,)
    low: NDArray  # one number: 0 for relu, else minus infinity


def make_finish(shift: NDArray, relu: bool = False, factor: NDArray | None = None) -> Finish:
    """With `factor` None, nothing is multiplied: `shift` is a bias."""
    low = np.array([0 if relu else -np.inf], shift.dtype)
    return Finish(np.ones_like(shift) if factor is None else factor, shift, low)


@compiled
def write_finished(sums, s_first, s_step, finish, filter_first, y, y_first, y_step, positions, count):
    """y[position, :count] = what the sums of so many filters, from number `filter_first` on, become; steps are those
    from one position to the next."""
    lane, lowest = lanes(y), splat(finish.low, 0)
    whole = count - count % lane
    for _ in range(positions):
        for f in range(0, whole, lane):
            number, factor = load(sums, s_first + f), load(finish.factor, filter_first + f)
            store(y, y_first + f, at_least(multiply_add(number, factor, load(finish.shift, filter_first + f)), lowest))
        for f in range(whole, count):
            number = sums[s_first + f] * finish.factor[filter_first + f] + finish.shift[filter_first + f]
            y[y_first + f] = finish.low[0] if number < finish.low[0] else number
        s_first, y_first = s_first + s_step, y_first + y_step
