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


def softmax(numbers):
    x = tensor(numbers["x"])
    y = F.softmax(x)
    rows = [grad(F.softmax(x)[k], x)[0].numpy() for k in range(x.size)]
    (dx,) = grad((y * array(numbers["dy"])).sum(), x)
    return {"y": y.numpy(), "logy": F.logsoftmax(x).numpy(), "dx": dx.numpy(), "jacobian": rows}


def softmax_cross_entropy(numbers):
    x = tensor([numbers["x"]])
    losses = F.softmax_cross_entropy(x, array([numbers["targets"]]))
    (dx,) = grad(losses.sum(), x)
    return {"loss": losses.item(), "dx": dx.numpy()[0], "y": F.softmax(x).numpy()[0]}


EXPECTED = {
    "conv2d": conv2d,
    "softmax": softmax,
    "softmax_cross_entropy": softmax_cross_entropy,
}
