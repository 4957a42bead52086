"""Whatever is wrong with the data or a file: a clear error, and the network is what it was before."""

import numpy as np
import pytest

import minidl
from minidl import BatchNorm, Chain, Conv, Dense, flatten, relu
from minidl.data import DataLoader, onehotbatch
from minidl.losses import crossentropy, logitcrossentropy
from minidl.metrics import accuracy
from minidl.optimisers import Adam, Momentum
from minidl.training import evaluate, fit, load_checkpoint, save_checkpoint, train
from minidl.training.diagnosis import NotFiniteError

IMAGES = np.random.default_rng(0).random((8, 6, 6, 2), np.float32)
LABELS = np.arange(8) % 3
TARGETS = onehotbatch(LABELS, range(3))
WITH_NAN = np.where(np.arange(8)[:, None, None, None] == 1, np.float32(np.nan), IMAGES)


def network():
    minidl.seed(0)
    return Chain(Conv((3, 3), (2, 4)), BatchNorm(4, relu), flatten, Dense(64, 3))


def trained(images, targets, loss=logitcrossentropy):
    return lambda model, folder: fit(model, loss, DataLoader((images, targets), batchsize=4), Momentum(0.1), 1)


def passed(images, targets):
    data = [(images, targets)]
    return lambda model, folder: train(lambda x, y: logitcrossentropy(model(x), y), model.params(), data, Momentum(0.1))


def loaded(prepare, optimiser=None):
    def run(model, folder):
        path = folder / "checkpoint.safetensors"
        prepare(path)
        load_checkpoint(path, model, optimiser)

    return run


def cut_off(path):
    save_checkpoint(path, network())
    path.write_bytes(path.read_bytes()[:500])


def of_another_network(path):
    save_checkpoint(path, Chain(Dense(64, 3)))


def of_another_size(path):
    save_checkpoint(path, Chain(Conv((3, 3), (2, 4)), BatchNorm(4, relu), flatten, Dense(64, 5)))


def of_another_optimiser(path):
    save_checkpoint(path, network(), Adam())


BAD = {
    "image shape": (trained(IMAGES[:, :5], TARGETS), ValueError, r"dense: expected x \(n, 64\), got"),
    "image channels": (trained(IMAGES[..., :1], TARGETS), ValueError, r"expected images \(n, h, w, 2\), got"),
    "one image": (passed(IMAGES[0], TARGETS[0]), ValueError, r"expected images \(n, h, w, 2\), got \(6, 6, 2\)"),
    "bytes": (trained((IMAGES * 255).astype(np.uint8), TARGETS), TypeError, "float32"),
    "float64": (trained(IMAGES.astype(np.float64), TARGETS), TypeError, "float32"),
    "words": (trained(np.full((8, 6, 6, 2), "a"), TARGETS), TypeError, "expected"),
    "labels for rows": (trained(IMAGES, LABELS), ValueError, r"turn labels into rows with onehotbatch\(\)"),
    "classes": (trained(IMAGES, TARGETS[:, :2]), ValueError, "of one shape, got"),
    "label out of range": (lambda *_: onehotbatch([0, 3], range(3)), ValueError, "3"),
    "lengths": (trained(IMAGES, TARGETS[:5]), ValueError, "8.*5|5.*8"),
    "no samples": (trained(IMAGES[:0], TARGETS[:0]), ValueError, "no|empty|at least one"),
    "nan in images": (trained(WITH_NAN, TARGETS), NotFiniteError, "step"),
    "nan in images, train": (passed(WITH_NAN, TARGETS), NotFiniteError, "batch 1 is nan"),
    "nan in targets": (trained(IMAGES, TARGETS * np.nan), NotFiniteError, "step"),
    "batch of one value": (passed(IMAGES[:1, :3, :3], TARGETS[:1]), ValueError, "at least two values per channel"),
    "nothing to evaluate": (lambda model, _: evaluate(model, crossentropy, []), ValueError, "at least one batch"),
    "nothing to measure": (lambda *_: accuracy(TARGETS[:0], TARGETS[:0]), ValueError, "at least one row"),
    "missing file": (loaded(lambda path: None), FileNotFoundError, "no checkpoint there"),
    "empty file": (loaded(lambda path: path.write_bytes(b"")), ValueError, "damaged or foreign"),
    "text for a file": (loaded(lambda path: path.write_text("hello")), ValueError, "damaged or foreign"),
    "file cut off": (loaded(cut_off), ValueError, "damaged or foreign"),
    "another network's": (loaded(of_another_network), ValueError, "another network: .* is missing"),
    "another size": (loaded(of_another_size), ValueError, r"layers.3.weight is \(64, 5\) float32, expected \(64, 3\)"),
    "another optimiser's": (loaded(of_another_optimiser, Momentum()), ValueError, "Momentum, got Adam"),
}


@pytest.mark.parametrize(("run", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_and_nothing_is_lost(run, error, message, tmp_path):
    model = network()
    before = {name: x.numpy().copy() for name, x in model.tensors().items()}
    with pytest.raises(error, match=message):
        run(model, tmp_path)
    for name, x in model.tensors().items():
        if name not in ("layers.1.mean", "layers.1.variance"):
            np.testing.assert_array_equal(x.numpy(), before[name], err_msg=name)
        assert np.isfinite(x.numpy()).all()
