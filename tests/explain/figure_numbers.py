"""What the engine says of the numbers in a figure: name -> function from its inputs to the outputs it must show."""

import numpy

from minidl import BatchNorm, Tensor, grad, training_mode
from minidl import functions as F
from minidl.explain.atlas.optimiser_steps import RULES


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


def batch_norm(numbers):
    inputs = [
        tensor(numpy.reshape(numbers[name], shape)) for name, shape in (("x", (-1, 1)), ("scale", 1), ("shift", 1))
    ]
    y, mean, variance = F.batch_norm(*inputs)
    dx, dscale, dshift = grad((y * array(numbers["dy"]).reshape(-1, 1)).sum(), inputs, create_graph=True)
    layer = BatchNorm(1).to(dtype="float64")
    for _ in range(numbers["seen"]):
        with training_mode():
            layer(inputs[0])
    layer.scale.array[...], layer.shift.array[...] = numbers["scale"], numbers["shift"]
    return {
        "y": y.numpy().ravel(), "mean": mean[0], "variance": variance[0], "dx": dx.numpy().ravel(),
        "dscale": dscale.item(), "dshift": dshift.item(), "evaluated": layer(inputs[0]).numpy().ravel(),
        "runningMean": layer.mean.item(), "runningVariance": layer.variance.item(),
    }  # fmt: skip


def dropout(numbers):
    key = (numbers["seed"], numbers["step"], 0)
    x = tensor(numbers["x"])
    y = F.dropout(x, numbers["rate"], key)
    (dx,) = grad((y * array(numbers["dy"])).sum(), x, create_graph=True)
    return {"y": y.numpy(), "dx": dx.numpy()}


def optimiser_steps(numbers):
    names = {"momentum": "momentum", "nesterov": "momentum", "rmsprop": "decay"}
    settings = {names[numbers["rule"]]: numbers["keep"]} if numbers["rule"] in names else {}
    if numbers["rule"] == "adam":
        settings = {"betas": (numbers["keep"], 0.999)}
    optimiser = RULES[numbers["rule"]](numbers["rate"], **settings)
    w = tensor([numbers["a"], numbers["b"]])
    path, losses = [], []
    for _ in numbers["path"]:
        loss = (w * w * array([1, numbers["steepness"]])).sum() / 2
        path.append(w.numpy().copy())
        losses.append(loss.item())
        loss.backward()
        optimiser.step({"w": w})
    return {"path": path, "losses": losses}


def pooling(pool):
    def expected(numbers):
        x = tensor(numbers["x"])
        y = pool(x.reshape(1, *x.shape, 1), numbers["size"], numbers["stride"], numbers["pad"])
        y = y.reshape(y.shape[1:3])
        (dx,) = grad((y * array(numbers["dy"])).sum(), x, create_graph=True)
        return {"y": y.numpy(), "dx": dx.numpy()}

    return expected


def dense(numbers):
    inputs = [tensor(numbers[name]) for name in ("x", "weight", "bias")]
    y = F.dense(*inputs)
    gradients = grad((y * array(numbers["dy"])).sum(), inputs, create_graph=True)
    return {"y": y.numpy()} | {
        f"d{name}": dx.numpy() for name, dx in zip(("x", "weight", "bias"), gradients, strict=True)
    }


def elementwise_or_sums(function):
    def expected(numbers):
        x = tensor(numbers["x"])
        y = function(x)
        (dx,) = grad((y * array(numbers["dy"])).sum(), x, create_graph=True)
        return {"y": y.numpy(), "dx": dx.numpy()}

    return expected


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
    "batch_norm": batch_norm,
    "dense": dense,
    "dropout": dropout,
    "max_pool2d": pooling(F.max_pool2d),
    "mean_pool2d": pooling(F.mean_pool2d),
    "optimiser_steps": optimiser_steps,
    "conv2d": conv2d,
    "relu": elementwise_or_sums(F.relu),
    "sum": elementwise_or_sums(F.row_sums),
    "softmax": softmax,
    "softmax_cross_entropy": softmax_cross_entropy,
}
