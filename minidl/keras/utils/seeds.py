"""One seed for all that is random."""

import random

import numpy as np

import minidl.randomness
from minidl.keras.layers.layer import restart_steps
from minidl.whole_numbers import is_whole_number


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's older functions (np.random.rand ...) and minidl.

    ValueError for anything but a whole number from 0 to 2**32 - 1.
    """
    if not is_whole_number(seed) or not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed: expected a whole number from 0 to 2**32 - 1, got {seed!r}")
    random.seed(int(seed))
    np.random.seed(seed)
    minidl.randomness.seed(seed)
    restart_steps()
