"""torchvision's names and layouts; PyTorch itself computes the same from them where it is installed."""

import numpy as np
import pytest
from random_weights import random_weights
from safetensors.numpy import load_file, save_file
from small_run import assert_equal, copies

import minidl
from minidl import (
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMeanPool,
    MaxPool,
    Parallel,
    SkipConnection,
    flatten,
    identity,
    relu,
)
from minidl.functions import add
from minidl.interchange import load_torchvision, save_torchvision, torchvision_names
from minidl.models import vgg11, vgg16


def small_vgg(batchnorm=True, pool=(1, 1)):
    """12 x 20 pixels become 3 x 5 with pool=None, which are not square."""
    layers = []
    for inputs, outputs in [(3, 4), (4, 6)]:
        layers += [Conv((3, 3), (inputs, outputs), identity if batchnorm else relu, pad=1)]
        layers += [BatchNorm(outputs, relu)] * batchnorm + [MaxPool((2, 2))]
    layers += [AdaptiveMeanPool(pool)] if pool else []
    numbers = 6 * (pool[0] * pool[1] if pool else 15)
    return Chain(*layers, flatten, Dense(numbers, 8, relu), Dropout(0.5), Dense(8, 5))


def small_resnet(stage_as_chain=False):
    def norm(inputs, outputs, size, stride, activation=identity):
        return [Conv((size, size), (inputs, outputs), stride=stride, pad=size // 2, bias=False),
                BatchNorm(outputs, activation)]  # fmt: skip

    def block(inputs, outputs, stride):
        main = Chain(*norm(inputs, outputs, 3, stride, relu), *norm(outputs, outputs, 3, 1))
        if stride == 1:
            return [SkipConnection(main, add), relu]
        return [Parallel(add, Chain(*norm(inputs, outputs, 1, stride)), main), relu]

    first, second = [*block(4, 4, 1), *block(4, 4, 1)], block(4, 6, 2)
    blocks = [Chain(*first), Chain(*second)] if stage_as_chain else [*first, *second]
    return Chain(*norm(3, 4, 7, 2, relu), MaxPool((3, 3), stride=2, pad=1), *blocks, GlobalMeanPool(), flatten,
                 Dense(6, 5))  # fmt: skip


NETWORKS = {
    "vgg with batch norm": small_vgg,
    "vgg without": lambda: small_vgg(batchnorm=False),
    "vgg whose images are not square": lambda: small_vgg(pool=None),
    "vgg with a pool of 3 x 1 pixels": lambda: small_vgg(pool=(3, 1)),
    "resnet": small_resnet,
    "resnet of nested chains": lambda: small_resnet(stage_as_chain=True),
}
INPUT = (2, 12, 20, 3)


@pytest.fixture(params=NETWORKS)
def network(request):
    minidl.seed(0)
    return NETWORKS[request.param]


# Names ----------------------------------------------------------------------------------------------------------------


def test_names_of_vgg():
    features = [0, 1, 4, 5, 8, 9, 11, 12, 15, 16, 18, 19, 22, 23, 25, 26]
    classifier = ["classifier.0", "classifier.3", "classifier.6"]
    assert list(torchvision_names(vgg11())) == [f"features.{place}" for place in features] + classifier
    plain = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert list(torchvision_names(vgg16(batchnorm=False))) == [f"features.{place}" for place in plain] + classifier


@pytest.mark.parametrize("nested", [False, True])
def test_names_of_resnet(nested):
    blocks = [f"layer{at}.{part}" for at in ["1.0", "1.1", "2.0"] for part in ["conv1", "bn1", "conv2", "bn2"]]
    blocks += ["layer2.0.downsample.0", "layer2.0.downsample.1", "conv1", "bn1", "fc"]
    assert sorted(torchvision_names(small_resnet(nested))) == sorted(blocks)


def test_layouts(tmp_path):
    model = random_weights(small_vgg(pool=None))
    save_torchvision(tmp_path / "weights", model, INPUT)
    theirs, ours = load_file(tmp_path / "weights"), {name: x.numpy() for name, x in model.tensors().items()}
    conv, dense = theirs["features.4.weight"], theirs["classifier.0.weight"]
    assert conv[5, 3, 2, 1] == ours["layers.3.weight"][2, 1, 3, 5]  # f, c, kh, kw
    h, w, c, out = 2, 4, 3, 7
    assert dense[out, (c * 3 + h) * 5 + w] == ours["layers.7.weight"][(h * 5 + w) * 6 + c, out]
    np.testing.assert_array_equal(theirs["features.5.running_var"], ours["layers.4.variance"])
    np.testing.assert_array_equal(theirs["features.5.bias"], ours["layers.4.shift"])
    assert theirs["features.5.num_batches_tracked"] == np.array(0, np.int64)


def test_round_trip(tmp_path, network):
    model, other = random_weights(network()), random_weights(network(), seed=1)
    save_torchvision(tmp_path / "weights", model, INPUT)
    load_torchvision(tmp_path / "weights", other, INPUT)
    assert_equal(copies(other), copies(model))


# PyTorch itself -------------------------------------------------------------------------------------------------------


def vgg_in_torch(torch, model):
    """torchvision's VGG: the three parts with its names, of the layers of `model`."""
    nn = torch.nn
    features, classifier = [], []
    for layer in model:
        part = classifier if flatten in list(model)[: list(model).index(layer)] else features
        if isinstance(layer, Conv):
            part.append(nn.Conv2d(*layer.weight.shape[2:], 3, padding=1))
        elif isinstance(layer, BatchNorm):
            part.append(nn.BatchNorm2d(layer.scale.size))
        elif isinstance(layer, Dense):
            part.append(nn.Linear(*layer.weight.shape))
        elif isinstance(layer, MaxPool):
            part.append(nn.MaxPool2d(2))
        elif isinstance(layer, Dropout):
            part.append(nn.Dropout())
        if getattr(layer, "activation", identity) is relu:
            part.append(nn.ReLU())
    pools = [nn.AdaptiveAvgPool2d(layer.size) for layer in model if isinstance(layer, AdaptiveMeanPool)]
    module = nn.Sequential()
    module.add_module("features", nn.Sequential(*features))
    module.add_module("avgpool", pools[0] if pools else nn.Identity())
    module.add_module("flat", nn.Flatten())
    module.add_module("classifier", nn.Sequential(*classifier))
    return module


def resnet_in_torch(torch, model):
    """torchvision's ResNet with the widths of small_resnet()."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride > 1:
                shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
                self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4)
            self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 4, 1))
            self.layer2 = nn.Sequential(Block(4, 6, 2))
            self.fc = nn.Linear(6, 5)

        def forward(self, x):
            x = torch.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
            return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))

    return ResNet()


@pytest.mark.torch
@pytest.mark.parametrize("direction", ["to PyTorch", "from PyTorch"])
def test_pytorch_computes_the_same(tmp_path, network, direction):
    torch = pytest.importorskip("torch")
    safe = pytest.importorskip("safetensors.torch")
    model = random_weights(network())
    residual = any(isinstance(layer, SkipConnection) for layer in model.layers_inside())
    module = (resnet_in_torch if residual else vgg_in_torch)(torch, model).eval()
    file = tmp_path / "weights.safetensors"
    if direction == "to PyTorch":
        save_torchvision(file, model, INPUT)
        module.load_state_dict(safe.load_file(file))  # strict: the names are all there, and no others
    else:
        for name, x in module.state_dict().items():
            if x.is_floating_point():
                torch.nn.init.uniform_(x, 0.4 if name.endswith("var") else -0.5, 0.7)
        safe.save_file(module.state_dict(), file)
        load_torchvision(file, model, INPUT)
    images = np.random.default_rng(2).standard_normal(INPUT, np.float32)
    with torch.no_grad():
        expected = module(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
    assert abs(expected).max() > 0.1
    np.testing.assert_allclose(model(images).numpy(), expected, rtol=1e-5, atol=1e-5 * abs(expected).max())


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (small_vgg(pool=None), r"the rows of Dense\(90, 8, relu\) are pixels in another order there; give input_shape"),
        (Chain(ConvTranspose((2, 2), (3, 4))), r"have Conv, BatchNorm and Dense, no ConvTranspose\(\(2, 2\), \(3, 4\)"),
        (Chain(Parallel(add, Conv((1, 1), (3, 4)), Conv((1, 1), (3, 4)))), "expected a block of convolutions"),
        (Chain(SkipConnection(Dense(3, 3), add)), "expected a block of convolutions and BatchNorm"),
        (Chain(Conv((1, 1), (3, 3)), SkipConnection(Conv((1, 1), (3, 3)), BatchNorm(3))), "no name for layers.1.conn"),
    ],
    ids=["pixels", "another layer", "two main paths", "dense block", "a connection with weights"],
)
def test_what_has_no_place_there_is_named(tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        save_torchvision(tmp_path / "weights", model)
    assert not list(tmp_path.iterdir())


def spoil(change):
    def spoiled(path):
        arrays = load_file(path)
        change(arrays)
        save_file(arrays, path)

    return spoiled


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-10]), "it is damaged or foreign"),
        (lambda path: path.write_bytes(b"PK\x03\x04" * 40), "it is damaged or foreign"),
        (spoil(lambda arrays: arrays.pop("features.5.bias")), "1 of 16 tensors differ: features.5.bias is missing"),
        (spoil(lambda arrays: arrays.update(more=np.zeros(1))), "more is not part of this network"),
        (
            spoil(lambda arrays: arrays.update({"classifier.3.bias": np.zeros(6, np.float32)})),
            r"classifier.3.bias is \(6,\) float32, expected \(5,\) float32",
        ),
        (
            spoil(lambda arrays: arrays.update({"classifier.3.bias": np.zeros(5, np.float16)})),
            r"classifier.3.bias is \(5,\) float16, expected \(5,\) float32",
        ),
    ],
    ids=["truncated", "foreign", "missing", "too many", "another shape", "half precision"],
)
def test_a_damaged_or_foreign_file_changes_nothing(tmp_path, damage, message):
    model, path = random_weights(small_vgg()), tmp_path / "weights.safetensors"
    save_torchvision(path, random_weights(small_vgg(), seed=1))
    damage(path)
    before = copies(model)
    with pytest.raises(ValueError, match=message):
        load_torchvision(path, model)
    assert_equal(copies(model), before)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights there"):
        load_torchvision(tmp_path / "weights", small_vgg())
