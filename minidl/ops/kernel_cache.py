"""Compiled kernels on disk, in the user's cache, so that a processor compiles each of them once.

Numba keeps compiled functions too, but beside the source file, which may not be writable and goes when minidl is
installed anew, and it does not notice when a file that the source imports changes. So here the folder is named after
all that compiled code depends on, first of all the text of the files in minidl/ops.

In the folder, each kernel has a file for each processor and each list of argument types: a digest, and the compiled
function as Numba writes it. It is written under another name and then renamed, so that nobody reads half of one. A
process that compiles a kernel holds a lock on one more file, so that others wait for it instead of compiling the same;
the system takes the lock back when a process dies.

Reading an entry runs code, so no entry is believed. Its digest is checked first: a file that is damaged, or was written
for another kernel, is compiled anew and replaced. A folder that other users own or may write is not used at all.
"""

import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, ClassVar

try:
    import fcntl
except ImportError:  # Windows: processes that start at the same time compile the same kernels, each for itself
    fcntl = None  # type: ignore[assignment]

import llvmlite
import numba
import numpy
from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps, loads

from minidl.folders import cache_folder

NOT_COMPILED = {"op.py", "reference.py", "gpu.py", "cuda.py", "tiles.py", "column_sums.py"}
FOLDERS_KEPT = 5  # those used last: of a few environments, or of the branches that someone works on


