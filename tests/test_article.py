"""The article's two listings run as they stand in docs/article, here for one step on a few images."""

import runpy
from pathlib import Path

import numpy as np

import minidl.data
import minidl.training
from minidl import models
from minidl.keras import Model
from minidl.keras.datasets import cifar10

ARTICLE = Path(__file__).parents[1] / "docs" / "article"
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
LABELS = np.array([0, 3, 9, 5], np.uint8)


class FewImages:
    def __init__(self, part):
        assert part == "train"

    def arrays(self):
        return IMAGES.astype(np.float32) / 255, LABELS


def test_flux_way(monkeypatch, capsys):
    monkeypatch.setattr(minidl.data, "CIFAR10", FewImages)
    monkeypatch.setattr(minidl.training, "epochs", lambda count: range(count // 100))
    script = runpy.run_path(str(ARTICLE / "flux_way.py"))
    assert script["opt"].steps == 1
    assert repr(script["model"]) == repr(models.article_flux())
    assert "Total: " in capsys.readouterr().out


def test_keras_way(monkeypatch, capsys):
    labels = LABELS[:, np.newaxis]
    monkeypatch.setattr(cifar10, "load_data", lambda: ((IMAGES, labels), (IMAGES, labels)))
    fit = Model.fit
    monkeypatch.setattr(Model, "fit", lambda model, *given, epochs, **named: fit(model, *given, epochs=1, **named))
    script = runpy.run_path(str(ARTICLE / "keras_way.py"))
    model = script["model"]
    assert model.optimizer.iterations == 1
    assert list(model.history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    network = models.article_keras()
    assert [x.shape for x in model.weights] == [x.shape for x in network.params().values()]
    assert "Total params: 33,638,218" in capsys.readouterr().out
