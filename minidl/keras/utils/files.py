"""get_file: a download that is kept."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path

from minidl.data.cifar10 import cache_folder
from minidl.data.download import checksum_of, download, one_process_at_a_time


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of the file at the address `origin`, which is downloaded unless it is there already.

    fname           its name here; the last part of `origin` if there is none
    file_hash       the hex digits of its MD5 or SHA-256: a file that is there with another one is fetched anew
    cache_dir       the folder of downloads: that of the environment variable MINIDL_DATA, or else the user's cache
    cache_subdir    the folder in it

    DownloadError if it cannot be fetched or is wrong; NotImplementedError for untar and extract.
    """
    if untar or extract or archive_format != "auto":
        raise NotImplementedError("get_file: extracting archives is not supported; unpack the file with tarfile or "
                                  "zipfile")  # fmt: skip
    if not origin:
        raise ValueError("get_file: expected the address of the file as origin, got none")
    name = os.fspath(fname) if fname else Path(urllib.parse.urlsplit(origin).path).name
    if not name or Path(name).name != name:
        raise ValueError(f"get_file: expected a file name without folders as fname, got {name!r}; see cache_dir")
    checksum = _checksum(file_hash or md5_hash, "md5" if md5_hash and not file_hash else hash_algorithm)
    folder = Path(cache_dir or os.environ.get("MINIDL_DATA") or cache_folder()).expanduser() / cache_subdir
    file = folder / name
    if force_download or not _is_whole(file, checksum):
        folder.mkdir(parents=True, exist_ok=True)
        with one_process_at_a_time(folder / f".{name}.lock"):
            if force_download or not _is_whole(file, checksum):  # else another process has just done it
                _fetch(origin, file, checksum)
    return str(file)


def _fetch(origin: str, file: Path, checksum: str | None) -> None:
    part = file.with_name(f"{file.name}.part")
    if checksum is None:  # nothing would tell that the part is of another file
        part.unlink(missing_ok=True)
    download(origin, part, checksum)
    part.replace(file)


def _checksum(digits: str | None, algorithm: str) -> str | None:
    lengths = {"auto": (32, 64), "md5": (32,), "sha256": (64,)}
    if algorithm not in lengths:
        raise ValueError(f"get_file: expected hash_algorithm 'auto', 'md5' or 'sha256', got {algorithm!r}")
    if digits is not None and len(digits) not in lengths[algorithm]:
        raise ValueError(f"get_file: expected the hex digits of {algorithm} as file_hash, got {digits!r}")
    return digits and digits.lower()


def _is_whole(file: Path, checksum: str | None) -> bool:
    return file.is_file() and (checksum is None or checksum_of(file, like=checksum) == checksum)
