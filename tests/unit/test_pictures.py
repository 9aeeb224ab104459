"""Pictures of every mode become plain RGB, and what is no picture says so."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from whygen.errors import DataError, MissingError
from whygen.media import pictures
from whygen.types import Picture

RED = (200, 30, 40)


def with_a_clear_colour() -> Image.Image:
    """A palette picture whose first colour stands for transparency, and which is all of that colour."""
    image = Image.new("P", (6, 4), 0)
    image.putpalette([*RED, 0, 0, 0])
    image.info["transparency"] = 0
    return image


def sixteen_bit_colour() -> bytes:
    """A PNG of three channels with 16 bits each, which Pillow can read and not write: every value is 99 of 255."""
    row = b"\0" + struct.pack(">H", 257 * 99) * 18
    return png(struct.pack(">IIBBBBB", 6, 4, 16, 2, 0, 0, 0), zlib.compress(row * 4))


def png(header: bytes, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def encoded(image: Image.Image, format_: str = "PNG", **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **how)
    return buffer.getvalue()


def plain(width: int = 6, height: int = 4) -> Image.Image:
    return Image.new("RGB", (width, height), RED)


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (encoded(plain()), RED),
        (encoded(plain().convert("P")), None),
        (encoded(plain().quantize(4)), RED),
        (encoded(Image.new("RGBA", (6, 4), (*RED, 255))), RED),
        (encoded(Image.new("RGBA", (6, 4), (*RED, 0))), (255, 255, 255)),
        (encoded(Image.new("LA", (6, 4), (10, 0))), (255, 255, 255)),
        (encoded(Image.new("L", (6, 4), 77)), (77, 77, 77)),
        (encoded(Image.new("1", (6, 4), 1)), (255, 255, 255)),
        (encoded(Image.fromarray(np.full((4, 6), 257 * 99, dtype=np.uint16))), (99, 99, 99)),
        (sixteen_bit_colour(), (99, 99, 99)),
        (encoded(with_a_clear_colour(), transparency=0), (255, 255, 255)),
        (encoded(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
        (encoded(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), "JPEG", quality=100), (254, 0, 0)),
    ],
)
def test_every_mode_becomes_rgb(data: bytes, colour: tuple[int, int, int] | None) -> None:
    for values in (pictures.pixels(Picture(data)), pictures.pixels(pictures.read_picture(data))):
        assert values.shape == (4, 6, 3)
        assert values.dtype == np.uint8
        if colour is not None:
            assert np.abs(values.astype(int) - colour).max() <= 1


def test_plain_files_stay_byte_for_byte_and_others_become_png() -> None:
    data = encoded(plain())
    assert pictures.read_picture(data) == Picture(data, "image/png")
    jpeg = encoded(plain(), "JPEG")
    assert pictures.read_picture(jpeg) == Picture(jpeg, "image/jpeg")
    assert pictures.read_picture(encoded(Image.new("CMYK", (6, 4)), "TIFF")).media_type == "image/png"


def test_a_turned_photograph_is_turned_back() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    data = encoded(plain(), "JPEG", exif=turned)
    assert pictures.pixels(pictures.read_picture(data)).shape == (6, 4, 3)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be gigantic."""
    return png(struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), zlib.compress(b""))


def noise(format_: str) -> bytes:
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return encoded(Image.fromarray(values), format_)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no picture"),
        (b"hello", r"begins with b'hello'\). Give"),
        (noise("PNG")[:5000], "cut short"),
        (noise("JPEG")[:2000], "cut short"),
        (bomb(8000, 8000), "over 33,554,432"),
        (bomb(60000, 60000), "claims far more"),
        (encoded(Image.fromarray(np.ones((4, 6), dtype=np.float32)), "TIFF"), "floating-point"),
        (encoded(Image.fromarray(np.full((4, 6), 10**8, dtype=np.int32)), "TIFF"), "32-bit"),
        (encoded(plain(), "GIF", save_all=True, append_images=[Image.new("RGB", (6, 4))]), "animated"),
    ],
)
def test_what_cannot_be_used_says_so(data: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        pictures.read_picture(data)
    with pytest.raises(DataError, match=said):
        pictures.pixels(Picture(data))


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(plain()))
    assert pictures.size(pictures.read_picture(tmp_path / "a.png")) == (6, 4)
    with pytest.raises(MissingError, match="no picture at"):
        pictures.read_picture(tmp_path / "b.png")


def test_pixels_survive_the_way_into_a_file_and_back() -> None:
    values = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (pictures.pixels(pictures.picture_of(values)) == values).all()
    assert pictures.picture_of(values) == pictures.picture_of(values.copy())
