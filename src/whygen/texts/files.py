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
    if encoding == "utf-8" and data.count(0) > _MOST_ZEROS * len(data):
        guess = "utf-16le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16be"
        raise DataError(
            f"{what} looks like UTF-16 without a byte order mark. Save it as UTF-8, for example with: "
            f"iconv -f {guess} -t utf-8."
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding not in {"utf-8", "utf-8-sig"}:
            raise DataError(f"{what} begins as {encoding.upper()} and does not go on so. Save it as UTF-8.") from None
        raise DataError(
            f"{what} is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}). Convert it first, "
            "for example with: iconv -f latin1 -t utf-8."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
