"""Sizes, counts, axes and seeds: Python's and NumPy's whole numbers are meant, True and 2.0 never."""

import numbers
from typing import TypeGuard


def is_whole_number(value: object) -> TypeGuard[int]:
    """Whether it is one of Python's or NumPy's integers."""
    return type(value) is int or (isinstance(value, numbers.Integral) and not isinstance(value, bool))


def whole_number(owner: str, name: str, value: object, least: int | None = None) -> int:
    """`value` as a Python int; ValueError that names `owner` and the argument unless it is whole, `least` or more."""
    if not is_whole_number(value):
        raise ValueError(f"{owner}: expected {name} to be a whole number, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{owner}: expected {name} of at least {least}, got {value!r}")
    return int(value)
