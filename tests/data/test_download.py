"""Downloading: whatever the server does, the file is whole and right, or the error says why it is not."""

import contextlib
import gzip
import hashlib
import io
import socket
import tarfile
import threading
import time

import pytest
from web_server import serving

from minidl.data import download as module
from minidl.data.download import DownloadError, checksum_of, download, one_process_at_a_time, unpack

CONTENT = bytes(range(256)) * 4000  # more than one chunk
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "archive.part"


@pytest.mark.parametrize(
    ("already_there", "server_options", "ranges"),
    [
        (None, {}, [None]),
        (None, {"says_length": False}, [None]),
        (CONTENT[:1000], {}, [1000]),
        (CONTENT[:1000], {"says_length": False}, [1000]),
        (CONTENT[:1000], {"understands_range": False}, [1000]),
        (CONTENT, {}, []),
        (CONTENT + b"more", {}, [len(CONTENT) + 4, None]),
        (b"", {}, [None]),
    ],
    ids=[
        "nothing there",
        "nothing there, length not said",
        "part there",
        "part there, length not said",
        "part there, server sends all",
        "all there",
        "too much there",
        "empty file there",
    ],
)
def test_brings_the_whole_file(file, already_there, server_options, ranges):
    if already_there is not None:
        file.write_bytes(already_there)
    with serving(CONTENT, **server_options) as server:
        download(server.url, file, MD5)
    assert file.read_bytes() == CONTENT
    assert server.ranges == ranges


def test_a_cut_download_keeps_what_came_and_goes_on_from_there(file):
    with serving(CONTENT, cut_after=300_000) as server:
        with pytest.raises(DownloadError, match=r"broke after 300,000 of 1,024,000 bytes.*the next try goes on"):
            download(server.url, file, MD5)
        assert file.read_bytes() == CONTENT[:300_000]
        with pytest.raises(DownloadError, match="broke after 600,000 of 1,024,000 bytes"):
            download(server.url, file, MD5)
        server.cut_after = None
        download(server.url, file, MD5)
    assert server.ranges == [None, 300_000, 600_000]
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("says_length", [True, False])
def test_a_server_that_sends_more_than_there_is_is_not_listened_to(file, says_length):
    with (
        serving(b"x" * 1_000_000, says_length=says_length) as server,
        pytest.raises(DownloadError, match="gives another file: expected at most 300,000 bytes, got "),
    ):
        download(server.url, file, MD5, most=300_000)
    assert not file.exists() or file.stat().st_size <= 300_000


@pytest.mark.parametrize("already_there", [b"", b"not the beginning of it"])
def test_a_wrong_checksum_is_an_error_and_removes_the_file(file, already_there):
    file.write_bytes(already_there)
    content = CONTENT if already_there else b"<html>Log in to use this network</html>"
    with serving(content) as server, pytest.raises(DownloadError, match=f"expected md5 {MD5}, found [0-9a-f]{{32}}"):
        download(server.url, file, MD5)
    assert not file.exists()


@pytest.mark.parametrize(
    ("server_options", "message"),
    [
        ({"status": 404}, "answered 404 Not Found"),
        ({"status": 503}, "answered 503"),
        ({"range_error": 7}, "asked for the bytes from 10 on, the server sent others"),
    ],
)
def test_an_unhelpful_answer_is_an_error_and_keeps_the_part(file, server_options, message):
    file.write_bytes(CONTENT[:10])
    with serving(CONTENT, **server_options) as server, pytest.raises(DownloadError, match=message):
        download(server.url, file, MD5)
    assert file.read_bytes() == CONTENT[:10]


def never_found(*_args, **_kwargs):
    time.sleep(8)
    raise socket.gaierror("too late")


@pytest.mark.parametrize("trouble", ["refused", "accepts and never answers", "name lookup hangs"])
def test_offline_is_noticed_in_time(file, trouble, monkeypatch):
    assert module.ANSWER_SECONDS < 5
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        if trouble == "refused":
            listener.close()
        elif trouble == "name lookup hangs":
            monkeypatch.setattr(socket, "getaddrinfo", never_found)
        began = time.monotonic()
        with pytest.raises(DownloadError, match=r"cannot be reached: .*refused|no answer within 0\.3 seconds"):
            download(url, file, MD5)
        assert time.monotonic() - began < 5
    assert not file.exists()


