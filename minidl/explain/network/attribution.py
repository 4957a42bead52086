"""What in an image a network looks at: gradient saliency and occlusion, and the filters of its first layer."""

from __future__ import annotations

import html
from typing import Any

import numpy
from numpy.typing import NDArray

from minidl.explain.charts import as_bytes, image
from minidl.layers import Chain, Conv
from minidl.modes import evaluation_mode
from minidl.prediction import probabilities
from minidl.tensor import Tensor, grad

Images = NDArray[Any]  # (n, h, w, c) float32 from 0 to 1

PATCH, STRIDE = 8, 4  # pixels: of the square that covers, and how far it moves
SHOWN = 96  # pixels that an image is wide on the page


def saliency(model: Chain, images: Images, classes: NDArray[Any]) -> NDArray[Any]:
    """Maps (n, h, w): how much each pixel would change the score of its image's class, of `classes` (n,).

    The largest absolute gradient of the three colours (Simonyan, Vedaldi and Zisserman 2013).
    """
    x = Tensor(images, model.backend, requires_grad=True)
    with evaluation_mode():
        scores = model(x)
        chosen = numpy.eye(scores.shape[1], dtype=scores.dtype)[classes]
        (dx,) = grad((scores * x.backend.asarray(chosen)).sum(), x)
    maps: NDArray[Any] = numpy.abs(dx.numpy()).max(axis=3)
    return maps


def occlusion(model: Chain, images: Images, classes: NDArray[Any], before: NDArray[Any]) -> NDArray[Any]:
    """Maps (n, rows, columns): how far a probability falls from `before` (n,) where a square covers the image.

    Zeiler and Fergus 2013; the square is grey, patch_size() pixels wide, and moves by STRIDE.
    """
    n, h, w, _ = images.shape
    size = patch_size(images)
    places = [(i, j) for i in range(0, h - size + 1, STRIDE) for j in range(0, w - size + 1, STRIDE)]
    falls = []
    for i, j in places:
        covered = images.copy()
        covered[:, i : i + size, j : j + size] = 0.5
        falls.append(before - probabilities(model, [covered])[numpy.arange(n), classes])
    return numpy.stack(falls, axis=1).reshape(n, -1, len({j for _, j in places}))


def patch_size(images: Images) -> int:
    """PATCH, or half of images that are smaller than two of them."""
    return max(1, min(PATCH, *(int(side) // 2 for side in images.shape[1:3])))


def attribution_maps(model: Chain, images: Images, believed: NDArray[Any], names: list[str]) -> str:
    """Each image beside its two maps, for the class that it most probably shows; believed (n, classes)."""
    classes, shares, size = believed.argmax(axis=1), believed.max(axis=1), patch_size(images)
    maps, covered = saliency(model, images, classes), occlusion(model, images, classes, shares)
    items = []
    for k, pixels in enumerate(images):
        name = names[classes[k]]
        pictures = (
            image(as_bytes(pixels), f"The image, taken for {name}", SHOWN),
            image(_grey(maps[k]), "Saliency: where a small change would matter", SHOWN),
            image(_grey(covered[k].clip(0, None)), "Occlusion: where covering makes it less sure", SHOWN),
        )
        caption = f"{html.escape(name)}, {shares[k]:.0%}"
        items.append(f'<li style="max-width:20rem"><div class="pair">{"".join(pictures)}</div>{caption}</li>')
    return (
        "<p>Beside each image: how much the score of the chosen class changes with each pixel (the gradient), and how "
        f"much its probability falls when a grey square of {size} × {size} pixels covers that place. White is "
        "most.</p>"
        f'<ul class="gallery">{"".join(items)}</ul>'
    )


def first_filters(model: Chain) -> str:
    """The filters of the first convolution as small images; a sentence where the network has none."""
    first = next((layer for layer in model.layers_inside() if isinstance(layer, Conv)), None)
    if first is None:
        return "<p>This network has no convolution.</p>"
    weight = first.weight.numpy()  # (kh, kw, c, f)
    if weight.shape[2] != 3:
        weight = weight.mean(axis=2, keepdims=True, dtype=numpy.float64).repeat(3, axis=2)
    low, high = weight.min(axis=(0, 1, 2)), weight.max(axis=(0, 1, 2))
    tiles = ((weight - low) / numpy.where(high > low, high - low, 1)).transpose(3, 0, 1, 2)
    items = "".join(f"<li>{image(as_bytes(tile), f'Filter {k}', 44)}</li>" for k, tile in enumerate(tiles))
    return (
        f"<p>{len(tiles)} filters of {html.escape(first.code())}, each stretched from black to white: a filter answers "
        f'where the image looks like it.</p><ul class="gallery" style="gap:.4rem">{items}</ul>'
    )


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    return as_bytes(numpy.nan_to_num(values / (values.max() or 1.0))[..., None])
