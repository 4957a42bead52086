"""Larger images."""

import numpy

from minidl.layers.layer import Layer, arguments
from minidl.operands import is_whole_number, operands
from minidl.ops.elementwise import where
from minidl.ops.shaping import broadcast_to, getitem
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
        """Along the height, then along the width."""
        for axis in (1, 2):
            x = _stretched(x, axis, self.scale)
        return x

    def code(self) -> str:
        return f"{type(self).__name__}({arguments(self.scale, mode=(self.mode, 'nearest'))})"


def repeated(x: Tensor, high: int, wide: int) -> Tensor:
    """Each pixel of images (n, h, w, c) as a block of high x wide."""
    n, h, w, c = x.shape
    blocks = broadcast_to(x.reshape(n, h, 1, w, 1, c), (n, h, high, w, wide, c))
    return blocks.reshape(n, h * high, w * wide, c)


def _stretched(x: Tensor, axis: int, scale: int) -> Tensor:
    """Each new pixel from the two that it lies between. It sees no other one, be that nan; nor the second one where it
    lies on the first."""
    size = x.shape[axis]
    places = numpy.linspace(0, size - 1, scale * size)  # of the new pixels among the old
    before = numpy.minimum(places.astype(int), max(0, size - 2))
    after = numpy.minimum(before + 1, size - 1)
    shares = (places - before).astype(x.dtype).reshape([-1 if number == axis else 1 for number in range(4)])
    first, second = (getitem(x, (slice(None),) * axis + (pixels,)) for pixels in (before, after))
    share = Tensor(x.backend.asarray(shares), x.backend)
    return _part(1 - share, first) + _part(share, second)


def _part(share: Tensor, pixels: Tensor) -> Tensor:
    """share * pixels, and 0 where the share is 0, whatever the pixels are."""
    return share * where(share > 0, pixels, 0.0)
