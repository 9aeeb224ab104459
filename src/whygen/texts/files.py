"""Text files as people have them: UTF-8 with or without a byte order mark, UTF-16, line ends of any system."""

from __future__ import annotations

import codecs
from pathlib import Path

from whygen.errors import DataError, MissingError

MAX_TEXT_BYTES = 4 * 2**20
"""A prompt file larger than this is surely not a prompt."""

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXTS = {
    b"%PDF-": "a PDF", b"PK\x03\x04": "an archive or an Office document", b"\xd0\xcf\x11\xe0": "an Office document",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"RIFF": "a sound or a video",
    b"\x1f\x8b": "compressed by gzip", b"BZh": "compressed by bzip2", b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd", b"SQLite format 3\x00": "a database", b"\x7fELF": "a program",
}  # fmt: skip
"""How files begin that people take for texts by mistake."""
_MOST_ZEROS = 0.2
"""Share of zero bytes from which a file is UTF-16 without a mark, not a text with a stray control character."""


def decoded(data: bytes, what: str) -> str:
    """The text in the bytes of a file or a pipe, with line feeds alone and without a byte order mark.

    Args:
        data: UTF-8, or UTF-16 or UTF-32 that begins with a byte order mark.
        what: names the source in errors, such as ``The prompt in 'file.txt'``.

    Raises:
        DataError: if it is written otherwise; says how to convert it.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{what} {_otherwise(data, encoding, error)}") from None
    if encoding == "utf-8" and (kind := _kind(data)):
        raise DataError(f"{what} {kind}")
    # Programs that put files one after another put marks inside: those at the beginning go, they show nothing.
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _otherwise(data: bytes, encoding: str, error: UnicodeDecodeError) -> str:
    """How bytes are written that are not in the encoding they should be in, and what to do."""
    if kind := _kind(data):
        return kind
    if encoding not in {"utf-8", "utf-8-sig"}:
        return f"begins as {encoding.upper()} and does not go on so. Save it as UTF-8."
    if error.reason == "unexpected end of data":
        return "ends in the middle of a character: it was cut short. Get a whole copy of it."
    return (
        f"is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}). Save it as UTF-8 where it was written, or "
        "convert it: iconv -f ENCODING -t utf-8, where ENCODING is cp1252 for most Western texts, cp1251 for Cyrillic, "
        "gb18030 for Chinese, shift-jis for Japanese ones."
    )


def _kind(data: bytes) -> str:
    """What the bytes are if they are no text, or one whose encoding its zero bytes give away; nothing otherwise."""
    for begins, kind in _NO_TEXTS.items():
        if data.startswith(begins):
            return f"is {kind}, and no text. Give its text as a file in UTF-8."
    zeros = data.count(0)
    if zeros > _MOST_ZEROS * len(data):
        width, name = (4, "utf-32") if zeros > 0.6 * len(data) else (2, "utf-16")
        little = data[width - 1 :: width].count(0) >= data[::width].count(0)
        guess = f"{name}{'le' if little else 'be'}"
        return (
            f"looks like {name.upper()} without a byte order mark. Save it as UTF-8, for example with: "
            f"iconv -f {guess} -t utf-8."
        )
    return ""


def read_text_file(path: Path | str, what: str, *, most: int = MAX_TEXT_BYTES) -> str:
    """The text of a file, read as `decoded` reads it.

    Args:
        path: the file.
        what: names it in errors, such as ``The prompt file``.
        most: bytes that it may have.

    Raises:
        MissingError: if it is not there or cannot be opened.
        DataError: if it is too large, or not written as `decoded` wants it.
    """
    file, named = Path(path), f"{what} {str(path)!r}"
    try:
        if not file.exists():
            raise MissingError(f"{named} is not there.")
        if not file.is_file():
            raise MissingError(f"{named} is no file: give a file that holds a text.")
        with file.open("rb") as opened:
            data = opened.read(most + 1)
    except OSError as error:
        raise MissingError(f"{named} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:  # a zero byte in the name
        raise MissingError(f"{named} cannot be read: {error}.") from None
    if len(data) > most:
        raise DataError(f"{named} is over {most // 2**20} MiB: this is surely not what is meant.")
    return decoded(data, named)
