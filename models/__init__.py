"""Networks: functions that return a Chain."""

from minidl.models.resnet import resnet18, resnet34
from minidl.models.small import lenet, mlp, small_cnn
from minidl.models.vgg import article_flux, article_keras, vgg11, vgg13, vgg16, vgg19

__all__ = [
    "article_flux", "article_keras", "lenet", "mlp", "resnet18", "resnet34", "small_cnn", "vgg11", "vgg13", "vgg16",
    "vgg19",
]  # fmt: skip
