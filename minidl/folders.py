"""Where minidl keeps what it can make or fetch again."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder that MINIDL_CACHE_DIR names, or else the user's cache, where the operating system has it.

    It need not exist. RuntimeError when the user has no home folder.
    """
    if named := os.environ.get("MINIDL_CACHE_DIR"):
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        parent = Path.home() / "Library" / "Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(parent) / "minidl"
