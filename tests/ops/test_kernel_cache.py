"""Entries of the kernel cache are checked before they are used; a folder that others may write is not used."""

import os
import sys

import pytest

from minidl.ops import kernel_cache
from minidl.ops.compiling import compiled


def add_one(x):
    return x + 1


def add_two(x):
    return x + 2


add_one.__module__ = add_two.__module__ = "minidl.ops.test_kernel_cache"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "kernels" / "new"
    monkeypatch.setitem(sys.modules, add_one.__module__, sys.modules[__name__])  # where Numba looks for its globals
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: path)
    kernel_cache._say_that_nothing_is_kept.cache_clear()
    return path


def loaded(function=add_one):
    """Whether the kernel was found in the cache; its number is right in any case."""
    kernel = compiled(function)
    assert kernel(1) == function(1)
    return bool(kernel._cache_hits)


def entry(folder, function=add_one):
    (path,) = folder.glob(f"*.{function.__name__}-*.nbc")
    return path


DAMAGE = {
    "empty": lambda data: b"",
    "shorter than a digest": lambda data: data[:10],
    "truncated": lambda data: data[:-1],
    "extended": lambda data: data + b"\0",
    "a bit of the digest": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "a bit of the code": lambda data: data[:500] + bytes([data[500] ^ 1]) + data[501:],
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_compiled_anew_and_replaced(folder, damage):
    assert [loaded(), loaded()] == [False, True]
    path = entry(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert [loaded(), loaded()] == [False, True]


def test_the_entry_of_another_kernel_is_not_taken(folder):
    loaded(add_one)
    loaded(add_two)
    entry(folder, add_two).write_bytes(entry(folder, add_one).read_bytes())
    assert [loaded(add_two), loaded(add_two)] == [False, True]


def test_nothing_is_left_beside_entries_and_locks(folder):
    loaded()
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".nbc"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
@pytest.mark.parametrize("which", ["folder", "its parent"])
def test_a_folder_that_others_may_write_is_not_used(folder, capsys, mode, which):
    loaded()
    shared = folder if which == "folder" else folder.parent
    shared.chmod(mode)
    capsys.readouterr()
    assert [loaded(), loaded()] == [False, False]
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot be kept" in line]
    assert len(lines) == 1
    assert f"other users may write into {shared}" in lines[0]
    shared.chmod(0o700)
    assert loaded()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_of_another_user_is_not_used(folder, capsys, monkeypatch):
    loaded()
    us = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: us + 1)
    assert [loaded(), loaded()] == [False, False]
    assert f"{folder.parent} belongs to another user, number {us}" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_folders_are_made_for_their_user_alone(folder):
    before = os.umask(0o002)  # as many systems have it
    try:
        assert [loaded(), loaded()] == [False, True]
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o700}


def test_an_entry_that_cannot_be_read_does_not_stop_anything(folder):
    loaded()
    path = entry(folder)
    path.unlink()
    path.mkdir()
    assert not loaded()
