"""Softmax and cross-entropy in one, which is both faster and exact for very unlikely classes."""

from minidl.backend import ieee
from minidl.operands import operands
from minidl.ops.softmax.op import logsoftmax, softmax, warn_of_second_softmax
from minidl.tensor import Operand, Tensor, record


@ieee
def softmax_cross_entropy(scores: Operand, targets: Operand) -> Tensor:
    """-sum over k of targets[k] * log(softmax(scores)[k]): scores and targets (n, classes) -> losses (n,).

    Targets are one-hot rows or any weights of the classes. ValueError when the shapes differ.
    """
    scores, targets = operands("softmax_cross_entropy", scores, targets)
    if scores.ndim != 2 or scores.shape != targets.shape:
        raise ValueError(f"softmax_cross_entropy: expected scores and targets (n, classes), got {scores.shape} and "
                         f"{targets.shape}; turn labels into rows with onehotbatch()")  # fmt: skip
    warn_of_second_softmax("softmax_cross_entropy", scores)

    def backward(dlosses: Tensor) -> tuple[Tensor | None, Tensor | None]:
        dy = dlosses.reshape(-1, 1)
        return (
            dy * (softmax(scores) * targets.sum(-1, keepdims=True) - targets) if scores.requires_grad else None,
            -dy * logsoftmax(scores) if targets.requires_grad else None,
        )

    losses = scores.backend.kernels(__package__).forward(scores.array, targets.array)
    return record(losses, (scores, targets), backward)
