"""One process at a time owns a run folder: the one that trains.

    .lock     locked by the owner for as long as it lives; the system releases it, however the process ends
    .owner    who that is, for those who find the folder in use

Both are gone when the owner is done. Readers need no lock: every file of a run is written beside and renamed.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from minidl.training.checkpoint import identity, replace_file

LOCK, OWNER = ".lock", ".owner"


class InUseError(OSError):
    """Another process trains in this run folder."""


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Inside this block, the folder is ours alone; it is made where there is none, and removed if it stays empty.

    InUseError, which names the owner, when another process has it; OSError when it cannot be written.
    """
    made = not folder.exists()
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InUseError(f"{folder} is in use: {owner_of(folder)} trains there") from None
    except OSError as error:
        raise PermissionError(
            f"{folder}: cannot be written, so nothing can be trained there: {error.strerror}"
        ) from error
    ours = identity(folder)
    try:
        replace_file(folder / OWNER, lambda temporary: temporary.write_text(_ourselves(), encoding="utf-8"))
        yield
    finally:
        for name in (OWNER, LOCK):  # while we have the lock; whoever has opened the file meanwhile tries again
            with suppress(OSError):
                if identity(folder) == ours:
                    (folder / name).unlink()
        lock.release()
        if made:
            with suppress(OSError):  # which it is if there are files in it
                folder.rmdir()


def refuse_if_in_use(folder: Path) -> None:
    """InUseError when another process trains there."""
    if (folder / LOCK).exists():
        with suppress(PermissionError), owned(folder):
            pass


def owner_of(folder: Path) -> str:
    """Who has said last that the folder is in use, in words."""
    try:
        owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        return f"process {owner['process']:d} on {owner['host']}, since {owner['since']},"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"


def remove_leftovers(folder: Path, names: tuple[str, ...]) -> None:
    """Remove what processes that were killed have left half written of these files. For the owner alone.

    safetensors writes under a name of its own making, .tmp and six letters, before it gives a file the name it is told.
    """
    ours = "|".join(map(re.escape, (*names, OWNER)))
    unfinished = re.compile(rf"\.({ours})\.\d+|\.tmp[0-9A-Za-z]{{6}}")
    for path in folder.iterdir():
        if unfinished.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _ourselves() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return json.dumps({"process": os.getpid(), "host": platform.node(), "since": since})
