"""What a file must hold, said in Python: dicts of names, lists, and small functions for what stands inside of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Rule = Callable[[Any], bool]
Schema = Any  # a Rule; [Schema] for a list of such; {"name": Schema} for a dict, "name?" where it may be missing


def check(value: Any, schema: Schema, at: str = "") -> None:
    """ValueError, which says where, unless `value` is as `schema` says. A dict has no other names than its schema."""
    if callable(schema):
        if not schema(value):
            raise ValueError(f"expected {(schema.__doc__ or '').lower().rstrip('.')} as {at}, got {_short(value)}")
    elif isinstance(schema, list):
        if not isinstance(value, list):
            raise ValueError(f"expected a list as {at or 'a whole'}, got {_short(value)}")
        for k, item in enumerate(value):
            check(item, schema[0], f"{at}[{k}]")
    else:
        _check_names(value, schema, at)
        for name, inner in schema.items():
            if name.rstrip("?") in value:
                check(value[name.rstrip("?")], inner, f"{at}.{name.rstrip('?')}".lstrip("."))


def _check_names(value: Any, schema: dict[str, Schema], at: str) -> None:
    where = f" in {at}" if at else ""
    if not isinstance(value, dict):
        raise ValueError(f"expected names and values{where}, got {_short(value)}")
    missing = [name for name in schema if not name.endswith("?") and name not in value]
    unknown = [name for name in value if name not in schema and f"{name}?" not in schema]
    if missing or unknown:
        found = f"{_short(missing[0])} is missing" if missing else f"{_short(unknown[0])} is unknown"
        raise ValueError(f"expected {', '.join(name.rstrip('?') for name in schema)}{where}, but {found}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def text(value: Any) -> bool:
    """A text."""
    return isinstance(value, str)


def anything(value: Any) -> bool:
    """Anything."""
    return True


def whole(value: Any) -> bool:
    """A whole number of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def number(value: Any) -> bool:
    """A finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def positive(value: Any) -> bool:
    """A finite number of at least 0."""
    return number(value) and value >= 0


def share(value: Any) -> bool:
    """A number from 0 to 1."""
    return number(value) and 0 <= value <= 1


def number_or_null(value: Any) -> bool:
    """A finite number or null."""
    return value is None or number(value)


def share_or_null(value: Any) -> bool:
    """A number from 0 to 1, or null."""
    return value is None or share(value)
