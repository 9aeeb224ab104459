"""Requests written down as texts: a curl command, or the lines of HTTP that editors send."""

from __future__ import annotations

import re
import shlex
from typing import Any

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.safe import read_json, without_secrets

_COMMAND = r"[ \t]*(?:(?:\$|time|[A-Za-z_]\w*=\S*)[ \t]+)*curl(?:\.exe)?\s"
_CURL = re.compile(f"^{_COMMAND}", re.MULTILINE)
_SCRIPT = re.compile(rf"(?:(?!{_COMMAND})[ \t\r]*(?:(?:#|export\s|set\s|[A-Za-z_]\w*=)[^\n]*)?\n)*{_COMMAND}")
"""A command, behind comments and variables of a script."""
_REMARK = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_OF_CMD = re.compile(r"\^\r?\n|curl(?:\.exe)?[ \t]+\^\"")
"""How lines end and quotes stand in a command for cmd.exe."""
_PIPED = re.compile(r"\s<<-?[ \t]*(['\"]?)(\w+)\1([^\n]*)\n")
_STANDARD_INPUT = re.compile(r"@(?:-|/dev/stdin)(?=['\"\s])")
_LINE = re.compile(r"^(POST|GET|PUT)\s+(\S+)(?:\s+HTTP/[\d.]+)?\s*$", re.MULTILINE)
_NOTES = re.compile(r"\A(?:\s*(?:#|//|@)[^\n]*(?:\n|\Z))+")
"""Comments and variables before a request."""
_DATA = frozenset({"-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"})
_VALUE = frozenset({
    "--header", "--request", "--user", "--user-agent", "--cookie", "--output", "--referer", "--proxy", "--max-time",
    "--connect-timeout", "--write-out", "--retry", "--form", "--cacert", "--cert", "--key", "--resolve",
    *(f"-{letter}" for letter in "AbcCDeEFHKmoPQrtTuUwxXyYz"),
})  # fmt: skip
"""Options of curl that take a value and say nothing of the call."""
_TAKES = _VALUE | _DATA
_AFTER = re.compile(r"^(?:>>?!?|<>)\s.*", re.MULTILINE | re.DOTALL)
"""What an editor is to do with the answer."""
_VARIABLE = re.compile(r"\$\{?\w+\}?|\$\(.*\)|\{\{[^{}]*\}\}", re.DOTALL)
_HOST = re.compile(r"[\w.-]+(?::\d+)?/")
_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


def requests_in(text: str, named: str) -> list[Field]:
    """The requests in a text; none where it holds none.

    Raises:
        DataError: if a command's body stands in another file, or cannot be read.
    """
    if _SCRIPT.match(text):
        starts = [found.start() for found in _CURL.finditer(text)]
        return [_curl(text[a:b], named) for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    if _LINE.match(_NOTES.sub("", text).lstrip()):
        pieces = re.split(r"^###.*$", text, flags=re.MULTILINE)
        return [found for piece in pieces if (found := _lines(_NOTES.sub("", piece).lstrip(), named)) is not None]
    return []


def _curl(command: str, named: str) -> Field:
    command, piped = _with_input(command)
    addresses: list[str] = []
    body = ""
    rest = iter(_words(command, named))
    for word in rest:
        name, value = _option(word)
        if name in _DATA:
            body += value or next(rest, "")
        elif name == "--url":
            addresses.insert(0, value or next(rest, ""))
        elif name in _VALUE:
            if not value:
                next(rest, "")
        elif word in {"|", ">", "&&", ";"}:
            break
        elif not word.startswith("-"):
            addresses.append(word)
    # Other words than addresses are values of options that are not known here.
    url = next((each for each in addresses if "/" in each), addresses[0] if addresses else "")
    url = f"http://{url}" if _HOST.match(url) else url  # as curl does
    return _made(url, piped if body in {"@-", "@/dev/stdin"} and piped else body, named)


def _with_input(command: str) -> tuple[str, str]:
    """A command without the text that it is given at its end (``<<EOF``), and that text."""
    found = _PIPED.search(command) if _STANDARD_INPUT.search(command) else None
    if found is None:
        return command, ""
    lines = command[found.end() :].split("\n")
    end = next((place for place, line in enumerate(lines) if line.strip() == found[2]), len(lines))
    return "\n".join((command[: found.start()] + found[3], *lines[end + 1 :])), "\n".join(lines[:end])


def _words(command: str, named: str) -> list[str]:
    """What follows ``curl``, as a shell reads it."""
    kept: list[str] = []

    def hold(found: re.Match[str]) -> str:
        kept.append(_ESCAPED.sub(_letter, found[1]))
        return f"'\0{len(kept) - 1}\0'"

    if _OF_CMD.search(command):
        raise _not_read("it is written for cmd.exe", named)
    plain = _REMARK.sub("", command).replace("\\\r\n", " ").replace("\\\n", " ")
    try:
        words = shlex.split(_QUOTED.sub(hold, plain), comments=False)
    except ValueError as error:
        raise _not_read(str(error), named) from None
    words = [re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], word) for word in words]
    return words[words.index(next(word for word in words if word.startswith("curl"))) + 1 :]


def _not_read(why: str, named: str) -> DataError:
    return DataError(
        f"{named}: the curl command cannot be read ({why}). Copy it as for a POSIX shell (cURL, bash), or give the "
        "JSON of its body."
    )


def _option(word: str) -> tuple[str, str]:
    """The option in a word that takes a value, with what of it stands there; several of one letter share a word."""
    if word.startswith("--"):
        name, _, value = word.partition("=")
        return name, value
    for place, letter in enumerate(word[1:] if word.startswith("-") else "", start=2):
        if f"-{letter}" in _TAKES:
            return f"-{letter}", word[place:]
    return word, ""


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
    return _made(url, _AFTER.sub("", body).strip(), named)


def _made(url: str, body: str, named: str) -> Field:
    where = without_secrets(url.partition("?")[0]) or "nowhere"
    if body.startswith(("@", "< ")):
        raise DataError(f"{named}: the body of the request is in the file {body[1:].strip()!r}. Give that file.")
    if _VARIABLE.fullmatch(body):
        raise DataError(
            f"{named}: the body of the request to {where} is what {without_secrets(body)} stands for: write it there."
        )
    if not body.strip():
        raise DataError(f"{named}: nothing is sent to {where}: it asks no model for an answer.")
    try:
        value: Any = read_json(body)
    except ValueError as error:
        raise DataError(f"{named}: the body of the request to {where} is no JSON: {error}.") from None
    return Field({"request": {"method": "POST", "url": url, "body": value}}, "", named)
