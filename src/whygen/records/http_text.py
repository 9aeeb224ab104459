"""Requests written down as texts: a curl command, or the lines of HTTP that editors send."""

from __future__ import annotations

import re
import shlex
from typing import Any

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.safe import read_json

_CURL = re.compile(r"^\s*(?:\$ )?curl(?:\.exe)?\s", re.MULTILINE)
_LINE = re.compile(r"^(POST|GET|PUT)\s+(\S+)(?:\s+HTTP/[\d.]+)?\s*$", re.MULTILINE)
_NOTES = re.compile(r"\A(?:\s*(?:#|//|@)[^\n]*(?:\n|\Z))+")
"""Comments and variables before a request."""
_DATA = frozenset({"-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"})
_VALUE = frozenset({
    "-H", "--header", "-X", "--request", "-u", "--user", "-A", "--user-agent", "-b", "--cookie", "-o", "--output",
    "-e", "--referer", "-x", "--proxy", "-m", "--max-time", "--connect-timeout", "-w", "--write-out", "--retry", "-F",
    "--form", "--cacert", "--cert", "--key", "--resolve",
})  # fmt: skip
"""Options of curl that take a value and say nothing of the call."""
_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


def requests_in(text: str, named: str) -> list[Field]:
    """The requests in a text; none where it holds none.

    Raises:
        DataError: if a command's body stands in another file, or cannot be read.
    """
    if _CURL.match(text):
        starts = [found.start() for found in _CURL.finditer(text)]
        return [_curl(text[a:b], named) for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    if _LINE.match(_NOTES.sub("", text).lstrip()):
        pieces = re.split(r"^###.*$", text, flags=re.MULTILINE)
        return [found for piece in pieces if (found := _lines(_NOTES.sub("", piece).lstrip(), named)) is not None]
    return []


def _curl(command: str, named: str) -> Field:
    kept: list[str] = []

    def hold(found: re.Match[str]) -> str:
        kept.append(_ESCAPED.sub(_letter, found[1]))
        return f"'\0{len(kept) - 1}\0'"

    try:
        words = shlex.split(_QUOTED.sub(hold, command.replace("\\\r\n", " ").replace("\\\n", " ")), comments=False)
    except ValueError as error:
        raise DataError(
            f"{named}: the curl command cannot be read ({error}). Copy it as for a POSIX shell (cURL, bash), or give "
            "the JSON of its body."
        ) from None
    words = [re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], word) for word in words]
    url, body = "", ""
    rest = iter(words[words.index(next(word for word in words if word.startswith("curl"))) + 1 :])
    for word in rest:
        name, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in _DATA or (word.startswith("-d") and len(word) > 2 and not word.startswith("--")):
            body += value or (word[2:] if name not in _DATA else next(rest, ""))
        elif name == "--url":
            url = value or next(rest, "")
        elif name in _VALUE:
            if not value:
                next(rest, "")
        elif word in {"|", ">", "&&", ";"}:
            break
        elif not word.startswith("-"):
            url = url or word
    return _made(url, body, named)


def _letter(found: re.Match[str]) -> str:
    if code := found[1] or found[2]:
        return chr(int(code, 16))
    return {"n": "\n", "t": "\t", "r": "\r"}.get(found[3], found[3])


def _lines(piece: str, named: str) -> Field | None:
    first = _LINE.match(piece)
    if first is None or first[1] == "GET":
        return None
    head, _, body = piece.replace("\r\n", "\n").partition("\n\n")
    host = re.search(r"^host:\s*(\S+)", head, re.MULTILINE | re.IGNORECASE)
    url = first[2] if "://" in first[2] or host is None else f"https://{host[1]}{first[2]}"
    return _made(url, body.strip(), named)


def _made(url: str, body: str, named: str) -> Field:
    if body.startswith("@"):
        raise DataError(f"{named}: the body of the request is in the file {body[1:]!r}. Give that file.")
    if not body.strip():
        raise DataError(f"{named}: nothing is sent to {url.partition('?')[0]}: it asks no model for an answer.")
    try:
        value: Any = read_json(body)
    except ValueError as error:
        raise DataError(
            f"{named}: the body of the request to {url.partition('?')[0] or 'nowhere'} is no JSON: {error}."
        ) from None
    return Field({"request": {"method": "POST", "url": url, "body": value}}, "", named)
