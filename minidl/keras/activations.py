"""keras.activations: by name, and as functions with Keras's arguments.

get() hands out minidl's own functions where they are the same, because layers recognise those and compute some of them
together with a convolution or a loss.
"""

import math
from collections.abc import Callable
from typing import Any

from minidl import functions as F
from minidl.keras.objects import find
from minidl.tensor import Operand, Tensor

Activation = Callable[..., Tensor]

__all__ = [
    "celu", "elu", "exponential", "gelu", "get", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu",
    "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "serialize", "sigmoid", "silu", "softmax",
    "softplus", "softsign", "swish", "tanh",
]  # fmt: skip


def linear(x: Operand) -> Tensor:
    """x: no activation."""
    return F.identity(x)


def relu(x: Operand, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """x above the threshold, at most max_value; negative_slope * (x - threshold) below it."""
    y = F.relu(x) if threshold == 0 else F.where(x > threshold, x, 0.0)
    if max_value is not None:
        y = F.clip(y, 0.0, max_value)
    return y - negative_slope * F.relu(threshold - x) if negative_slope else y


def leaky_relu(x: Operand, negative_slope: float = 0.2) -> Tensor:
    """x for x > 0, else negative_slope * x; minidl's leakyrelu has 0.01."""
    return F.leakyrelu(x, negative_slope)


def relu6(x: Operand) -> Tensor:
    """relu(x), at most 6."""
    return relu(x, max_value=6.0)


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """Probabilities from scores along `axis`."""
    return _along(F.softmax, x, axis)


def log_softmax(x: Operand, axis: int = -1) -> Tensor:
    """log(softmax(x)) along `axis`."""
    return _along(F.logsoftmax, x, axis)


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x for x > 0, else alpha * (e ** x - 1) (Clevert et al. 2015)."""
    return F.elu(x, alpha)


def celu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x for x > 0, else alpha * (e ** (x / alpha) - 1) (Barron 2017)."""
    return F.relu(x) + alpha * (F.exp(F.minimum(x, 0.0) / alpha) - 1)


def selu(x: Operand) -> Tensor:
    """1.0507 * elu(x, 1.6733), which keeps mean 0 and variance 1 through layers (Klambauer et al. 2017)."""
    return 1.0507009873554805 * F.elu(x, 1.6732632423543772)


def gelu(x: Operand, approximate: bool = False) -> Tensor:
    """x * P(normal < x) (Hendrycks and Gimpel 2016), exact; with approximate, minidl's gelu, by tanh."""
    if approximate:
        return F.gelu(x)
    return 0.5 * x * (1 + F.erf(x * math.sqrt(0.5)))


def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + e ** -x)"""
    return F.sigmoid(x)


def log_sigmoid(x: Operand) -> Tensor:
    """log(sigmoid(x))"""
    return -F.softplus(-x)


def hard_sigmoid(x: Operand) -> Tensor:
    """x / 6 + 1 / 2, limited to 0...1."""
    return F.clip(x / 6 + 0.5, 0.0, 1.0)


def silu(x: Operand) -> Tensor:
    """x * sigmoid(x), which is also called swish (Ramachandran et al. 2017)."""
    return F.swish(x)


def hard_silu(x: Operand) -> Tensor:
    """x * hard_sigmoid(x), which is also called hard_swish (Howard et al. 2019)."""
    return x * hard_sigmoid(x)


def mish(x: Operand) -> Tensor:
    """x * tanh(softplus(x)) (Misra 2019)."""
    return x * F.tanh(F.softplus(x))


def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent."""
    return F.tanh(x)


def hard_tanh(x: Operand) -> Tensor:
    """x, limited to -1...1."""
    return F.clip(x, -1.0, 1.0)


def softplus(x: Operand) -> Tensor:
    """log(1 + e ** x)"""
    return F.softplus(x)


def softsign(x: Operand) -> Tensor:
    """x / (1 + |x|)"""
    return x / (1 + F.absolute(x))


def exponential(x: Operand) -> Tensor:
    """e ** x"""
    return F.exp(x)


swish, hard_swish = silu, hard_silu

MINIDLS: dict[Activation, Activation] = {
    linear: F.identity, relu: F.relu, softmax: F.softmax, log_softmax: F.logsoftmax, elu: F.elu, sigmoid: F.sigmoid,
    silu: F.swish, tanh: F.tanh, softplus: F.softplus, exponential: F.exp,
}  # fmt: skip
OWN = [leaky_relu, relu6, celu, selu, gelu, log_sigmoid, hard_sigmoid, hard_silu, mish, hard_tanh, softsign]
NAMES = {minidls: own.__name__ for own, minidls in MINIDLS.items()} | {own: own.__name__ for own in OWN}
KNOWN = {name: function for function, name in NAMES.items()}
KNOWN |= {"swish": F.swish, "hard_swish": hard_silu}
MISSING = [
    "glu", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "tanh_shrink",
    "threshold",
]  # fmt: skip


def get(identifier: Any) -> Activation:
    """The function of a name, minidl's own where there is one; a function itself; no activation for None.

    ValueError for anything else, NotImplementedError for a name that only Keras has.
    """
    found: Activation = F.identity if identifier is None else find("activation", identifier, KNOWN, MISSING)
    return MINIDLS.get(found, found)


def serialize(activation: Activation) -> str:
    """Keras's name of an activation, which get() takes; ValueError for a function that has none."""
    function = get(activation)
    if function not in NAMES:
        raise ValueError(
            f"activation: expected one of {', '.join(sorted(KNOWN))}, which have names, got {activation!r}"
        )
    return NAMES[function]


def _along(function: Activation, x: Operand, axis: int) -> Tensor:
    """The function along `axis`; minidl's work along the last one."""
    x = F.identity(x)
    if axis in (-1, x.ndim - 1):
        return function(x)
    order = list(range(x.ndim))
    order[axis], order[-1] = order[-1], order[axis]  # its own inverse
    return function(x.transpose(*order)).transpose(*order)
