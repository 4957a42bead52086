"""ResNet-18 beside the same network written with PyTorch's layers: scores, every gradient, and running statistics."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, models, training_mode
from minidl.losses import logitcrossentropy

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def their_block(channels, filters, stride):
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
                nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters),
            )  # fmt: skip
            self.shortcut = nn.Identity()
            if stride != 1 or channels != filters:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
                )

        def forward(self, x):
            return torch.relu(self.body(x) + self.shortcut(x))

    return Block()


def their_resnet18(classes, imagenet_stem):
    nn = torch.nn
    if imagenet_stem:
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    else:
        stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    blocks = [their_block(*size) for size in [*sizes, (512, 512, 1)]]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def in_their_layout(array):
    """(kh, kw, c, f) -> (f, c, kh, kw), and (in, out) -> (out, in)."""
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T)


def pairs(ours, theirs):
    """(our name, our tensor, their tensor): both list their tensors in the order of the layers."""
    named = [tensor for name, tensor in theirs.state_dict(keep_vars=True).items() if "num_batches" not in name]
    return [(name, x, tensor) for (name, x), tensor in zip(ours.tensors().items(), named, strict=True)]


@pytest.mark.parametrize(("imagenet_stem", "size"), [(False, 32), (True, 64)])
def test_resnet18_is_that_of_pytorch(imagenet_stem, size):
    minidl.seed(0)
    ours = models.resnet18(5, imagenet_stem).to(dtype="float64")
    theirs = their_resnet18(5, imagenet_stem).double()
    random = np.random.default_rng(0)
    for _, x, tensor in pairs(ours, theirs):
        if x.ndim == 1:  # ones and zeros would hide what is mixed up
            x.array = random.uniform(0.5, 1.5, x.shape)
        tensor.data = torch.tensor(in_their_layout(x.numpy()))
    images, labels = random.random((3, size, size, 3)), np.eye(5)[[0, 2, 4]]
    their_images = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    with training_mode():
        scores = ours(Tensor(images))
        logitcrossentropy(scores, labels).backward()
    their_scores = theirs(their_images)
    torch.nn.functional.cross_entropy(their_scores, torch.tensor(labels)).backward()
    np.testing.assert_allclose(scores.numpy(), their_scores.detach().numpy(), rtol=1e-9, atol=1e-9)
    for name, x, tensor in pairs(ours, theirs):
        if x.requires_grad:
            expected = tensor.grad.numpy()
            assert np.abs(expected).max() > 0, name
            np.testing.assert_allclose(in_their_layout(x.grad.numpy()), expected, rtol=1e-6, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_allclose(x.numpy(), tensor.numpy(), rtol=1e-9, err_msg=name)

    theirs.eval()
    with torch.no_grad():
        expected = theirs(their_images).numpy()
    np.testing.assert_allclose(ours(Tensor(images)).numpy(), expected, rtol=1e-9, atol=1e-9)
