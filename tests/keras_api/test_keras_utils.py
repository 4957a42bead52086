"""to_categorical, normalize, set_random_seed and get_file."""

import hashlib
import random

import numpy as np
import pytest
from web_server import serving

import minidl
from minidl.data.download import DownloadError
from minidl.keras.utils import get_file, normalize, set_random_seed, to_categorical

CONTENT = b"what is in the file"
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("labels", "classes", "rows"),
    [
        ([0, 2, 1], None, [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        ([1], 3, [[0, 1, 0]]),
        ([[1], [0]], None, [[0, 1], [1, 0]]),
        ([[0, 1]], None, [[[1, 0], [0, 1]]]),
        (1, 2, [0, 1]),
        ([1.0, 0.0], None, [[0, 1], [1, 0]]),
        (np.array([], int), 2, np.zeros((0, 2))),
    ],
)
def test_to_categorical(labels, classes, rows):
    result = to_categorical(labels, classes)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, np.array(rows, float))


@pytest.mark.parametrize(("labels", "message"), [([0, 3], "from 0 to 2, got 0 to 3"), ([-1, 0], "got -1 to 0")])
def test_labels_outside_the_classes_are_an_error(labels, message):
    with pytest.raises(ValueError, match=message):
        to_categorical(labels, 3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0.6, 0.8], [0, 0]]),
        ({"axis": 0}, [[1, 1], [0, 0]]),
        ({"order": 1}, [[3 / 7, 4 / 7], [0, 0]]),
        ({"order": np.inf}, [[0.75, 1], [0, 0]]),
    ],
)
def test_normalize(options, expected):
    np.testing.assert_allclose(normalize([[3, 4], [0, 0]], **options), expected)
    assert normalize(np.ones((2, 2), np.float32)).dtype == np.float32


def test_one_seed_for_everything():
    drawn = []
    for _ in range(2):
        set_random_seed(7)
        drawn.append((random.random(), np.random.rand(), minidl.Dense(2, 2).weight.numpy().tolist()))
    assert drawn[0] == drawn[1]
    set_random_seed(8)
    assert random.random() != drawn[0][0]
    assert np.random.rand() != drawn[0][1]
    assert minidl.Dense(2, 2).weight.numpy().tolist() != drawn[0][2]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "7", None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="set_random_seed: expected a whole number"):
        set_random_seed(seed)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))


# arguments, where the file comes to lie
PLACES = {
    "name and place by themselves": ({}, "datasets/cifar-10-binary.tar.gz"),  # what the server's address ends with
    "named": ({"fname": "f.txt"}, "datasets/f.txt"),
    "sub-folder": ({"fname": "f.txt", "cache_subdir": "mine"}, "mine/f.txt"),
    "sha256": ({"fname": "f.txt", "file_hash": SHA256}, "datasets/f.txt"),
    "SHA256": ({"fname": "f.txt", "file_hash": SHA256.upper(), "hash_algorithm": "sha256"}, "datasets/f.txt"),
    "md5": ({"fname": "f.txt", "file_hash": MD5}, "datasets/f.txt"),
    "md5_hash": ({"fname": "f.txt", "md5_hash": MD5}, "datasets/f.txt"),
}


@pytest.mark.parametrize(("arguments", "place"), PLACES.values(), ids=PLACES)
def test_get_file_downloads_once(arguments, place, tmp_path):
    with serving(CONTENT) as server:
        for _ in range(2):
            assert get_file(origin=server.url, **arguments) == str(tmp_path / place)
        assert server.ranges == [None]
        assert (tmp_path / place).read_bytes() == CONTENT
        get_file(origin=server.url, force_download=True, **arguments)
        assert server.ranges == [None, None]


def test_get_file_has_a_folder_of_its_own(tmp_path):
    with serving(CONTENT) as server:
        path = get_file("f", server.url, cache_dir=tmp_path / "own")
    assert path == str(tmp_path / "own" / "datasets" / "f")


def test_get_file_replaces_a_file_with_another_checksum(tmp_path):
    (tmp_path / "f").write_bytes(b"an older one")
    with serving(CONTENT) as server:
        get_file("f", server.url, file_hash=SHA256, cache_subdir="")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_get_file_does_not_go_on_from_a_part_that_nothing_can_check(tmp_path):
    (tmp_path / "f.part").write_bytes(b"of another")
    with serving(CONTENT) as server:
        get_file("f", server.url, cache_subdir="")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_get_file_keeps_nothing_that_is_wrong(tmp_path):
    with serving(CONTENT) as server, pytest.raises(DownloadError, match="expected sha256 0000"):
        get_file("f", server.url, file_hash="0" * 64, cache_subdir="")
    assert [file.name for file in tmp_path.iterdir()] == [".f.lock"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"extract": True}, NotImplementedError, "extracting archives is not supported"),
        ({"untar": True}, NotImplementedError, "extracting archives is not supported"),
        ({"archive_format": "zip"}, NotImplementedError, "extracting archives is not supported"),
        ({"origin": None}, ValueError, "expected the address of the file as origin"),
        ({"origin": "http://127.0.0.1/"}, ValueError, "expected a file name"),
        ({"fname": "../f"}, ValueError, "expected a file name without folders"),
        ({"file_hash": "123"}, ValueError, "expected the hex digits of auto"),
        ({"file_hash": MD5, "hash_algorithm": "sha256"}, ValueError, "expected the hex digits of sha256"),
        ({"hash_algorithm": "crc"}, ValueError, "expected hash_algorithm"),
    ],
)
def test_wrong_arguments_of_get_file(arguments, error, message):
    with pytest.raises(error, match=message):
        get_file(**({"origin": "http://127.0.0.1:9/f"} | arguments))
