"""CIFAR-10 from small files in its format: read rightly, found in all places, fetched, and never partly or silently."""

import hashlib
import io
import subprocess
import sys
import tarfile
import threading
import time

import numpy as np
import pytest
from web_server import serving

from minidl.data import CIFAR10, cifar10, download, load_data
from minidl.data.cifar10 import DataNotFoundError

RECORDS = 20  # per file, instead of 10,000
NAMES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
FOLDER = "cifar-10-batches-bin"


def batch_bytes(number):
    """A batch file's content, different for each number: labels 0 to 9 in turn, then random pixels."""
    records = np.random.default_rng(number).integers(0, 256, (RECORDS, 3073)).astype(np.uint8)
    records[:, 0] = (np.arange(RECORDS) + number) % 10
    return records.tobytes()


def write_batches(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(batch_bytes(number))
    return folder


def archive_bytes():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for number, name in enumerate(NAMES):
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            content = batch_bytes(number)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


ARCHIVE = archive_bytes()


@pytest.fixture(autouse=True)
def _small_files_and_an_empty_machine(monkeypatch, tmp_path):
    """No network, no cache, no environment of whoever runs the tests; batch files of RECORDS records."""
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", RECORDS)
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(ARCHIVE).hexdigest())
    monkeypatch.setattr(cifar10, "URL", "http://127.0.0.1:9/cifar-10-binary.tar.gz")  # nothing answers there
    monkeypatch.setattr(download, "ANSWER_SECONDS", 2.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "home"))


@pytest.mark.parametrize(("split", "numbers"), [("train", range(5)), ("test", [5])])
def test_reads_labels_and_pixels(tmp_path, split, numbers):
    data = CIFAR10(split, write_batches(tmp_path / "d"))
    content = b"".join(batch_bytes(number) for number in numbers)
    n = RECORDS * len(numbers)
    assert len(data) == n
    assert (data.images.shape, data.images.dtype) == ((n, 32, 32, 3), np.uint8)
    assert (data.labels.shape, data.labels.dtype) == ((n,), np.uint8)
    for record, row, column, channel in [(0, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1), (n - 1, 31, 30, 2)]:
        byte = content[record * 3073 + 1 + channel * 1024 + row * 32 + column]
        assert data.images[record, row, column, channel] == byte
    assert data.labels.tolist() == list(content[::3073])
    assert data.classes[:2] == ("airplane", "automobile")
    assert len(data.classes) == 10
    images, labels = data.arrays()
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, data.images / 255, rtol=1e-6)
    np.testing.assert_array_equal(labels, data.labels, strict=True)


@pytest.mark.parametrize("inner", ["", FOLDER])
@pytest.mark.parametrize("named_by", ["data_dir", "MINIDL_DATA", "cache"])
def test_finds_the_files_where_they_may_be(tmp_path, monkeypatch, named_by, inner):
    place = tmp_path / "home" / "minidl" if named_by == "cache" else tmp_path / "place"
    write_batches(place / inner)
    if named_by == "MINIDL_DATA":
        monkeypatch.setenv("MINIDL_DATA", str(place))
    data = CIFAR10("test", place if named_by == "data_dir" else None)
    assert data.source == str(place / inner)


def test_the_first_place_that_has_them_is_taken_and_another_one_is_said(tmp_path, monkeypatch):
    first, second = tmp_path / "first", write_batches(tmp_path / "second")
    write_batches(tmp_path / "home" / "minidl")
    monkeypatch.setenv("MINIDL_DATA", str(second))
    with pytest.warns(UserWarning, match=rf"not in {first} \(data_dir\); taken from {second}"):
        assert CIFAR10("test", first).source == str(second)
    write_batches(first)
    assert CIFAR10("test", first).source == str(first)


def truncate(folder):
    (folder / "data_batch_3.bin").write_bytes(batch_bytes(2)[:-1])


def lengthen(folder):
    (folder / "data_batch_3.bin").write_bytes(batch_bytes(2) + b"\0")


