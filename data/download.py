"""Fetch an archive over HTTP and unpack it, so that a half-done file or folder is never taken for a whole one.

A download that was cut goes on where it stopped. Every step ends with a check (number of bytes, then checksum) and
only then gives the result its final name.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import queue
import re
import shutil
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

ANSWER_SECONDS = 4.0  # for the whole way to the server's first answer, name lookup included; then we call it offline
STALL_SECONDS = 30.0  # without a single byte, once the server has answered
CHUNK_BYTES = 1 << 18
SHA256_DIGITS = 64
BESIDE_MEMBERS = 1 << 20  # bytes of an archive that are not of the wanted files: headers, padding, small other files


class DownloadError(OSError):
    """The file could not be fetched; the message says why."""


def download(url: str, file: Path, checksum: str | None, most: int | None = None) -> None:
    """Fetch `url` into `file`, going on from the bytes that are already there, and check the sum.

    `checksum` is the hex digits of an MD5 or, if there are 64, a SHA-256; with None only the length is checked. `most`
    is how many bytes the file has at most; what a server sends beyond them is not taken.
    DownloadError if there is no answer within ANSWER_SECONDS, if the connection breaks (the bytes so far are kept,
    for the next call) or if the checksum is wrong (the file is removed).
    """
    if checksum is None:
        _transfer(url, file, most)
        return
    if file.exists() and checksum_of(file, like=checksum) == checksum:
        return
    _transfer(url, file, most)
    found = checksum_of(file, like=checksum)
    if found != checksum:
        size = file.stat().st_size
        file.unlink()
        kind = "sha256" if len(checksum) == SHA256_DIGITS else "md5"
        raise DownloadError(f"{url} gave a wrong file of {size:,} bytes: expected {kind} {checksum}, found {found}. "
                            f"It was removed; try again.")  # fmt: skip


def checksum_of(file: Path, like: str) -> str:
    """The checksum of a file, of the kind that `like` is."""
    digest = hashlib.sha256() if len(like) == SHA256_DIGITS else hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _transfer(url: str, file: Path, most: int | None) -> None:
    """Append to `file` what is missing from it, or write it anew if the server cannot send only that."""
    have = file.stat().st_size if file.exists() else 0
    response = _open(url, first_byte=have)
    if response is None:  # the file has more bytes than the server's
        have = 0
        response = _open(url, first_byte=0)
        assert response is not None
    with response:
        if response.status != http.client.PARTIAL_CONTENT:  # the server ignored our Range and sends it all
            have = 0
        remaining = response.headers.get("Content-Length")
        total = have + int(remaining) if remaining is not None else None
        _check_size(url, total or 0, most)
        reason = ""
        try:
            with file.open("ab" if have else "wb") as target, _progress() as progress:
                progress.print(f"Downloading {url} to {file.parent}", soft_wrap=True)
                task = progress.add_task("", total=total, completed=have)
                for chunk in _chunks(response):
                    _check_size(url, target.tell() + len(chunk), most)
                    target.write(chunk)
                    progress.advance(task, len(chunk))
        except ConnectionError as error:
            reason = f" ({error})"
    arrived = file.stat().st_size
    if reason or (total is not None and arrived < total):
        of_total = f" of {total:,}" if total is not None else ""
        raise DownloadError(
            f"the connection to {url} broke after {arrived:,}{of_total} bytes{reason}; they are kept, "
            "and the next try goes on from there"
        )


def _check_size(url: str, size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise DownloadError(f"{url} gives another file: expected at most {most:,} bytes, got {size:,} or more")


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What the server sends; ConnectionError if it breaks, so that a full disk is not mistaken for that."""
    try:
        while chunk := response.read(CHUNK_BYTES):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(str(error)) from error


def _open(url: str, first_byte: int) -> http.client.HTTPResponse | None:
    """The server's answer, or None if it has no bytes from `first_byte` on."""
    request = urllib.request.Request(url, headers={"User-Agent": "minidl"})
    if first_byte:
        request.add_header("Range", f"bytes={first_byte}-")
    try:
        response = _answer_in_time(request)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and first_byte:
            return None
        raise DownloadError(f"{url} answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"{url} cannot be reached: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} cannot be reached: {error}") from error
    if response.status == http.client.PARTIAL_CONTENT:
        sent = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if sent is None or int(sent[1]) != first_byte:
            raise DownloadError(f"{url}: asked for the bytes from {first_byte:,} on, the server sent others")
    return response


def _answer_in_time(request: urllib.request.Request) -> http.client.HTTPResponse:
    """urlopen, but bounded as a whole: its own timeout leaves out the name lookup and counts anew for each address."""
    answers: queue.Queue[http.client.HTTPResponse | Exception] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=STALL_SECONDS))
        except Exception as error:  # of whatever kind: it is raised below, in the thread that asked
            answers.put(error)

    threading.Thread(target=ask, name="minidl-download", daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise DownloadError(f"{request.full_url} gave no answer within {ANSWER_SECONDS:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _progress() -> Progress:
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


class _Limited:
    """A stream of at most `most` bytes; tarfile.TarError for whoever asks for more, before they are read.

    An archive of a few kilobytes can unpack to terabytes, and a header in it can ask for all the memory there is.
    """

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self._stream, self._most = stream, most

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, place: int) -> int:
        self._check(place)
        return self._stream.seek(place)

    def read(self, size: int) -> bytes:
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def finish(self) -> None:
        """Read what is left: at the end of a .gz there is the checksum of all of it."""
        while self._stream.read(CHUNK_BYTES):
            self._check(self._stream.tell())

    def _check(self, end: int) -> None:
        if end > self._most:
            raise tarfile.TarError(f"it unpacks to more than the {self._most:,} bytes that were expected")


def unpack(archive: Path, folder: Path, members: Sequence[str], size: int) -> None:
    """Take the named files out of a .tar.gz into the new `folder`, which appears with all of them or not at all.

    A member "a/b.bin" becomes folder/b.bin, and has to have `size` bytes. Nothing else in the archive is touched, so
    no path and no link in it can lead outside. ValueError for one that is damaged, or unpacks to much more.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} is in the way: move it, so that {archive.name} can be unpacked there")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir()
    try:
        with gzip.open(archive, "rb") as stream:
            limited = _Limited(stream, len(members) * size + BESIDE_MEMBERS)
            with tarfile.open(fileobj=cast(BinaryIO, limited), mode="r:") as tar:
                for name in members:
                    _extract(tar, name, size, unfinished / Path(name).name)
            limited.finish()
        os.replace(unfinished, folder)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{archive}: cannot be unpacked: {error}. Remove it and try again.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _extract(tar: tarfile.TarFile, name: str, size: int, target: Path) -> None:
    member = tar.getmember(name)
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None:
        raise tarfile.TarError(f"{name} is not a regular file")
    if member.size != size:
        raise tarfile.TarError(f"expected {name} of {size:,} bytes, got {member.size:,}")
    with stream, target.open("xb") as output:
        shutil.copyfileobj(stream, output)


@contextlib.contextmanager
def one_process_at_a_time(lock_file: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same file. The system frees the lock of a process that dies."""
    with lock_file.open("ab") as file:
        if not _try_lock(file.fileno()):
            Console(stderr=True).print(f"Waiting for another process that is downloading to {lock_file.parent}")
            while not _try_lock(file.fileno()):
                time.sleep(0.1)
        yield  # closing the file frees the lock


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
