"""Networks: functions that return a Chain."""

from minidl.models.vgg import article_flux, article_keras, vgg11, vgg13, vgg16, vgg19

__all__ = ["article_flux", "article_keras", "vgg11", "vgg13", "vgg16", "vgg19"]
