"""Networks as ONNX files, which other programs run: ONNX Runtime, browsers, phones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minidl.interchange.onnx_graph import Graph, Value
from minidl.interchange.onnx_layers import convert
from minidl.layers import Layer
from minidl.training.checkpoint import replace_file

INPUT = "input"


def export_onnx(path: str | Path, model: Layer, input_shape: Sequence[int]) -> None:
    """Write what `model` computes in evaluation to an ONNX file; `input_shape` with the batch, (1, 32, 32, 3).

    The file's input "input" and output "output" have minidl's layout, images (n, h, w, c), and any batch size; sizes
    behind it are fixed. Dropout is left out. NotImplementedError names a layer or function that has no form in ONNX
    here; TypeError for a network that is not in float32; the errors of the layers for an input that does not fit.
    """
    tensors = model.tensors()
    for name, tensor in tensors.items():
        if tensor.dtype != "float32":
            raise TypeError(
                f"export_onnx: expected float32, but {name} is {tensor.dtype}; call model.to(dtype='float32')"
            )
    graph, x = Graph(tensors), Value(INPUT, (1, *input_shape[1:]))
    data = graph.finished(x, graph.last(convert(graph, model, x)))
    replace_file(path, lambda temporary: temporary.write_bytes(data))
