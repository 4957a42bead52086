"""Padding that a layer works out from its window."""

from __future__ import annotations

from minidl.ops.windows import Sizes, make_windows


class SamePad:
    """pad=SamePad(): as much padding as keeps the size of images, divided by the stride and rounded up, as in Flux.

    Conv((3, 3), (3, 8), pad=SamePad(), stride=2) makes 32 x 32 pixels 16 x 16. A window of size k needs k - 1 pixels,
    half of them on each side; the odd one comes first.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SamePad)

    def __hash__(self) -> int:
        return hash(SamePad)

    def __repr__(self) -> str:
        return "SamePad()"


def padding_for(pad: Sizes | SamePad, size: Sizes, dilation: Sizes = 1, less: Sizes = 1) -> Sizes:
    """`pad` in numbers. `less`: how much smaller than the window it is in all, 1 in each direction."""
    if not isinstance(pad, SamePad):
        return pad
    windows = make_windows("SamePad", size, less, 0, dilation)
    height = windows.dilation_h * (windows.height - 1) + 1 - windows.stride_h
    width = windows.dilation_w * (windows.width - 1) + 1 - windows.stride_w
    if height < 0 or width < 0:
        raise ValueError(f"SamePad: a window of {size} is smaller than the stride {less}, and leaves pixels out")
    return (height + 1) // 2, height // 2, (width + 1) // 2, width // 2
