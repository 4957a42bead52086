"""minidl, through the functions and layers that its users call."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import minidl
from benchmarks import networks as n
from benchmarks.op_cases import NOT_TRAINED, POOL, OpCase
from minidl import BatchNorm, Chain, Conv, Dense, Dropout, MaxPool, Tensor, flatten, no_grad, relu, training_mode
from minidl import functions as f
from minidl.backend import get_backend
from minidl.data import DataLoader, onehotbatch
from minidl.functions import identity
from minidl.layers import he_normal
from minidl.losses import logitcrossentropy
from minidl.optimisers import Momentum
from minidl.training import fit


def make_layer(layer: n.Layer) -> Any:
    match layer:
        case n.Conv(inputs, outputs, active):
            return Conv((3, 3), (inputs, outputs), relu if active else identity, pad=1, init=he_normal)
        case n.BatchNorm(channels):
            return BatchNorm(channels, relu, eps=n.EPS, momentum=n.BATCH_MOMENTUM)
        case n.MaxPool(size):
            return MaxPool((size, size))
        case n.Flatten():
            return flatten
        case n.Dense(inputs, outputs, active):
            return Dense(inputs, outputs, relu if active else identity, init=he_normal)
        case n.Dropout(rate):
            return Dropout(rate)


def make_chain(network: n.Network) -> Chain:
    return Chain(*map(make_layer, network))


class Peer:
    def __init__(self, threads: int, option: str, backend: str) -> None:
        minidl.set_threads(threads)
        minidl.use_backend(backend)  # of all tensors that are made in this process
        self.backend = get_backend(backend)

    def wait(self) -> None:
        self.backend.synchronise()

    def versions(self) -> dict[str, str]:
        packages = ["numba", "numpy"] if self.backend.is_host else [self.backend.xp.__name__, "numpy"]
        return {"minidl": minidl.__version__} | {package: import_module(package).__version__ for package in packages}

    def build(self, network: n.Network, weights: n.Weights | None) -> None:
        self.model = make_chain(network)
        if weights is not None:
            self.model.load(weights)
        self.optimiser = Momentum(n.LEARNING_RATE, n.MOMENTUM)

    def take(self, images: n.Array, labels: n.Array) -> None:
        self.x, self.y = map(self.backend.asarray, (images, onehotbatch(labels, range(n.CLASSES))))

    def forward(self) -> n.Array:
        with no_grad():
            return self.model(self.x).numpy()

    def step(self) -> float:
        with training_mode(self.optimiser.steps):
            loss = logitcrossentropy(self.model(self.x), self.y)
        loss.backward()
        self.optimiser.step(self.model.params())
        return loss.item()

    def weight(self, layer: int) -> n.Array:
        return self.model.tensors()[f"layers.{layer}.weight"].numpy().copy()

    def fit(self, images: n.Array, labels: n.Array, batch: int) -> None:
        data = DataLoader((images, onehotbatch(labels, range(n.CLASSES))), batch, shuffle=True)
        fit(self.model, logitcrossentropy, data, self.optimiser, epochs=1)

    def convolution(self, case: n.ConvCase) -> Convolution:
        return Convolution(case)

    def op(self, case: OpCase, dropout: bool = True) -> Op:
        return Op(case, dropout)


OPS: dict[str, Callable[..., Tensor]] = {
    "batch_norm": lambda x, scale, shift: f.batch_norm(x, scale, shift, n.EPS)[0],
    "max_pool2d": lambda x: f.max_pool2d(x, POOL),
    "mean_pool2d": lambda x: f.mean_pool2d(x, POOL),
    "relu": f.relu,
    "row_sums": f.row_sums,
    "sum": lambda x: x.sum((1, 2, 3)),
    "mean": lambda x: x.mean((0, 1, 2)),
    "dense": f.dense,
    "dropout": lambda x, rate: f.dropout(x, rate, (0, 0, 0)),
    "softmax": f.softmax,
    "softmax_cross_entropy": f.softmax_cross_entropy,
}


class Op:
    def __init__(self, case: OpCase, dropout: bool) -> None:
        self.inputs = {name: Tensor(x, requires_grad=name not in NOT_TRAINED) for name, x in case.arrays().items()}
        self.arguments = {"rate": 0.5 if dropout else 0.0} if case.op == "dropout" else {}
        self.function = OPS[case.op]
        self.dy = Tensor(case.dy(self.forward().shape))

    def forward(self) -> Tensor:
        for x in self.inputs.values():
            x.grad = None
        return self.function(*self.inputs.values(), **self.arguments)

    def backward(self, result: Tensor) -> None:
        result.backward(self.dy)

    def arrays(self, result: Tensor) -> dict[str, n.Array]:
        gradients = {f"d{name}": x.grad.numpy() for name, x in self.inputs.items() if x.grad is not None}
        return {"y": result.numpy()} | gradients


class Convolution:
    """A Chain of one layer: what it makes of a convolution and its relu is part of the measurement."""

    def __init__(self, case: n.ConvCase) -> None:
        arrays = case.arrays()
        self.chain = make_chain([n.Conv(case.inputs, case.outputs)])
        self.chain.load({f"layers.0.{name}": arrays[name] for name in ("weight", "bias")})
        self.x = Tensor(arrays["x"], requires_grad=case.needs_input_gradient)
        self.dy = Tensor(arrays["dy"])

    def forward(self) -> Tensor:
        for tensor in (self.x, *self.chain.params().values()):
            tensor.grad = None
        return self.chain(self.x)

    def backward(self, result: Tensor) -> None:
        result.backward(self.dy)

    def arrays(self, result: Tensor) -> dict[str, n.Array]:
        params = self.chain.params()
        gradients = {
            "dx": self.x.grad,
            "dweight": params["layers.0.weight"].grad,
            "dbias": params["layers.0.bias"].grad,
        }
        return {"y": result.numpy()} | {name: dx.numpy() for name, dx in gradients.items() if dx is not None}