def remove(folder):
    (folder / "data_batch_3.bin").unlink()


def put_a_folder(folder):
    remove(folder)
    (folder / "data_batch_3.bin").mkdir()


def put_a_wrong_label(folder):
    content = bytearray(batch_bytes(2))
    content[7 * 3073] = 10
    (folder / "data_batch_3.bin").write_bytes(content)


@pytest.mark.parametrize("name", ["cifar10", "auto"])
@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (truncate, ValueError, r"data_batch_3.bin: expected 61,460 bytes .* found 61,459"),
        (lengthen, ValueError, r"data_batch_3.bin: expected 61,460 bytes .* found 61,461"),
        (remove, FileNotFoundError, r"data_batch_3.bin: expected this file .* found only .*'data_batch_1.bin'"),
        (put_a_folder, FileNotFoundError, r"data_batch_3.bin: expected this file"),
        (put_a_wrong_label, ValueError, r"data_batch_3.bin: expected labels from 0 to 9, found 10 in record 7"),
    ],
)
def test_damaged_files_are_an_error_that_names_the_file(tmp_path, damage, error, message, name):
    damage(write_batches(tmp_path))
    with pytest.raises(error, match=message):
        load_data(name, tmp_path, say=pytest.fail)


def test_downloads_to_the_cache_and_reads_it(tmp_path, monkeypatch):
    with serving(ARCHIVE) as server:
        monkeypatch.setattr(cifar10, "URL", server.url)
        train, test = CIFAR10("train"), CIFAR10("test")
    assert (len(train), len(test)) == (5 * RECORDS, RECORDS)
    assert server.ranges == [None]  # fetched once
    cache = tmp_path / "home" / "minidl"
    assert train.source == str(cache / FOLDER)
    assert sorted(path.name for path in cache.iterdir()) == [".cifar-10.lock", FOLDER]
    assert sorted(path.name for path in (cache / FOLDER).iterdir()) == NAMES


@pytest.mark.parametrize("named_by", ["data_dir", "MINIDL_DATA"])
def test_downloads_to_the_folder_that_was_named(tmp_path, monkeypatch, named_by):
    place = tmp_path / "new" / "place"
    if named_by == "MINIDL_DATA":
        monkeypatch.setenv("MINIDL_DATA", str(place))
    with serving(ARCHIVE) as server:
        monkeypatch.setattr(cifar10, "URL", server.url)
        data = CIFAR10("test", place if named_by == "data_dir" else None)
    assert data.source == str(place / FOLDER)


def test_a_cut_download_goes_on_with_the_next_call(tmp_path, monkeypatch):
    with serving(ARCHIVE, cut_after=1000) as server:
        monkeypatch.setattr(cifar10, "URL", server.url)
        with pytest.raises(DataNotFoundError, match="broke after 1,000 of"):
            CIFAR10("test", tmp_path / "d")
        assert not (tmp_path / "d" / FOLDER).exists()
        server.cut_after = None
        assert len(CIFAR10("test", tmp_path / "d")) == RECORDS
    assert server.ranges == [None, 1000]


PROCESS = """
import sys
from minidl.data import CIFAR10, cifar10
cifar10.URL, cifar10.MD5, cifar10.RECORDS_PER_FILE = sys.argv[1], sys.argv[2], int(sys.argv[3])
print(CIFAR10("train", sys.argv[4]).images.sum())
"""


def test_processes_that_download_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    with serving(ARCHIVE) as server:
        command = [sys.executable, "-c", PROCESS, server.url, cifar10.MD5, str(RECORDS), str(tmp_path / "d")]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        sums = [process.communicate(timeout=60)[0] for process in processes]
    assert server.ranges == [None]  # the second waited and found it done
    assert sums == [f"{CIFAR10('train', tmp_path / 'd').images.sum()}\n"] * 2


