"""Small files that would become large: their sizes are looked at before their numbers, so they take no memory."""

import gzip
import io
import struct
import tarfile
import zlib

import pytest
from peak_memory import said_and_peak

MOST = 40  # MB, beside what a process has that does nothing; a bomb would take hundreds or thousands
READ = "import sys\nfrom minidl.prediction import read_picture\nfrom PIL import Image\nImage.init()\n"
UNPACK = "import sys\nfrom pathlib import Path\nfrom minidl.data.download import unpack\n"


def png(width, height, colour_type=6, rows=None):
    """A PNG of one colour, compressed a thousandfold; whole, or with some of its rows."""
    channels = {2: 3, 6: 4, 3: 1}[colour_type]
    compressor = zlib.compressobj(1)
    row = bytes(1 + width * channels)
    body = b"".join(compressor.compress(row) for _ in range(rows or height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    palette = [(b"PLTE", bytes(3)), (b"tRNS", b"\x80")] if colour_type == 3 else []
    chunks = [(b"IHDR", header), *palette, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def ico(image):
    """An icon that says it is of one pixel, and holds another image."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 1, 1, 0, 0, 1, 32, len(image), 22) + image


GIF_SIZE = struct.pack("<HH", 60_000, 60_000)
PICTURES = {
    "png": lambda: png(8_000, 8_000),
    "palette": lambda: png(13_000, 13_000, 3),
    "larger": lambda: png(60_000, 60_000, 3, rows=100),
    "icon": lambda: ico(png(8_000, 8_000)),
    "bmp": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 20_000, 20_000, 1, 24, 0, 0, 1, 1, 0, 0),
    "gif": lambda: b"GIF89a" + GIF_SIZE + bytes(3) + b",\0\0\0\0" + GIF_SIZE + b"\0\2\2L\1\0;",
}  # fmt: skip


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture(tmp_path, kind):
    pytest.importorskip("PIL")
    (tmp_path / "bomb.png").write_bytes(PICTURES[kind]())
    assert (tmp_path / "bomb.png").stat().st_size < 2_000_000
    said, peak = said_and_peak(READ, "read_picture(sys.argv[1])", tmp_path / "bomb.png")
    assert said.startswith(f"{tmp_path}/bomb.png: ")
    assert "\n" not in said
    assert peak < MOST


@pytest.mark.slow
def test_the_largest_picture_that_is_read(tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "large.png").write_bytes(png(7_000, 7_000, 2))
    said, peak = said_and_peak(READ, "print(read_picture(sys.argv[1]).size)", tmp_path / "large.png")
    assert said == "(7000, 7000)"
    assert peak < 800


def archive(*members):
    """A .tar.gz of zeros: (name, size, kind of header)."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as file:
        for name, size, kind in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = size, kind
            file.write(info.tobuf())
            for _ in range(size >> 20):
                file.write(bytes(1 << 20))
        file.write(bytes(1024))
    return stream.getvalue()


ARCHIVES = {
    "a member": [("set/a.bin", 100 << 20, tarfile.REGTYPE)],
    "a member beside": [("other", 100 << 20, tarfile.REGTYPE), ("set/a.bin", 0, tarfile.REGTYPE)],
    "a header": [("x", 100 << 20, tarfile.XHDTYPE)],
    "a long name": [("x", 100 << 20, tarfile.GNUTYPE_LONGNAME)],
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive(tmp_path, kind):
    (tmp_path / "bomb.tar.gz").write_bytes(archive(*ARCHIVES[kind]))
    work = "unpack(Path(sys.argv[1]), Path(sys.argv[2]), ['set/a.bin'], 100)"
    said, peak = said_and_peak(UNPACK, work, tmp_path / "bomb.tar.gz", tmp_path / "set")
    assert said.startswith(f"{tmp_path}/bomb.tar.gz: cannot be unpacked: ")
    assert peak < MOST
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.tar.gz"]
