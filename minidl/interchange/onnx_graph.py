"""An ONNX graph that grows node by node.

ONNX's operators on images want channels first, (n, c, h, w), minidl keeps them last. A value knows which it has; it is
transposed only where the next operator needs the other: once in front of the first convolution, and again before
flatten, whose order of numbers depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy

from minidl.backend import Array
from minidl.tensor import Tensor

OPSET, IR_VERSION = 20, 9  # the first with Gelu; onnx 1.15, ONNX Runtime 1.17 and newer know them
BATCH = "batch"  # the name of the axis whose length is left open


@dataclass(frozen=True)
class Value:
    """Something computed in the graph. `shape` is minidl's, channels last, for a batch of one."""

    name: str
    shape: tuple[int, ...]
    channels_first: bool = False


class Graph:
    """Nodes and constants; `tensors` are the network's, whose names the weights get."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        try:
            self.onnx = import_module("onnx")
        except ImportError as error:
            raise ImportError(
                f"export_onnx needs onnx ({error}); install it with: pip install 'minidl[onnx]'"
            ) from None
        self.names = {id(x): name for name, x in tensors.items()}
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, whose name is returned. An input called "" is left out."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def constant(self, name: str, array: Array) -> str:
        """Add numbers to the file, once; other numbers, or of another shape, get another name. Returns the name."""
        made = self.onnx.numpy_helper.from_array(numpy.ascontiguousarray(array), name)
        there = self.constants.get(name)
        if there is not None and (there.dims, there.raw_data) != (made.dims, made.raw_data):
            return self.constant(f"{name}_{len(self.constants)}", array)
        self.constants[name] = made
        return name

    def weight(self, x: Tensor, axes: Sequence[int] | None = None) -> str:
        """Add a tensor of the network, with its axes in this order."""
        return self.constant(self.names[id(x)], x.numpy() if axes is None else x.numpy().transpose(axes))

    def first(self, x: Value) -> Value:
        """Images with their channels first."""
        if x.channels_first:
            return x
        return replace(x, name=self.node("Transpose", x.name, perm=[0, 3, 1, 2]), channels_first=True)

    def last(self, x: Value) -> Value:
        """x as minidl has it."""
        if not x.channels_first:
            return x
        return replace(x, name=self.node("Transpose", x.name, perm=[0, 2, 3, 1]), channels_first=False)

    def finished(self, x: Value, y: Value) -> bytes:
        """The file: from input x to output y."""
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        self.nodes.append(helper.make_node("Identity", [y.name], ["output"], "output"))
        ends = [helper.make_tensor_value_info(name, kind, [BATCH, *value.shape[1:]])
                for name, value in ((x.name, x), ("output", y))]  # fmt: skip
        graph = helper.make_graph(self.nodes, "minidl", ends[:1], ends[1:], list(self.constants.values()))
        model = helper.make_model(
            graph, producer_name="minidl", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
        )
        data: bytes = model.SerializeToString()
        return data
