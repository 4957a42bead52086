"""Scores into probabilities, along the last axis."""

import warnings

from minidl.backend import ieee
from minidl.modes import is_recording
from minidl.operands import operands
from minidl.tensor import Operand, Tensor, op_name, record


@ieee
def softmax(x: Operand) -> Tensor:
    """Probabilities from scores (..., classes): y[k] = exp(x[k]) / sum over l of exp(x[l])."""
    (x,) = operands("softmax", x)
    _check_classes("softmax", x)
    warn_of_second_softmax("softmax", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        y = softmax(x)
        return (y * (dy - (dy * y).sum(-1, keepdims=True)),)

    return record(x.backend.kernels(__package__).softmax(x.array), (x,), backward)


@ieee
def logsoftmax(x: Operand) -> Tensor:
    """log(softmax(x)) of scores (..., classes), exact where the probability is too small to be told from 0."""
    (x,) = operands("logsoftmax", x)
    _check_classes("logsoftmax", x)
    warn_of_second_softmax("logsoftmax", x)

    def backward(dy: Tensor) -> tuple[Tensor]:
        return (dy - softmax(x) * dy.sum(-1, keepdims=True),)

    return record(x.backend.kernels(__package__).logsoftmax(x.array), (x,), backward)


def warn_of_second_softmax(op: str, x: Tensor) -> None:
    """Warn when x, which `op` takes for scores, came out of softmax already."""
    if is_recording() and op_name(x) in ("softmax", "logsoftmax"):  # a backward pass would warn again
        warnings.warn(
            f"{op} was given the result of {op_name(x)}, but expects scores: softmax is applied twice, which weakens "
            f"every gradient. Remove the softmax, or use crossentropy, which expects probabilities",
            stacklevel=4,  # past @ieee
        )


def _check_classes(op: str, x: Tensor) -> None:
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"{op}: expected scores (..., classes) with at least one class, got {x.shape}")
