"""Further formats that minidl reads: data sets, images, what students write, and results of benchmarks."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from fuzz_formats import Case, Refused

from benchmarks.results import load_results
from minidl import cli
from minidl.data import CIFAR10, cifar10, download
from minidl.exercises import LESSONS, training
from minidl.exercises.skeleton import skeleton
from minidl.prediction import read_picture

RECORDS = 3  # of a batch file, instead of 10,000
NAMES = [*cifar10.FILES["train"], *cifar10.FILES["test"]]
VERDICTS = ("wrong  ", "to do  ", "       undecided", "minidl: ")
EXERCISE = """
def forward(x):
    return np.where(x < 0, x.dtype.type(0), x)


def gradient(dy, y):
    return np.where(y > 0, dy, dy.dtype.type(0))
"""


def batch(number: int) -> bytes:
    """The content of a batch file."""
    records = np.random.default_rng(number).integers(0, 256, (RECORDS, cifar10.RECORD_BYTES)).astype(np.uint8)
    records[:, 0] = number
    return records.tobytes()


def archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for number, name in enumerate(NAMES):
            info = tarfile.TarInfo(f"{cifar10.SUBFOLDER}/{name}")
            info.size = RECORDS * cifar10.RECORD_BYTES
            tar.addfile(info, io.BytesIO(batch(number)))
    return stream.getvalue()


def numbers(folder: Path) -> tuple[tuple[bytes, bytes], ...]:
    """What training and test images and labels are."""
    parts = [CIFAR10(split, folder, download=False) for split in ("train", "test")]
    return tuple((part.images.tobytes(), part.labels.tobytes()) for part in parts)


@contextmanager
def batches(folder: Path) -> Iterator[Case]:
    """A batch file of CIFAR-10: nothing but labels and pixels, so one number may be another."""
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(batch(number))
    with mock.patch.object(cifar10, "RECORDS_PER_FILE", RECORDS):
        yield Case(folder / NAMES[1], lambda: numbers(folder), others=(batch(9), archive()), digest=False)


@contextmanager
def cifar_archive(folder: Path) -> Iterator[Case]:
    """The archive of CIFAR-10, whose MD5 is published."""
    whole = archive()
    with (
        mock.patch.object(cifar10, "RECORDS_PER_FILE", RECORDS),
        mock.patch.object(cifar10, "MD5", hashlib.md5(whole).hexdigest()),
    ):
        file = folder / cifar10.ARCHIVE
        file.write_bytes(whole)
        yield Case(
            file,
            lambda: numbers(folder),
            others=(batch(0),),
            restore=lambda: shutil.rmtree(folder / cifar10.SUBFOLDER, ignore_errors=True),
        )


@contextmanager
def unpacked(folder: Path) -> Iterator[Case]:
    """Any .tar.gz, were it not for that MD5. gzip has a checksum of 32 bits, and tar one of its headers."""
    target, size = folder / "set", RECORDS * cifar10.RECORD_BYTES
    members = [f"{cifar10.SUBFOLDER}/{name}" for name in NAMES]
    file = folder / "set.tar.gz"
    file.write_bytes(archive())

    def read() -> list[bytes]:
        download.unpack(file, target, members, size)
        return [(target / name).read_bytes() for name in NAMES]

    restore = partial(shutil.rmtree, target, ignore_errors=True)
    yield Case(file, read, others=(batch(0),), restore=restore)


def image(
    kind: str, mode: str = "RGB", digest: bool = False, **options: Any
) -> Callable[[Path], AbstractContextManager[Case]]:
    """An image file. Its pixels are the data, so one may be another, but for a PNG, which has checksums."""

    @contextmanager
    def images(folder: Path) -> Iterator[Case]:
        from PIL import Image

        pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
        file, whole = folder / f"image.{kind}", Image.fromarray(pixels).convert(mode)
        whole.save(file, **options)
        other = io.BytesIO()
        whole.convert("RGB").save(other, "bmp")

        def read() -> tuple[tuple[int, int], bytes]:
            found = read_picture(str(file))
            return found.size, found.pixels.tobytes()

        yield Case(file, read, others=(other.getvalue(), b"GIF89a"), digest=digest)

    return images


@contextmanager
def exercise(folder: Path) -> Iterator[Case]:
    """What a student has written: right or wrong, and never a traceback."""
    lesson, file = LESSONS["relu"], folder / "relu.py"
    file.write_text(skeleton(lesson, str(file)) + EXERCISE)

    def read() -> str:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = cli.main(["exercise", "relu", "--check", "--file", str(file)])
        said = out.getvalue() + err.getvalue()
        if "Traceback" in said or "MINIDL_DEBUG" in said:
            raise AssertionError(said)
        if code == 0:
            return said.splitlines()[-1]
        if not any(line.startswith(VERDICTS) for line in said.splitlines()):
            raise AssertionError(f"no verdict: {said}")
        raise Refused(f"{file}: {' '.join(said.split())}")

    with mock.patch.multiple(training, EPOCHS=1, PATIENCE=0.0):
        yield Case(file, read, others=(b"import nothing_of_the_kind\n", b"raise SystemExit(0)\n", batch(0)))


@contextmanager
def report(folder: Path) -> Iterator[Case]:
    """Read by python -m benchmarks --report and --add. People merge these files, so there is no digest in them."""
    step = {
        "subject": "step", "case": {"network": "vgg19", "batch": 64, "threads": 2}, "unit": "s",
        "values": {"minidl": [[1.0, 1.5], [1.25]], "keras": [[2.0], [2.5, 3.0]]},
        "checks": {"keras": {"scores": 1e-7}}, "failed": {}, "extra": {},
    }  # fmt: skip
    machine = {"cpu": "a cpu", "cores": 2, "vector_features": ["avx2"], "memory_gb": 16.0, "system": "Linux x86_64"}
    session = {
        "started": "2026-01-01", "revision": "0123456789", "machine": machine, "load": {"start": [0.5], "end": []},
        "versions": {"minidl": {"minidl": "0.1.0"}}, "settings": {"tiny": False}, "notes": ["a note"],
        "absent": {"pytorch": "not installed"}, "measurements": [step],
    }  # fmt: skip
    file = folder / "results.json"
    file.write_text(json.dumps({"sessions": [session]}))
    yield Case(file, lambda: load_results(folder), digest=False)


FORMATS = {
    "batches": batches,
    "archive": cifar_archive,
    "unpacked": unpacked,
    "png": image("png", digest=True),
    "png-alpha": image("png", "RGBA", digest=True),
    "png-palette": image("png", "P", digest=True),
    "jpeg": image("jpeg"),
    "gif": image("gif", "P"),
    "bmp": image("bmp"),
    "webp": image("webp"),
    "tiff": image("tiff", compression="tiff_lzw"),
    "ppm": image("ppm"),
    "tga": image("tga"),
    "exercise": exercise,
    "report": report,
}
