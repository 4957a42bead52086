"""ONNX files: checked by onnx, and computed by ONNX Runtime where it is installed."""

import operator
from functools import partial

import numpy as np
import pytest
from random_weights import random_weights
from small_run import copies

from minidl import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMaxPool,
    GlobalMeanPool,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    MeanPool,
    Parallel,
    SamePad,
    SkipConnection,
    Upsample,
    flatten,
    identity,
    relu,
    trainmode,
)
from minidl import functions as f
from minidl.interchange import export_onnx
from minidl.models import vgg11

onnx = pytest.importorskip("onnx")

IMAGES, ROWS = (3, 9, 7, 4), (3, 12)


def residual():
    def norm(inputs, outputs, size, stride, activation=identity):
        return [Conv((size, size), (inputs, outputs), stride=stride, pad=size // 2, bias=False),
                BatchNorm(outputs, activation)]  # fmt: skip

    plain = SkipConnection(Chain(*norm(6, 6, 3, 1, relu), *norm(6, 6, 3, 1)), f.add)
    halving = Parallel(f.add, Chain(*norm(6, 8, 3, 2, relu), *norm(8, 8, 3, 1)), Chain(*norm(6, 8, 1, 2)))
    return Chain(*norm(4, 6, 3, 1, relu), plain, relu, halving, relu, GlobalMeanPool(), flatten, Dense(8, 5))


NETWORKS = {
    "convolution": lambda: Conv((3, 2), (4, 5)),
    "no bias": lambda: Conv((3, 3), (4, 5), relu, pad=1, bias=False),
    "padding of each side": lambda: Conv((3, 4), (4, 5), pad=(2, 0, 1, 3)),
    "same padding": lambda: Conv((4, 2), (4, 5), pad=SamePad(), stride=(2, 1)),
    "stride and dilation": lambda: Conv((3, 2), (4, 5), stride=(2, 3), dilation=(1, 2), pad=(1, 2)),
    "groups": lambda: Conv((3, 3), (4, 6), groups=2),
    "depthwise": lambda: Conv((3, 3), (4, 4), groups=4, pad=1),
    "transposed": lambda: ConvTranspose((3, 2), (4, 5), relu, stride=2, pad=(1, 0, 0, 1)),
    "transposed with same padding": lambda: ConvTranspose(
        (3, 3), (4, 6), stride=2, pad=SamePad(), groups=2, bias=False
    ),
    "transposed and dilated": lambda: ConvTranspose((2, 3), (4, 5), dilation=2),
    "max pool": lambda: MaxPool((3, 2), stride=(2, 1), pad=(2, 0, 1, 1)),
    "max pool of negative numbers": lambda: Chain(f.exp, f.negative, MaxPool((2, 2), pad=1)),
    "mean pool": lambda: MeanPool((3, 2), stride=2, pad=(2, 0, 1, 1)),
    "adaptive max pool": lambda: AdaptiveMaxPool((2, 3)),
    "adaptive mean pool": lambda: AdaptiveMeanPool((4, 5)),
    "global max pool": GlobalMaxPool,
    "global mean pool": GlobalMeanPool,
    "nearest": lambda: Upsample(3),
    "bilinear": lambda: Upsample(2, "bilinear"),
    "bilinear of one pixel": lambda: Chain(GlobalMeanPool(), Upsample(2, "bilinear")),
    "batch norm": lambda: BatchNorm(4, f.tanh, eps=0.1),
    "group norm": lambda: GroupNorm(4, 2, relu, eps=0.1),
    "layer norm over channels": lambda: LayerNorm(4, relu, eps=0.1),
    "layer norm over images": lambda: Chain(MaxPool((1, 1)), LayerNorm((9, 7, 4))),
    "softmax of channels": lambda: Chain(Conv((1, 1), (4, 5)), f.softmax),
    "flatten": lambda: Chain(Conv((3, 2), (4, 2)), flatten, Dense(84, 5)),
    "flatten at once": lambda: Chain(flatten, Dense(252, 5, f.sigmoid)),
    "flatten of one pixel": lambda: Chain(GlobalMaxPool(), flatten, Dense(4, 5)),
    "dropout": lambda: Chain(Dropout(0.5), Chain(Conv((1, 1), (4, 4)), Dropout(0.5))),
    "nothing": lambda: Chain(identity),
    "residual": residual,
    "a shortcut in another layout": lambda: Chain(SkipConnection(Conv((1, 1), (4, 4)), operator.sub), flatten),
    "branches": lambda: Parallel(f.multiply, Chain(LayerNorm(4), MaxPool((1, 1))), f.sigmoid),
    "a shortcut that is broadcast": lambda: SkipConnection(Chain(GlobalMeanPool(), Conv((1, 1), (4, 4))), f.multiply),
    "one branch": lambda: Parallel(relu, Conv((1, 1), (4, 4))),
    "one layer twice": lambda: Chain(*[Conv((1, 1), (4, 4))] * 2),
} | {
    f"{function.__name__}": partial(Chain, MaxPool((1, 1)), function)
    for function in [relu, f.leakyrelu, f.elu, f.gelu, f.swish, f.tanh, f.softplus, f.logsoftmax]
}
OF_ROWS = {
    "dense": lambda: Chain(Dense(12, 6, relu), Dense(6, 5, bias=False)),
    "softmax": lambda: f.softmax,
    "batch norm": lambda: BatchNorm(12),
    "group norm": lambda: GroupNorm(12, 3),
    "layer norm": lambda: LayerNorm(12),
    "flatten": lambda: flatten,
    "a slope of one's own": lambda: partial(f.leakyrelu, slope=0.3),
    "a scale of one's own": lambda: partial(f.elu, scale=2),
    "square root": lambda: Chain(f.absolute, f.sqrt),
    "logarithm": lambda: Chain(f.exp, f.log),
}
CASES = [(name, make, IMAGES) for name, make in NETWORKS.items()]
CASES += [(f"{name} of rows", make, ROWS) for name, make in OF_ROWS.items()]


def assert_runtime_agrees(path, model, x):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for images in [x, x[:1]]:  # any batch size
        (computed,) = session.run(["output"], {"input": images})
        expected = model(images).numpy()
        assert computed.shape == expected.shape
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5 * max(1, abs(expected).max()))


