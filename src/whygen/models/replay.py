"""``replay/FILE``: answers from recorded calls; anything else is refused.

The file is JSON lines in UTF-8: a header ``{"whygen-replay": 1, "model": URI}``, then a ``{"request": ...,
"digest": ..., "output": ...}`` a line. The digest is that of `Request`, so a changed line is noticed. A line whose
output is a picture, a sound or frames has its bytes besides, in base64, as ``"data"``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from whygen.errors import FormatError, MissingError
from whygen.files import replaced
from whygen.models.protocols import Provider
from whygen.safe import read_json
from whygen.types import Failure, JsonValue, Limits, Output, OutputKind, Request, digest, output_from_json, output_json

VERSION = 1


class ReplayModel:
    """Plays recorded answers back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model, self._answers = read_replay(path)

    @property
    def uri(self) -> str:
        return f"replay/{self._path}"

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=1024)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """None: the file is the record, nothing is recorded a second time."""
        return None

    @property
    def output_kind(self) -> OutputKind:
        """What the recorded answers are."""
        kinds = {kind_of(output) for output in self._answers.values()}
        media: tuple[OutputKind, ...] = ("picture", "sound", "frames")
        for kind in media:
            if kind in kinds:
                return kind
        return "text"

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._answers.get(request.digest) or self._refuse(request) for request in requests]

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self.answer(requests)

    def _refuse(self, request: Request) -> Failure:
        return Failure(
            kind="permanent",
            message=f"{self._path} holds no answer to draw {request.draw} of the prompt {str(request.prompt)[:60]!r}",
            advice=f"It holds {len(self._answers)} calls of {self._model}: use the same prompt, seed and settings.",
        )


def read_replay(path: Path) -> tuple[str, dict[str, Output]]:
    """The model's URI and its answers by digest of the request.

    Raises:
        MissingError: if the file is not there.
        FormatError: if a line is damaged, naming it, or the file is from a newer version.
    """
    if not path.is_file():
        raise MissingError(f"The replay file {str(path)!r} is not there. Check the path after replay/.")
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        model = _header(path, file.readline())
        answers = dict(_line(path, number, line) for number, line in enumerate(file, start=2) if line.strip())
    return model, answers


def _header(path: Path, line: str) -> str:
    record = _json(path, 1, line)
    version = record.get("whygen-replay")
    if not isinstance(version, int):
        raise FormatError(f'{path} is no replay file: its first line must be {{"whygen-replay": 1, "model": ...}}.')
    if version > VERSION:
        raise FormatError(
            f"{path} is a replay file of version {version}; this whygen reads up to {VERSION}. Upgrade whygen."
        )
    return str(record.get("model", "?"))


def _json(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = read_json(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise FormatError(f"{path}, line {number}: not a JSON object. The file is damaged; record it again.")
    return record  # pyright: ignore[reportUnknownVariableType]


def _line(path: Path, number: int, line: str) -> tuple[str, Output]:
    record = _json(path, number, line)
    try:
        data = base64.b64decode(record["data"], validate=True) if "data" in record else None
        key, output = str(record["digest"]), output_from_json(record["output"], data=data)
        intact = _has_its_bytes(record["output"], output)
        intact &= digest(record["request"]) == key and isinstance(output.text, str)  # pyright: ignore[reportUnnecessaryIsInstance]
    except (AttributeError, KeyError, TypeError, ValueError):
        intact, key, output = False, "", Output()
    if not intact:
        raise FormatError(f"{path}, line {number}: the call is incomplete, or its request was changed by hand.")
    return key, output


def _has_its_bytes(record: Mapping[str, Any], output: Output) -> bool:
    """Whether the bytes are those that were recorded, or there are none: in files from before they were kept."""
    medium = output.medium
    return medium is None or medium.to_json() == record[kind_of(output)]


def kind_of(output: Output) -> OutputKind:
    """Which field of an output is filled."""
    if output.picture is not None:
        return "picture"
    if output.sound is not None:
        return "sound"
    return "text" if output.frames is None else "frames"


def write_replay(path: Path, model_uri: str, calls: Iterable[tuple[Mapping[str, JsonValue], Output]]) -> int:
    """Write requests (as JSON) and outputs as a replay file; returns how many."""
    count = 0
    with replaced(path) as file:
        file.write(json.dumps({"whygen-replay": VERSION, "model": model_uri}, ensure_ascii=False) + "\n")
        for request, output in calls:
            record = {"request": request, "digest": digest(request), "output": output_json(output)}
            if output.medium is not None:
                record["data"] = base64.b64encode(output.medium.data).decode()
            line = json.dumps(record, ensure_ascii=False)
            file.write((line if _is_unicode(line) else json.dumps(record)) + "\n")
            count += 1
    return count


def _is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: a lone surrogate, which a prompt may hold, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def provider() -> Provider:
    """``replay/``."""
    return Provider(
        name="replay", summary="answers from recorded calls: replay/FILE", open=lambda name, _: ReplayModel(Path(name))
    )
