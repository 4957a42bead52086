"""load_data() of every data set: Keras's shapes and types."""

import hashlib
import io

import numpy as np
import pytest
from web_server import serving

from minidl.data import CIFAR10, Digits, cifar10, download
from minidl.data.cifar10 import DataNotFoundError
from minidl.keras import datasets
from minidl.keras.datasets import mnist

ARRAYS = {
    "x_train": np.arange(6 * 28 * 28, dtype=np.uint8).reshape(6, 28, 28),
    "y_train": np.arange(6, dtype=np.uint8),
    "x_test": np.ones((2, 28, 28), np.uint8),
    "y_test": np.array([3, 4], np.uint8),
}


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def archive(monkeypatch):
    stream = io.BytesIO()
    np.savez(stream, **ARRAYS)
    monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(stream.getvalue()).hexdigest())
    return stream.getvalue()


def check_mnist(parts):
    (x_train, y_train), (x_test, y_test) = parts
    for name, array in {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}.items():
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_mnist_is_downloaded_once(archive, monkeypatch, tmp_path):
    with serving(archive) as server:
        monkeypatch.setattr(mnist, "URL", server.url)
        check_mnist(mnist.load_data())
        check_mnist(mnist.load_data())
        assert server.ranges == [None]
        check_mnist(mnist.load_data("other.npz"))
    assert {"mnist.npz", "other.npz"} <= {file.name for file in tmp_path.iterdir()}


def test_mnist_that_somebody_put_there_is_found_in_a_folder_that_cannot_be_written(archive, monkeypatch, tmp_path):
    (tmp_path / "mnist.npz").write_bytes(archive)
    monkeypatch.setattr("minidl.keras.utils.files._fetch", None)
    check_mnist(mnist.load_data())
    assert [file.name for file in tmp_path.iterdir()] == ["mnist.npz"]


def test_without_mnist_and_internet_the_error_says_what_helps(monkeypatch):
    monkeypatch.setattr(mnist, "URL", "http://127.0.0.1:9/mnist.npz")
    monkeypatch.setattr(download, "ANSWER_SECONDS", 2.0)
    with pytest.raises(DataNotFoundError, match=r"MNIST is not here: (.|\n)*MINIDL_DATA=FOLDER\n.*digits\.load_data"):
        mnist.load_data()


def test_mnist_is_that_of_keras():
    assert mnist.URL == "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
    assert mnist.SHA256 == "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def test_digits_need_no_download():
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    assert (x_train.shape, y_train.shape) == ((1437, 32, 32, 3), (1437, 1))
    assert (x_test.shape, y_test.shape) == ((360, 32, 32, 3), (360, 1))
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(y_test[:, 0], Digits("test").labels)


def test_cifar10_is_that_of_minidl(monkeypatch, tmp_path):
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", 20)
    records = np.random.default_rng(0).integers(0, 256, (6, 20, 3073)).astype(np.uint8)
    records[..., 0] %= 10
    for number, name in enumerate([*cifar10.FILES["train"], *cifar10.FILES["test"]]):
        (tmp_path / name).write_bytes(records[number].tobytes())
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == (
        (100, 32, 32, 3),
        (100, 1),
        (20, 32, 32, 3),
        (20, 1),
    )
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    train = CIFAR10("train")
    np.testing.assert_array_equal(x_train, train.images)
    np.testing.assert_array_equal(y_train[:, 0], train.labels)
