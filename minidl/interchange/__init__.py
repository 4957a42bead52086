"""Networks for and from other libraries: torchvision's weights, Keras's files, ONNX."""

from minidl.interchange.torchvision import load_torchvision, save_torchvision, torchvision_names

__all__ = ["load_torchvision", "save_torchvision", "torchvision_names"]