def hash_of_sources() -> str:
    """Stands for the text of all files in minidl/ops that kernels can import."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        if file.name not in NOT_COMPILED:
            text = file.read_bytes()
            digest.update(f"{file.relative_to(folder).as_posix()} {len(text)}\n".encode() + text)
    return digest.hexdigest()


SOURCES = hash_of_sources()  # taken now: kernel files import this one before they are read themselves


@cache
def kernel_folder() -> Path:
    """The folder of these sources and these libraries. RuntimeError when the user has no home folder."""
    if numba.config.CACHE_DIR and not os.environ.get("MINIDL_CACHE_DIR"):
        parent = Path(numba.config.CACHE_DIR).absolute() / "minidl-kernels"
    else:
        parent = cache_folder() / "kernels"
    python = EXTENSION_SUFFIXES[0]  # version and binary interface, as in ".cpython-311-x86_64-linux-gnu.so"
    libraries = [numba.__version__, llvmlite.__version__, numpy.__version__, numba.config.USING_SVML, numba.config.OPT]
    return parent / _hash([SOURCES, python, *libraries])


def _hash(key: object) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:16]


class Busy(Exception):
    """Another process compiles this kernel now."""


class KernelCache(FunctionCache):
    """What Numba asks for a function before it compiles it, and hands the result to; takes the place of its own cache.

    Of FunctionCache, only the key is used: argument types, processor and its features, bytecode.
    """

    waits = True  # for another process that compiles the same kernel, instead of raising Busy
    locks: ClassVar[list[int | None]] = []  # open files of this process; several, as kernels compile what they call

    def __init__(self, function: Callable[..., Any], version: str = "") -> None:
        """`version` tells apart what one function is compiled to with other options, which are not part of the key."""
        if not function.__module__.startswith("minidl.ops."):
            raise ValueError(f"compiled: expected a function of minidl/ops, whose changes are noticed, got "
                             f"{function.__module__}.{function.__name__}")  # fmt: skip
        self._py_func = function
        self.name = f"{function.__module__.removeprefix('minidl.ops.')}.{function.__name__}{version}"

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The function compiled for these argument types; or None, and then this process has the lock of it."""
        target.refresh()  # Numba's own cache does so: the parts of Numba that the compiled code calls must be there
        compiled = self._load(signature, target)
        if compiled is None:
            self._lock(signature, target)
            compiled = self._load(signature, target)  # another process may have just saved it
            if compiled is not None:
                self.unlock()
        return compiled

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what was compiled. A folder that cannot be written is reported, once."""
        try:
            self._save(signature, compiled)
        finally:
            self.unlock()

    def unlock(self) -> None:
        """Let other processes compile what this one has tried to compile last."""
        file = self.locks.pop()
        if file is not None:
            os.close(file)

    def _load(self, signature: Any, target: Any) -> Any:
        key = self._key(signature, target.codegen())
        try:
            refuse_if_shared(kernel_folder())
            _mark_as_used()
            digest, code = _cut(self._path(key, "nbc").read_bytes())
        except (OSError, RuntimeError):  # no such file, or no folder that can be used: _save() says why
            return None
        if digest != _digest(key, code):  # damaged: compile, and write it anew
            return None
        try:
            return CompileResult._rebuild(target, *loads(code))
        except Exception:  # written by libraries that differ in more than their versions
            return None

    def _save(self, signature: Any, compiled: Any) -> None:
        if compiled.library.has_dynamic_globals:
            raise ValueError(f"compiled: {self.name} uses an address of this process, such as that of a large global "
                             f"array, which cannot be kept on disk; make it an argument")  # fmt: skip
        if hash_of_sources() != SOURCES:  # a file was edited while this process ran, so nobody knows which text this is
            return
        key = self._key(signature, compiled.codegen)
        try:
            make_folder()
            code = dumps(compiled._reduce())
            _replace(self._path(key, "nbc"), _digest(key, code) + code)
            _remove_old_folders()
        except (OSError, RuntimeError) as error:  # the latter from kernel_folder()
            _say_that_nothing_is_kept(str(error))

    def _lock(self, signature: Any, target: Any) -> None:
        key = self._key(signature, target.codegen())
        try:
            make_folder()
            file = os.open(self._path(key, "lock"), os.O_CREAT | os.O_WRONLY, 0o600)
        except (OSError, RuntimeError):  # nothing can be kept there, either
            file = None
        self.locks.append(file)
        if file is None or fcntl is None:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not self.waits and len(self.locks) == 1:  # what a kernel calls is waited for
                self.unlock()
                raise Busy(self.name) from None
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks

    def _key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        return self.name, *self._index_key(signature, codegen)

    def _path(self, key: object, kind: str) -> Path:
        return kernel_folder() / f"{self.name}-{_hash(key)}.{kind}"


def _digest(key: object, code: bytes) -> bytes:
    """Of what was compiled, and of what it was compiled from: the entry of another kernel does not fit."""
    return hashlib.sha256(repr((SOURCES, key)).encode() + code).digest()


def _cut(entry: bytes) -> tuple[bytes, bytes]:
    """Digest and compiled function."""
    size = hashlib.sha256().digest_size
    return entry[:size], entry[size:]


def _replace(path: Path, entry: bytes) -> None:
    """Write a file under another name, then rename it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(entry)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder() -> None:
    """The folder of this process's kernels, for its user alone; PermissionError where others could write into it."""
    folder = kernel_folder()
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for each in (folder.parent, folder):
        each.mkdir(mode=0o700, exist_ok=True)
    refuse_if_shared(folder)


def refuse_if_shared(folder: Path) -> None:
    """PermissionError for a folder in which another user could put code that this one would run."""
    if os.name != "posix":
        return
    for each in (folder.parent, folder):
        found = each.stat()
        if found.st_uid != os.geteuid():
            raise PermissionError(f"{each} belongs to another user, number {found.st_uid}")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"other users may write into {each}; chmod go-w takes that back")


@cache  # once a process
def _mark_as_used() -> None:
    with suppress(OSError):
        os.utime(kernel_folder())


@cache
def _remove_old_folders() -> None:
    with suppress(OSError):  # another process may be doing the same
        folders = sorted(kernel_folder().parent.iterdir(), key=os.path.getmtime)
        for folder in folders[:-FOLDERS_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def _say_that_nothing_is_kept(reason: str) -> None:
    print(f"minidl: compiled kernels cannot be kept ({reason}), so each run compiles them again; let the environment "
          f"variable MINIDL_CACHE_DIR name a folder of yours that can be written", file=sys.stderr)  # fmt: skip
