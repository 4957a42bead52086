"""CIFAR-10: 60,000 colour photographs of 32 x 32 pixels in ten classes, read from the official binary version.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009), https://www.cs.toronto.edu/~kriz/cifar.html

A batch file is 10,000 records of 3,073 bytes: the label, then 1,024 red, 1,024 green and 1,024 blue pixels, each row by
row from the top. The better-known "Python version" is a pickle, and loading a pickle can run any code that its maker
put inside; so minidl does not read it.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minidl.data.download import checksum_of, download, one_process_at_a_time, unpack
from minidl.data.image_dataset import ImageDataset, check_split
from minidl.folders import NoHomeFolderError, user_cache

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
ARCHIVE_BYTES = 170_052_171
ARCHIVE = "cifar-10-binary.tar.gz"
LOCK = ".cifar-10.lock"
SUBFOLDER = "cifar-10-batches-bin"
FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

RECORDS_PER_FILE = 10_000
PIXELS = 3 * 32 * 32
RECORD_BYTES = 1 + PIXELS


class DataNotFoundError(FileNotFoundError):
    """The data set is not on this machine and was not downloaded; `reason` says in a few words why."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CIFAR10(ImageDataset):
    """CIFAR-10's 50,000 training or 10,000 test images: images (n, 32, 32, 3) uint8, labels (n,) uint8.

    Looks in `data_dir`, in the folder that the environment variable MINIDL_DATA names, and in the user's cache; each
    may hold the .bin files, a sub-folder cifar-10-batches-bin with them, or the archive cifar-10-binary.tar.gz.
    If none does, it downloads the archive (170 MB) to the first of these that is named.

    DataNotFoundError if it is nowhere and cannot be downloaded; ValueError or FileNotFoundError, with what was
    expected and what was found, if a file is missing from the folder, cut short or foreign.
    """

    def __init__(self, split: str, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> None:
        check_split("CIFAR10", split)
        folder = _find(data_dir) or _download(data_dir, download)
        files = [folder / name for name in FILES[split]]
        for file in files:
            _check_size(file)
        images = np.empty((len(files), RECORDS_PER_FILE, 32, 32, 3), np.uint8)
        labels = np.empty((len(files), RECORDS_PER_FILE), np.uint8)
        for i, file in enumerate(files):
            images[i], labels[i] = _read(file)
        super().__init__(split, images.reshape(-1, 32, 32, 3), labels.reshape(-1), CLASSES, str(folder))


def _check_size(file: Path) -> None:
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: expected this file of CIFAR-10's binary version, found only "
            f"{sorted(other.name for other in file.parent.iterdir())}. Unpack {ARCHIVE} again."
        )
    expected, found = RECORDS_PER_FILE * RECORD_BYTES, file.stat().st_size
    if found != expected:
        raise ValueError(
            f"{file}: expected {expected:,} bytes ({RECORDS_PER_FILE:,} records of {RECORD_BYTES:,}), "
            f"found {found:,}. The file is cut short or not of CIFAR-10; unpack {ARCHIVE} again."
        )


