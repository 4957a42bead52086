"""A layer of a class of the user's computes something else than minidl's: no file says that it does not."""

import numpy as np
import pytest

from minidl import (
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    GlobalMeanPool,
    GroupNorm,
    LayerNorm,
    Parallel,
    SkipConnection,
    flatten,
    relu,
)
from minidl.functions import add
from minidl.interchange import (
    export_onnx,
    load_keras_weights,
    load_torchvision,
    save_keras_weights,
    save_torchvision,
)
from minidl.interchange.keras_weights import CLASSES
from minidl.interchange.onnx_layers import LAYERS


def conv():
    return Conv((3, 3), (4, 4), pad=1)


MAKERS = {
    Conv: conv,
    ConvTranspose: lambda: ConvTranspose((3, 3), (4, 4), pad=1),
    Dense: lambda: Chain(GlobalMeanPool(), flatten, Dense(4, 4)),
    BatchNorm: lambda: BatchNorm(4),
    GroupNorm: lambda: GroupNorm(4, 2),
    LayerNorm: lambda: LayerNorm(4),
    Chain: lambda: Chain(conv(), relu),
    SkipConnection: lambda: SkipConnection(Chain(conv()), add),
    Parallel: lambda: Parallel(add, Chain(conv(), conv()), Chain(conv())),
}


def model_with(kind, **members):
    """A network in which the layer of class `kind` is one of a subclass."""
    made = MAKERS[kind]()
    layer = made[-1] if kind is Dense else made
    layer.__class__ = type("Mine", (kind,), members)
    return Chain(conv(), made)


def halve(kind):
    return {"__call__": lambda self, x: kind.__call__(self, x) * 0.5}


@pytest.mark.parametrize("kind", [Conv, Dense, BatchNorm, Chain, SkipConnection, Parallel])
def test_torchvisions_names_are_for_its_layers(tmp_path, kind):
    for outer in (model_with(kind, **halve(kind)), Chain(Chain(model_with(kind, **halve(kind))))):
        with pytest.raises(ValueError, match=r"torchvision: .*Mine"):
            save_torchvision(tmp_path / "model", outer, (1, 4, 4, 4))
        with pytest.raises(ValueError, match=r"torchvision: .*Mine"):
            load_torchvision(tmp_path / "model", outer, (1, 4, 4, 4))
    save_torchvision(tmp_path / "model", model_with(kind, __init__=lambda self: None), (1, 4, 4, 4))


@pytest.mark.parametrize("kind", [*CLASSES, Chain])
def test_kerass_names_are_for_its_layers(tmp_path, kind):
    for outer in (model_with(kind, **halve(kind)), Chain(Chain(model_with(kind, **halve(kind))))):
        with pytest.raises(ValueError, match="Keras's Sequential has no counterpart of Mine"):
            save_keras_weights(tmp_path / "model.weights.h5", outer)
        with pytest.raises(ValueError, match="Keras's Sequential has no counterpart of Mine"):
            load_keras_weights(tmp_path / "model.weights.h5", outer)


@pytest.mark.parametrize("kind", LAYERS)
def test_onnx_is_for_what_is_known_exactly(tmp_path, kind):
    pytest.importorskip("onnx")
    mine = type("Mine", (kind,), halve(kind) | {"code": lambda self: "Mine()"})
    layer = mine.__new__(mine)  # nobody looks at its weights
    with pytest.raises(NotImplementedError, match=r"export_onnx: Mine\(\) has no form in ONNX here"):
        export_onnx(tmp_path / "model.onnx", Chain(layer), (1, 4, 4, 4))


@pytest.mark.parametrize("kind", [Conv, ConvTranspose, Dense, BatchNorm, Chain, SkipConnection, Parallel])
def test_a_class_that_is_only_made_otherwise_is_what_it_is_derived_from(tmp_path, kind):
    pytest.importorskip("onnx")
    model = model_with(kind, __init__=lambda self: None, code=lambda self: "Mine()")
    x = np.random.default_rng(0).random((2, 4, 4, 4), np.float32)
    export_onnx(tmp_path / "model.onnx", model, x.shape)
    session = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"input": x})[0], model(x).numpy(), rtol=1e-5, atol=1e-6)
    if kind not in (SkipConnection, Parallel):
        save_keras_weights(tmp_path / "model.weights.h5", model)
        load_keras_weights(tmp_path / "model.weights.h5", model)


@pytest.mark.parametrize("save", [save_torchvision, save_keras_weights])
def test_a_whole_network_of_the_users_class(tmp_path, save):
    class Doubled(Chain):
        def __call__(self, x):
            return super().__call__(x) * 2

    class Named(Chain):
        def __init__(self):
            super().__init__(conv(), relu)

    with pytest.raises(ValueError, match="Doubled"):
        save(tmp_path / "model.weights.h5", Doubled(conv(), relu))
    save(tmp_path / "model.weights.h5", Named())
    assert np.isfinite(Named()(np.ones((1, 4, 4, 4), np.float32)).numpy()).all()