def test_a_connection_that_stalls_is_given_up(file, monkeypatch):
    monkeypatch.setattr(module, "STALL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send_a_little():
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + CONTENT[:40])
                given_up.wait(5)

        given_up = threading.Event()
        thread = threading.Thread(target=send_a_little)
        thread.start()
        with pytest.raises(DownloadError, match=r"broke after .* of 100 bytes .*timed out"):
            download(f"http://127.0.0.1:{listener.getsockname()[1]}/", file, MD5)
        given_up.set()
        thread.join()


def make_archive(path, members):
    """members: name -> content, or a TarInfo for what is not a regular file."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_unpack_takes_out_the_named_files_and_nothing_else(tmp_path):
    members = {"set/a.bin": b"a", "set/b.bin": b"b", "set/other": b"", "../outside": b"", "/tmp/minidl-outside": b""}
    archive = make_archive(tmp_path / "archive.tar.gz", members)
    (tmp_path / ".set.unfinished").mkdir()  # of a process that was killed
    (tmp_path / ".set.unfinished" / "a.bin").write_bytes(b"half")
    unpack(archive, tmp_path / "set", ["set/a.bin", "set/b.bin"], size=1)
    assert {file.name: file.read_bytes() for file in (tmp_path / "set").iterdir()} == {"a.bin": b"a", "b.bin": b"b"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive.tar.gz", "set"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"set/a.bin": b"a"}, "set/b.bin"),
        ({"set/a.bin": b"a", "set/b.bin": link("set/b.bin", "/etc/passwd")}, "set/b.bin is not a regular file"),
        ({"set/a.bin": b"a", "set/b.bin": link("set/b.bin", "set/a.bin", tarfile.LNKTYPE)}, "not a regular file"),
        ({"set/a.bin": b"a", "set/b.bin": b"bb"}, "expected set/b.bin of 1 bytes, got 2"),
        (None, "cannot be unpacked"),
    ],
    ids=["file missing", "link", "hard link", "wrong size", "not an archive"],
)
def test_unpack_leaves_nothing_behind_when_it_fails(tmp_path, members, message):
    archive = tmp_path / "archive.tar.gz"
    if members is None:
        archive.write_bytes(b"<html>")
    else:
        make_archive(archive, members)
    with pytest.raises(ValueError, match=message):
        unpack(archive, tmp_path / "set", ["set/a.bin", "set/b.bin"], size=1)
    assert list(tmp_path.iterdir()) == [archive]


def test_unpack_notices_a_byte_that_is_another_one(tmp_path):
    """The checksum of a .gz is at its end, where nobody looks who has found what he wanted."""
    content = b"a" * 100
    archive = make_archive(tmp_path / "archive.tar.gz", {"set/a.bin": content})
    tar = bytearray(gzip.decompress(archive.read_bytes()))
    checksum = archive.read_bytes()[-8:]
    tar[tar.index(content)] = ord("b")
    archive.write_bytes(gzip.compress(bytes(tar))[:-8] + checksum)
    with pytest.raises(ValueError, match=r"archive\.tar\.gz: cannot be unpacked: CRC check failed"):
        unpack(archive, tmp_path / "set", ["set/a.bin"], size=100)
    assert list(tmp_path.iterdir()) == [archive]


def test_unpack_does_not_overwrite(tmp_path):
    archive = make_archive(tmp_path / "archive.tar.gz", {"set/a.bin": b"new"})
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.bin").write_bytes(b"old")
    with pytest.raises(FileExistsError, match="is in the way: move it"):
        unpack(archive, tmp_path / "set", ["set/a.bin"], size=1)
    assert (tmp_path / "set" / "a.bin").read_bytes() == b"old"


def test_the_lock_lets_in_one_at_a_time(tmp_path):
    inside, most = 0, 0

    def enter():
        nonlocal inside, most
        with one_process_at_a_time(tmp_path / "lock"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.03)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


@pytest.mark.parametrize("checksum", [MD5, hashlib.sha256(CONTENT).hexdigest()], ids=["md5", "sha256"])
def test_checksums_of_a_file_longer_than_a_chunk(file, checksum):
    file.write_bytes(CONTENT)
    assert checksum_of(file, like=checksum) == checksum


@pytest.mark.parametrize(
    ("checksum", "message"),
    [
        (hashlib.sha256(CONTENT).hexdigest(), None),
        ("0" * 64, "expected sha256 0{64}, found [0-9a-f]{64}"),
        (None, None),
    ],
    ids=["right sha256", "wrong sha256", "none"],
)
def test_downloads_with_another_checksum_or_none(file, checksum, message):
    with (
        serving(CONTENT) as server,
        contextlib.nullcontext() if message is None else pytest.raises(DownloadError, match=message),
    ):
        download(server.url, file, checksum)
    assert file.exists() == (message is None)
