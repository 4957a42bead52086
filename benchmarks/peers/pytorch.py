"""PyTorch: as it is ("eager"), with its images in memory as minidl has them ("channels-last"), or compiled.

Relu works in place and the optimiser is the fused one: PyTorch's faster and thriftier choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn import functional as f

from benchmarks import networks as n
from benchmarks.op_cases import NOT_TRAINED, POOL, OpCase

Module = Any


def make_modules(layer: n.Layer) -> Iterator[Module]:
    match layer:
        case n.Conv(inputs, outputs):
            yield nn.Conv2d(inputs, outputs, 3, padding=1)
        case n.BatchNorm(channels):
            yield nn.BatchNorm2d(channels, eps=n.EPS, momentum=n.BATCH_MOMENTUM)
        case n.MaxPool(size):
            yield nn.MaxPool2d(size)
        case n.Flatten():
            yield nn.Flatten()
        case n.Dense(inputs, outputs):
            yield nn.Linear(inputs, outputs)
        case n.Dropout(rate):
            yield nn.Dropout(rate)
    if isinstance(layer, n.BatchNorm) or (isinstance(layer, n.Conv | n.Dense) and layer.relu):
        yield nn.ReLU(inplace=True)


# Weights here are (out, in, kh, kw) and (out, in): minidl's the other way round
TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
TO_MINIDL = {4: (2, 3, 1, 0), 2: (1, 0)}
NAMES = {
    "weight": "weight", "bias": "bias", "scale": "weight", "shift": "bias", "mean": "running_mean",
    "variance": "running_var",
}  # fmt: skip


def set_weights(module: Module, layer: int, weights: n.Weights) -> None:
    for name, name_there in NAMES.items():
        array = weights.get(f"layers.{layer}.{name}")
        if array is not None:
            with torch.no_grad():
                getattr(module, name_there).copy_(torch.from_numpy(array).permute(TO_TORCH[array.ndim]))


class Peer:
    def __init__(self, threads: int, option: str, backend: str) -> None:
        torch.set_num_threads(threads)
        self.device = "cuda" if backend == "gpu" else "cpu"
        # In float32, as asked for: by itself it rounds what convolutions multiply to 10 bits (TF32) on newer cards
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self.compiled = option == "compile"
        self.layout = torch.channels_last if option == "channels-last" else torch.contiguous_format
        self.loss = nn.CrossEntropyLoss()

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def build(self, network: n.Network, weights: n.Weights | None) -> None:
        groups = [list(make_modules(layer)) for layer in network]
        self.layers = [group[0] for group in groups]
        if weights is not None:
            for i, module in enumerate(self.layers):
                set_weights(module, i, weights)
        self.model = nn.Sequential(*chain.from_iterable(groups)).to(self.device, memory_format=self.layout)
        if self.compiled:
            torch._dynamo.reset()  # else a batch of another size makes it compile for sizes in general
            self.run = torch.compile(self.model, dynamic=False)
        else:
            self.run = self.model
        self.optimiser = torch.optim.SGD(self.model.parameters(), n.LEARNING_RATE, n.MOMENTUM, fused=True)

    def take(self, images: n.Array, labels: n.Array) -> None:
        self.x = self._images(images)
        self.y = torch.from_numpy(labels).to(self.device)

    def forward(self) -> n.Array:
        self._set_training(False)
        with torch.inference_mode():
            scores: n.Array = self.run(self.x).cpu().numpy()
        return scores

    def step(self) -> float:
        self._set_training(True)
        return float(self._step(self.x, self.y))

    def weight(self, layer: int) -> n.Array:
        weight = self.layers[layer].weight.detach()
        copied: n.Array = weight.permute(TO_MINIDL[weight.ndim]).cpu().numpy().copy()
        return copied

    def fit(self, images: n.Array, labels: n.Array, batch: int) -> None:
        self._set_training(True)
        x, y = self._images(images), torch.from_numpy(labels).to(self.device)
        for chosen in torch.randperm(len(y), device=self.device).split(batch):
            self._step(x[chosen].contiguous(memory_format=self.layout), y[chosen])

    def convolution(self, case: n.ConvCase) -> Convolution:
        return Convolution(case, self.layout, self.device)

    def op(self, case: OpCase, dropout: bool = True) -> Op:
        return Op(case, self.layout, self.device, dropout)

    def _step(self, x: Any, y: Any) -> Any:
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.run(x), y)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def _images(self, images: n.Array) -> Any:
        return torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def _set_training(self, training: bool) -> None:
        if self.model.training != training:  # it walks through all modules, which takes time in itself
            self.model.train(training)


OPS: dict[str, Callable[..., Any]] = {
    "batch_norm": lambda x, scale, shift: f.batch_norm(x, None, None, scale, shift, True, n.BATCH_MOMENTUM, n.EPS),
    "max_pool2d": lambda x: f.max_pool2d(x, POOL),
    "mean_pool2d": lambda x: f.avg_pool2d(x, POOL),
    "relu": f.relu,
    "row_sums": lambda x: x.sum((0, 2, 3)),
    "sum": lambda x: x.sum((1, 2, 3)),
    "mean": lambda x: x.mean((0, 2, 3)),
    "dense": f.linear,
    "dropout": f.dropout,
    "softmax": lambda x: f.softmax(x, -1),
    "softmax_cross_entropy": lambda scores, targets: f.cross_entropy(scores, targets, reduction="none"),
}


class Op:
    def __init__(self, case: OpCase, layout: Any, device: str, dropout: bool) -> None:
        self.layout, self.device = layout, device
        self.inputs = {
            name: self._tensor(x.T if name == "weight" else x).requires_grad_(name not in NOT_TRAINED)
            for name, x in case.arrays().items()
        }
        self.arguments = {"p": 0.5 if dropout else 0.0} if case.op == "dropout" else {}
        self.function = OPS[case.op]
        self.dy = self._tensor(case.dy(_as_in_minidl(self.forward()).shape))

    def forward(self) -> Any:
        for x in self.inputs.values():
            x.grad = None
        return self.function(*self.inputs.values(), **self.arguments)

    def backward(self, result: Any) -> None:
        result.backward(self.dy)

    def arrays(self, result: Any) -> dict[str, n.Array]:
        gradients = {f"d{name}": x.grad for name, x in self.inputs.items() if x.grad is not None}
        if "dweight" in gradients:
            gradients["dweight"] = gradients["dweight"].T
        found = {"y": result.detach()} | gradients
        return {name: _as_in_minidl(tensor).cpu().numpy() for name, tensor in found.items()}

    def _tensor(self, array: n.Array) -> Any:
        tensor = torch.from_numpy(array).to(self.device)
        return (
            tensor.permute(0, 3, 1, 2).contiguous(memory_format=self.layout) if array.ndim == 4 else tensor.contiguous()
        )


def _as_in_minidl(tensor: Any) -> Any:
    """Images with their channels last."""
    return tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor


class Convolution:
    def __init__(self, case: n.ConvCase, layout: Any, device: str) -> None:
        arrays = case.arrays()
        modules = list(make_modules(n.Conv(case.inputs, case.outputs)))
        set_weights(modules[0], 0, {f"layers.0.{name}": arrays[name] for name in ("weight", "bias")})
        self.conv = modules[0]
        self.run = nn.Sequential(*modules).to(device, memory_format=layout)
        x, dy = (torch.from_numpy(arrays[name]).to(device).permute(0, 3, 1, 2) for name in ("x", "dy"))
        self.x = x.contiguous(memory_format=layout).requires_grad_(case.needs_input_gradient)
        self.dy = dy.contiguous(memory_format=layout)

    def forward(self) -> Any:
        for tensor in (self.x, *self.run.parameters()):
            tensor.grad = None
        return self.run(self.x)

    def backward(self, result: Any) -> None:
        result.backward(self.dy)

    def arrays(self, result: Any) -> dict[str, n.Array]:
        found = {"y": result.detach().permute(0, 2, 3, 1)}
        if self.conv.weight.grad is not None:
            found |= {"dweight": self.conv.weight.grad.permute(TO_MINIDL[4]), "dbias": self.conv.bias.grad}
        if self.x.grad is not None:
            found["dx"] = self.x.grad.permute(0, 2, 3, 1)
        return {name: tensor.cpu().numpy() for name, tensor in found.items()}
