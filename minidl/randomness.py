"""Where random numbers come from. One seed decides initial weights, shuffling, augmentation and dropout masks.

Only initial weights are drawn from a running stream, on the host, so they are equal on every backend. Everything else
is a function of (seed, epoch, step, index): nothing has to be saved, and a resumed run repeats bit for bit.
"""

import numpy

from minidl.whole_numbers import is_whole_number

_seed = 0
_generator = numpy.random.default_rng(_seed)


def seed(number: int) -> None:
    """Start again from `number` (a whole number, 0 or more): the same seed gives the same weights, order and masks."""
    global _seed, _generator
    if not is_whole_number(number) or number < 0:
        raise ValueError(f"seed: expected a whole number, 0 or more, got {number!r}")
    _seed, _generator = int(number), numpy.random.default_rng(number)


def current_seed() -> int:
    """The number last given to seed(), 0 at the start."""
    return _seed


def generator() -> numpy.random.Generator:
    """The stream from which layers draw their initial weights."""
    return _generator
