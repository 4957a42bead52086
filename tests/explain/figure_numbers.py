"""What the engine says of the numbers in a figure: name -> function from its inputs to the outputs it must show."""

import numpy

from minidl import Tensor, grad
from minidl import functions as F


def array(value):
    return numpy.array(value, "float64")


def tensor(value):
    return Tensor(array(value), requires_grad=True)


def conv2d(numbers):
    x, weight = tensor(numbers["x"]), tensor(numbers["weight"])
    bias = tensor([numbers["bias"]])
    h, w = x.shape
    kh, kw = weight.shape
    options = {name: numbers[name] for name in ("stride", "pad", "dilation")}
    y = F.conv2d(x.reshape(1, h, w, 1), weight.reshape(kh, kw, 1, 1), bias, **options)
    _, rows, columns, _ = y.shape
    dy = array(numbers["dy"])
    dx, dweight, dbias = grad((y.reshape(rows, columns) * dy).sum(), [x, weight, bias], create_graph=True)
    return {
        "y": y.numpy().reshape(rows, columns),
        "dx": dx.numpy(),
        "dweight": dweight.numpy(),
        "dbias": dbias.item(),
    }


EXPECTED = {"conv2d": conv2d}