@pytest.mark.parametrize("with_archive", [False, True])
def test_whoever_waited_for_another_process_takes_what_it_left(tmp_path, with_archive):
    found = []
    if with_archive:
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"not looked at any more")
    waiting = threading.Thread(target=lambda: found.append(CIFAR10("test", tmp_path)))
    with download.one_process_at_a_time(tmp_path / cifar10.LOCK):
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
        write_batches(tmp_path / FOLDER)
    waiting.join()
    assert len(found[0]) == RECORDS


def test_an_archive_put_there_by_hand_is_unpacked_and_kept(tmp_path):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(ARCHIVE)
    assert len(CIFAR10("train", tmp_path)) == 5 * RECORDS
    assert archive.read_bytes() == ARCHIVE


def test_a_broken_archive_put_there_by_hand_is_an_error_and_kept(tmp_path):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(ARCHIVE[:-5])
    with pytest.raises(ValueError, match=rf"{archive}: expected md5 .*, found .* \([\d,]+ bytes\)"):
        CIFAR10("train", tmp_path)
    assert list(tmp_path.glob("cifar*")) == [archive]


@pytest.mark.parametrize("allowed", [True, False])
def test_without_the_data_the_error_says_what_was_tried_and_what_to_do(tmp_path, monkeypatch, allowed):
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "env"))
    with pytest.raises(DataNotFoundError) as caught:
        CIFAR10("train", tmp_path / "arg", download=allowed)
    message = str(caught.value)
    for part in [
        "refused" if allowed else "downloading was not allowed",
        f"looked in {tmp_path / 'arg'} (data_dir): no such folder",
        f"looked in {tmp_path / 'env'} (MINIDL_DATA)",
        f"looked in {tmp_path / 'home' / 'minidl'} (cache)",
        f"fetch {cifar10.URL}",
        f"into {tmp_path / 'arg'}",
        "--data-dir",
        "MINIDL_DATA=",
        "--data digits",
    ]:
        assert part in message
    assert (tmp_path / "arg").exists() == allowed


@pytest.mark.parametrize("name", ["cifar-10-batches-py/data_batch_1", "data_batch_1", "cifar-10-python.tar.gz"])
def test_the_python_version_is_said_to_be_the_wrong_one(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        DataNotFoundError, match=r"only the Python version, which is pickled.*the binary version is needed"
    ):
        CIFAR10("train", tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataNotFoundError, match=r"Not a directory|cannot find the path"):
        CIFAR10("train", tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda folder: CIFAR10("valid", folder), ValueError, "'train' or 'test', got 'valid'"),
        (
            lambda folder: CIFAR10("test", folder / NAMES[0]),
            NotADirectoryError,
            "data_dir to name a folder, got the file",
        ),
        (lambda folder: load_data("mnist", folder), ValueError, "auto, cifar10, digits, got 'mnist'"),
    ],
)
def test_refuses(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(write_batches(tmp_path))


@pytest.mark.parametrize(
    ("name", "present", "said"),
    [
        ("auto", True, "Data: CIFAR10, 100 training and 20 test images from {folder}"),
        ("cifar10", True, "Data: CIFAR10, 100 training and 20 test images from {folder}"),
        ("digits", True, "Data: Digits, 1,437 training and 360 test images from the digits that come with minidl"),
        (
            "auto",
            False,
            "Data: Digits, 1,437 training and 360 test images from the digits that come with minidl, because CIFAR-10 "
            "is not here (http://127.0.0.1:9/cifar-10-binary.tar.gz cannot be reached: [Errno 111] Connection refused)",
        ),
    ],
)
def test_load_data_chooses_and_says_it_in_one_line(tmp_path, name, present, said):
    folder = tmp_path / "d"
    if present:
        write_batches(folder)
    lines = []
    train, test = load_data(name, folder, say=lines.append)
    assert (train.split, test.split) == ("train", "test")
    assert [line.replace("[Errno 61]", "[Errno 111]") for line in lines] == [said.format(folder=folder)]


def test_load_data_asked_for_cifar10_does_not_give_digits_instead(tmp_path):
    with pytest.raises(DataNotFoundError):
        load_data("cifar10", tmp_path, say=pytest.fail)
