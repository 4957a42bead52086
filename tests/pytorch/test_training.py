"""Twenty steps of training beside PyTorch: the same weights, batches and learning rate must give the same network.

Only the layouts differ. Images are (n, h, w, c) here and (n, c, h, w) there, filters (kh, kw, c, f) and (f, c, kh, kw),
dense weights (in, out) and (out, in); flatten counts channels fastest here and slowest there.
"""

import numpy as np
import pytest

import minidl
from minidl import BatchNorm, Chain, Conv, Dense, MaxPool, Tensor, flatten, relu
from minidl.losses import logitcrossentropy
from minidl.optimisers import Momentum
from minidl.training import train

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

STEPS, BATCH, SIZE, CLASSES = 20, 8, 8, 5
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 0.01
SPATIAL = SIZE // 4  # two pools

# In float64 only the order of additions differs. In float32 each step rounds at about 1e-7, and training magnifies it.
TOLERANCES = {"float64": 1e-10, "float32": 1e-4}


def our_network():
    """A VGG of two blocks, without dropout, whose masks cannot be equal."""
    minidl.seed(0)
    return Chain(
        Conv((3, 3), (3, 6), pad=1), BatchNorm(6, relu), MaxPool((2, 2)),
        Conv((3, 3), (6, 8), pad=1), BatchNorm(8, relu), MaxPool((2, 2)),
        flatten, Dense(SPATIAL * SPATIAL * 8, 16, relu), Dense(16, CLASSES),
    )  # fmt: skip


def their_network():
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8 * SPATIAL * SPATIAL, 16), nn.ReLU(), nn.Linear(16, CLASSES),
    )  # fmt: skip


def as_theirs(model):
    """Our tensors under PyTorch's names and in its layouts."""
    first_dense = model[7].weight.numpy().reshape(SPATIAL, SPATIAL, 8, 16)
    arrays = {"9.weight": first_dense.transpose(3, 2, 0, 1).reshape(16, -1), "9.bias": model[7].bias.numpy()}
    arrays |= {"11.weight": model[8].weight.numpy().T, "11.bias": model[8].bias.numpy()}
    for ours, theirs in ((0, 0), (3, 4)):
        convolution, norm = model[ours], model[ours + 1]
        arrays |= {
            f"{theirs}.weight": convolution.weight.numpy().transpose(3, 2, 0, 1),
            f"{theirs}.bias": convolution.bias.numpy(),
            f"{theirs + 1}.weight": norm.scale.numpy(),
            f"{theirs + 1}.bias": norm.shift.numpy(),
            f"{theirs + 1}.running_mean": norm.mean.numpy(),
            f"{theirs + 1}.running_var": norm.variance.numpy(),
        }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def batches(dtype):
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        labels = random.integers(0, CLASSES, BATCH)
        yield random.random((BATCH, SIZE, SIZE, 3)).astype(dtype), np.eye(CLASSES, dtype=dtype)[labels]


def train_ours(model, dtype):
    losses = []

    def loss(x, y):
        value = logitcrossentropy(model(x), y)
        losses.append(value.item())
        return value

    train(loss, model.params(), batches(dtype), Momentum(LEARNING_RATE, MOMENTUM, WEIGHT_DECAY))
    return losses


def train_theirs(model, dtype):
    optimiser = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    losses = []
    for x, y in batches(dtype):
        predicted = model(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))))
        loss = torch.nn.functional.cross_entropy(predicted, torch.from_numpy(y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(autouse=True)
def _one_thread_for_so_few_numbers():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_twenty_steps_are_those_of_pytorch(dtype, backend):
    ours, theirs = our_network().to(backend, dtype), their_network().to(getattr(torch, dtype))
    start = {name: array.copy() for name, array in as_theirs(ours).items()}
    differing = theirs.load_state_dict({name: torch.tensor(array) for name, array in start.items()}, strict=False)
    assert differing.unexpected_keys == []
    assert all(name.endswith("num_batches_tracked") for name in differing.missing_keys)

    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(train_ours(ours, dtype), train_theirs(theirs, dtype), rtol=tolerance)
    ended, expected = as_theirs(ours), theirs.state_dict()
    for name, array in ended.items():
        np.testing.assert_allclose(array, expected[name].numpy(), rtol=tolerance, atol=tolerance, err_msg=name)
        if name not in ("0.bias", "4.bias"):  # without effect in front of a batch norm
            assert np.abs(array - start[name]).max() > 1e-3, name

    theirs.eval()
    x, _ = next(batches(dtype))
    with torch.no_grad():
        scores = theirs(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).numpy()
    np.testing.assert_allclose(ours(Tensor(x, backend)).numpy(), scores, rtol=tolerance, atol=tolerance)
