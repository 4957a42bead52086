"""Networks for and from other libraries: torchvision's weights, Keras's files, ONNX."""

from minidl.interchange.keras_files import (
    numbered_names,
    read_keras_archive,
    read_weights_h5,
    write_keras_archive,
    write_weights_h5,
)
from minidl.interchange.keras_weights import load_keras_weights, save_keras_weights
from minidl.interchange.onnx_export import export_onnx
from minidl.interchange.torchvision import load_torchvision, save_torchvision, torchvision_names

__all__ = [
    "export_onnx", "load_keras_weights", "load_torchvision", "numbered_names", "read_keras_archive", "read_weights_h5",
    "save_keras_weights", "save_torchvision", "torchvision_names", "write_keras_archive", "write_weights_h5",
]  # fmt: skip
