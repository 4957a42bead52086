"""What a trained network makes of image files: `minidl predict`. Reading them takes Pillow, the extra `images`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.data import DataLoader, classes_of
from minidl.functions import softmax
from minidl.layers import Chain
from minidl.modes import evaluation_mode, no_grad
from minidl.recipe import EVALUATION_BATCH, PREPROCESSING, build, ends_in_softmax, load_weights, read_settings
from minidl.training.run_folder import RunFolder

SIZE = 32  # pixels, of all data sets
# Of all that Pillow knows, without those that start another program (EPS) or hold images of other sizes (ICO, ICNS)
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF")
MOST_PIXELS = 50_000_000  # of an image file; they take up to 16 bytes each while it is read


@dataclass(frozen=True)
class Picture:
    """An image file as the network sees it: pixels (32, 32, 3) uint8; `size` is the file's own (width, height)."""

    path: str
    size: tuple[int, int]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """Every class with its probability, the most probable first."""

    picture: Picture
    classes: list[tuple[str, float]]

    def as_json(self, top: int) -> dict[str, Any]:
        """In plain things, with the `top` most probable classes."""
        classes = [{"name": name, "probability": probability} for name, probability in self.classes[:top]]
        return {"image": self.picture.path, "size": self.picture.size, "classes": classes}


def read_pictures(paths: Sequence[str]) -> tuple[list[Picture], dict[str, str]]:
    """All images that can be read, and for each other path what is wrong with it. ImportError without Pillow."""
    pictures, problems = [], {}
    for path in paths:
        try:
            pictures.append(read_picture(path))
        except (OSError, ValueError) as error:
            problems[path] = str(error)
    return pictures, problems


def read_picture(path: str) -> Picture:
    """Turn an image file the right way up, make it RGB, cut out the square in its middle, and resize that.

    An image of 32 x 32 pixels stays as it is; what is transparent becomes white, as viewers show it. OSError or
    ValueError, which name the file, for one that is missing, of none of FORMATS, of more than MOST_PIXELS, or that
    cannot be read; ImportError without Pillow.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(f"Pillow is missing ({error}), which reads images; install it with: "
                          f"pip install 'minidl[images]'") from None  # fmt: skip
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected an image file, found {_found(Path(path))}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about parts of a file that do not matter here
            Image.init()
            formats = [name for name in FORMATS if name in Image.OPEN]
            with Image.open(path, formats=formats) as image:  # which reads the header alone
                _check_header(image.size, image.mode)
                image.verify()  # the checksums of a PNG; other formats have none
            with Image.open(path, formats=formats) as image:
                ImageOps.exif_transpose(image, in_place=True)  # as cameras mark it
                square = _middle(image)
            if square.has_transparency_data:  # its colours may be anything where nothing is to be seen
                rgba = square.convert("RGBA")
                square = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
            rgb = square.convert("RGB")
    except _HeaderError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # of many kinds: each format's reader has its own
        raise ValueError(f"{path}: not an image that can be read: {' '.join(str(error).split())}") from None
    pixels = np.asarray(rgb.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
    return Picture(path, image.size, pixels)


class _HeaderError(ValueError):
    """An image whose pixels need not be looked at."""


def _check_header(size: tuple[int, int], mode: str) -> None:
    if size[0] * size[1] > MOST_PIXELS:  # a file of a few kilobytes can have more than there is memory for
        raise _HeaderError(f"expected at most {MOST_PIXELS:,} pixels, got {size[0]:,} x {size[1]:,}; make it smaller")
    if mode[0] in "IF":  # convert() would cut off what does not fit into 8 bits
        raise _HeaderError(f"expected 8 bits a colour, got Pillow's mode {mode!r}; convert the image first")


def _middle(image: Any) -> Any:
    """The square in the middle of an image of Pillow's, cut out: resize() would look beyond the edges of a box."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def predict(run: str, pictures: Sequence[Picture], backend: str | None = None) -> list[Prediction]:
    """What the network in a run folder, or in a checkpoint inside one, makes of each picture.

    They are prepared as the test images of its training were. `backend` stands in for that of the run.
    """
    folder = RunFolder(run if Path(run).is_dir() else Path(run).parent)
    if not Path(run).exists():
        raise FileNotFoundError(f"{run}: expected a run folder or a checkpoint in one, found nothing there")
    settings = read_settings(folder, backend)
    model, classes = build(settings), classes_of(settings.data)
    load_weights(run, model)
    if not pictures:
        return []
    pixels = np.stack([picture.pixels for picture in pictures])
    believed = probabilities(model, DataLoader(pixels, EVALUATION_BATCH, augment=PREPROCESSING))
    return [
        Prediction(picture, sorted(zip(classes, map(float, row), strict=True), key=lambda pair: -pair[1]))
        for picture, row in zip(pictures, believed, strict=True)
    ]


def probabilities(model: Chain, batches: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """What the network believes of at least one batch (n, ...), in evaluation: rows (classes,) that add up to 1.

    A network that ends in softmax gives them by itself.
    """
    parts, gives_probabilities = [], ends_in_softmax(model)
    with no_grad(), evaluation_mode():
        for batch in batches:
            scores = model(batch)
            parts.append((scores if gives_probabilities else softmax(scores)).numpy())
    return np.concatenate(parts)


def _found(path: Path) -> str:
    return "a folder" if path.is_dir() else "nothing there"