@pytest.mark.parametrize(("name", "make", "shape"), CASES, ids=[case[0] for case in CASES])
def test_onnx_runtime_computes_the_same(tmp_path, name, make, shape):
    layer, path = make(), tmp_path / "model.onnx"
    model = random_weights(layer if isinstance(layer, Layer) else Chain(layer))
    export_onnx(path, model, shape)
    onnx.checker.check_model(onnx.load(path), full_check=True)  # infers shapes, too
    assert_runtime_agrees(path, model, np.random.default_rng(1).standard_normal(shape, np.float32))


def test_one_norm_behind_images_and_behind_rows(tmp_path):
    norm = GroupNorm(4, 2)
    model, path = random_weights(Chain(norm, GlobalMeanPool(), flatten, norm)), tmp_path / "model.onnx"
    export_onnx(path, model, (1, 5, 5, 4))
    assert_runtime_agrees(path, model, np.random.default_rng(1).random((2, 5, 5, 4), np.float32))


def test_vgg11(tmp_path):
    """Drawn as for training: the running statistics change what comes out, but do not let it explode."""
    model, path = vgg11(), tmp_path / "vgg11.onnx"
    rng = np.random.default_rng(0)
    for name, x in model.tensors().items():
        if name.endswith(("mean", "variance", "scale", "shift")):
            x.array = (x.array + rng.uniform(-0.3, 0.3, x.shape)).astype(np.float32)
    export_onnx(path, model, (1, 32, 32, 3))
    graph = onnx.load(path).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("Transpose") == 1  # in front; behind the last pool there is one pixel
    assert {"Dropout", "Softmax"}.isdisjoint(kinds)
    assert {weight.name for weight in graph.initializer} == model.tensors().keys()
    assert_runtime_agrees(path, model, rng.uniform(0, 1, (2, 32, 32, 3)).astype(np.float32))


# Errors ---------------------------------------------------------------------------------------------------------------


class Own(Layer):
    def __call__(self, x):
        return x


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (Chain(relu, Own()), NotImplementedError, r"Own\(\) has no form in ONNX here; build the network of Chain, "),
        (Chain(Conv((1, 1), (4, 4), double)), NotImplementedError, "double has no form in ONNX"),
        (Chain(partial(f.clip, low=0, high=1)), NotImplementedError, "clip.* has no form in ONNX"),
        (Chain(partial(f.elu, slope=1)), NotImplementedError, "elu.* has no form in ONNX"),
        (
            SkipConnection(relu, f.maximum),
            NotImplementedError,
            "maximum of 2 branches has no form in ONNX here; join two",
        ),
        (Parallel(f.add, relu, relu, relu), NotImplementedError, "add of 3 branches has no form"),
        (
            Chain(trainmode(BatchNorm(4))),
            NotImplementedError,
            r"would normalise over the batch; call testmode\(model\)",
        ),
        (Chain(Dropout(0.5, active=True)), NotImplementedError, r"would drop numbers; call testmode\(model\)"),
        (Chain(Conv((1, 1), (3, 4))), ValueError, r"expected images \(n, h, w, 3\)"),
        (Chain(Dense(4, 4)).to(dtype="float64"), TypeError, r"layers.0.weight is float64; call model.to\(dtype"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_exported_is_named(tmp_path, model, kind, message):
    with pytest.raises(kind, match=message):
        export_onnx(tmp_path / "model.onnx", model, IMAGES)
    assert not list(tmp_path.iterdir())


def test_an_error_says_in_which_layer(tmp_path):
    with pytest.raises(NotImplementedError) as caught:
        export_onnx(tmp_path / "model.onnx", Chain(relu, Chain(relu, double)), IMAGES)
    assert caught.value.__notes__[0] == "in layer 1 of the Chain, double, given a tensor of shape (1, 9, 7, 4)"


def test_norms_of_other_shapes_are_refused(tmp_path):
    with pytest.raises(NotImplementedError, match=r"of rows \(n, c\) or images \(n, h, w, c\) only, got \(1, 5, 4\)"):
        export_onnx(tmp_path / "model.onnx", BatchNorm(4), (3, 5, 4))


def test_exporting_changes_nothing(tmp_path):
    model = residual()
    before = copies(model)
    export_onnx(tmp_path / "model.onnx", model, IMAGES)
    assert all((before[name] == x.array).all() for name, x in model.tensors().items())
    assert all(x.requires_grad for x in model.params().values())


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'minidl\[onnx\]'"):
        export_onnx(tmp_path / "model.onnx", Chain(relu), IMAGES)


@pytest.mark.gpu
def test_a_network_on_the_gpu(tmp_path):
    model = random_weights(Chain(Conv((3, 3), (4, 5), relu), flatten, Dense(175, 5)))
    export_onnx(tmp_path / "cpu.onnx", model, IMAGES)
    export_onnx(tmp_path / "gpu.onnx", model.to("gpu"), IMAGES)
    assert (tmp_path / "gpu.onnx").read_bytes() == (tmp_path / "cpu.onnx").read_bytes()