def _read(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images (n, 32, 32, 3), a view, and labels (n,) of one batch file."""
    records = np.fromfile(file, np.uint8, RECORDS_PER_FILE * RECORD_BYTES).reshape(RECORDS_PER_FILE, RECORD_BYTES)
    labels = records[:, 0]
    if labels.max() >= len(CLASSES):
        first = int(np.argmax(labels >= len(CLASSES)))
        raise ValueError(
            f"{file}: expected labels from 0 to 9, found {labels[first]} in record {first:,}. "
            f"The file is damaged or not of CIFAR-10; unpack {ARCHIVE} again."
        )
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def cache_folder() -> Path:
    """Where downloads go if no folder is named: the place the operating system has for such files."""
    return user_cache("MINIDL_DATA") / "minidl"


def _places(data_dir: str | os.PathLike[str] | None) -> dict[Path, str]:
    """The folders to look in, first to last, and who named each."""
    named = [(data_dir, "data_dir"), (os.environ.get("MINIDL_DATA"), "MINIDL_DATA")]
    try:
        named.append((cache_folder(), "cache"))
    except NoHomeFolderError as error:
        if not any(folder for folder, _ in named):
            raise DataNotFoundError(f"CIFAR-10 is not here: {error}", str(error)) from None
    places: dict[Path, str] = {}
    for folder, by in named:
        if folder:
            path = Path(folder).expanduser().absolute()
            if path.is_file():
                raise NotADirectoryError(f"CIFAR10: expected {by} to name a folder, got the file {path}.")
            places.setdefault(path, by)
    return places


def _find(data_dir: str | os.PathLike[str] | None) -> Path | None:
    """The folder with the .bin files, after unpacking them if only the archive is there."""
    places = _places(data_dir)
    first = next(iter(places))
    for place in places:
        archive = place / ARCHIVE
        if archive.is_file() and not _folder_with_batches(place):
            with one_process_at_a_time(place / LOCK):
                if not _folder_with_batches(place):  # else another process has just done it
                    _check_archive(archive)
                    _unpack(archive)
        if folder := _folder_with_batches(place):
            if place != first:
                warnings.warn(f"CIFAR10: not in {first} ({places[first]}); taken from {folder}", stacklevel=3)
            return folder
    return None


def _folder_with_batches(place: Path) -> Path | None:
    """`place` or its sub-folder if it has any batch file; whether it has all of them is checked on reading."""
    for folder in (place, place / SUBFOLDER):
        if any((folder / name).exists() for name in (*FILES["train"], *FILES["test"])):
            return folder
    return None


def _check_archive(archive: Path) -> None:
    size = archive.stat().st_size
    found = checksum_of(archive, like=MD5) if size <= ARCHIVE_BYTES else "a larger file"
    if found != MD5:
        raise ValueError(
            f"{archive}: expected md5 {MD5}, found {found} ({size:,} bytes). The file is cut "
            f"short or not the one of {URL}; fetch it again."
        )


def _unpack(archive: Path) -> None:
    folder = archive.parent / SUBFOLDER
    members = [f"{SUBFOLDER}/{name}" for name in (*FILES["train"], *FILES["test"])]
    unpack(archive, folder, members, RECORDS_PER_FILE * RECORD_BYTES)


def _download(data_dir: str | os.PathLike[str] | None, allowed: bool) -> Path:
    places = _places(data_dir)
    searched = "".join(f"\n  looked in {place} ({by}): {_content(place)}" for place, by in places.items())
    target = next(iter(places))
    if not allowed:
        raise _not_found("downloading was not allowed", searched, target)
    part = target / f"{ARCHIVE}.part"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with one_process_at_a_time(target / LOCK):
            if not _folder_with_batches(target):  # else another process has just done it
                download(URL, part, MD5, ARCHIVE_BYTES)
                _unpack(part)
                part.unlink()
    except OSError as error:
        raise _not_found(str(error), searched, target) from error
    return target / SUBFOLDER


def _not_found(reason: str, searched: str, target: Path) -> DataNotFoundError:
    return DataNotFoundError(
        f"CIFAR-10 is not here: {reason}.{searched}\n"
        f"One of these helps:\n"
        f"  fetch {URL} on any machine and put it, as it is, into {target}\n"
        f"  name a folder that has {ARCHIVE} or its unpacked files: --data-dir FOLDER, or MINIDL_DATA=FOLDER\n"
        f"  use the digits that come with minidl: --data digits",
        reason,
    )


def _content(place: Path) -> str:
    if not place.is_dir():
        return "no such folder"
    python_version = ("cifar-10-batches-py", "cifar-10-python.tar.gz", "data_batch_1")
    if any((place / name).exists() for name in python_version):
        return "only the Python version, which is pickled: loading it could run any code; the binary version is needed"
    return f"no {ARCHIVE}, no {SUBFOLDER}, no .bin files"
