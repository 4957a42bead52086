"""Where minidl keeps what it can make or fetch again."""

import os
import sys
from pathlib import Path


class NoHomeFolderError(OSError, RuntimeError):
    """The user has no home folder, and no folder was named instead."""


def cache_folder() -> Path:
    """The folder that MINIDL_CACHE_DIR names, or else the user's cache, where the operating system has it.

    It need not exist. NoHomeFolderError when the user has no home folder.
    """
    if named := os.environ.get("MINIDL_CACHE_DIR"):
        return Path(named).expanduser().absolute()
    return user_cache("MINIDL_CACHE_DIR") / "minidl"


def user_cache(instead: str) -> Path:
    """Where the operating system has the user's cache.

    NoHomeFolderError when the user has no home folder; it tells of the environment variable `instead`.
    """
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA") or _home(instead) / "AppData" / "Local"
    elif sys.platform == "darwin":
        parent = _home(instead) / "Library" / "Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME") or _home(instead) / ".cache"
    return Path(parent)


def _home(instead: str) -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise NoHomeFolderError(f"this user has no home folder, in which minidl's cache would be; let the environment "
                                f"variable {instead} name a folder") from None  # fmt: skip
