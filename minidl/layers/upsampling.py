"""Larger images."""

from typing import Any

import numpy

from minidl.layers.layer import Layer, arguments
from minidl.operands import is_whole_number, operands
from minidl.ops.arithmetic import matmul
from minidl.ops.shaping import broadcast_to
from minidl.tensor import Operand, Tensor

MODES = ("nearest", "bilinear")


class Upsample(Layer):
    """Make images `scale` times as high and wide: (n, h, w, c) -> (n, scale * h, scale * w, c).

    mode "nearest" repeats each pixel; "bilinear" draws straight lines between them, with the corners of both images in
    the same places, as Flux's Upsample does.
    """

    def __init__(self, scale: int, mode: str = "nearest") -> None:
        if not is_whole_number(scale) or scale < 1:
            raise ValueError(f"Upsample: expected a scale that is a whole number from 1, got {scale!r}")
        if mode not in MODES:
            raise ValueError(f"Upsample: expected one of the modes {', '.join(MODES)}, got {mode!r}")
        self.scale, self.mode = scale, mode

    def __call__(self, x: Operand) -> Tensor:
        (x,) = operands("Upsample", x)
        if x.ndim != 4:
            raise ValueError(f"Upsample: expected images (n, h, w, c), got {x.shape}")
        return repeated(x, self.scale, self.scale) if self.mode == "nearest" else self._drawn(x)

    def _drawn(self, x: Tensor) -> Tensor:
        """Along the height, then along the width: each a product with a matrix of two numbers a row."""
        n, h, w, c = x.shape
        rows, columns = (Tensor(_line(size, self.scale, x.dtype), x.backend) for size in (h, w))
        taller = matmul(rows, x.reshape(n, h, w * c)).reshape(n * h * self.scale, w, c)
        return matmul(columns, taller).reshape(n, h * self.scale, w * self.scale, c)

    def code(self) -> str:
        return f"{type(self).__name__}({arguments(self.scale, mode=(self.mode, 'nearest'))})"


def repeated(x: Tensor, high: int, wide: int) -> Tensor:
    """Each pixel of images (n, h, w, c) as a block of high x wide."""
    n, h, w, c = x.shape
    blocks = broadcast_to(x.reshape(n, h, 1, w, 1, c), (n, h, high, w, wide, c))
    return blocks.reshape(n, h * high, w * wide, c)


def _line(size: int, scale: int, dtype: Any) -> Any:
    """(scale * size, size): how much of each pixel is in each new one, along one axis."""
    places = numpy.linspace(0, size - 1, scale * size)  # of the new pixels among the old
    before = numpy.minimum(places.astype(int), max(0, size - 2))
    matrix, new = numpy.zeros((scale * size, size), dtype), numpy.arange(scale * size)
    matrix[new, before] = 1 - (places - before)
    if size > 1:
        matrix[new, before + 1] = places - before
    return matrix
