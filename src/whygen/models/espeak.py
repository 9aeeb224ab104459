"""``espeak/VOICE``: speech by espeak-ng, where that program is installed. The prompt is what is said."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from whygen.errors import DataError, MissingError, UsageError
from whygen.media.sounds import read_sound
from whygen.models.protocols import ModelOptions, Provider
from whygen.types import Chat, Edit, Failure, JsonValue, Limits, Output, Request

PROGRAM = "espeak-ng"
PATIENCE = 60.0
"""Seconds that one utterance may take to make."""
_VOICE = re.compile(r"[A-Za-z0-9+_-]+")


@dataclass(frozen=True, slots=True)
class Espeak:
    """A voice of espeak-ng. The same text gives the same sound; settings and draws change nothing.

    Attributes:
        voice: as ``espeak-ng --voices`` lists it, such as ``en-gb``, or with a variant, ``en+f3``.
        version: of the program: another one sounds otherwise.
    """

    voice: str
    version: str

    @property
    def uri(self) -> str:
        return f"espeak/{self.voice}"

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=16)

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri, "version": self.version}

    @property
    def output_kind(self) -> Literal["sound"]:
        return "sound"

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Output | Failure:
        if isinstance(request.prompt, Chat | Edit):
            return _failed(f"{self.uri} speaks a text, and the prompt is none", "Give the prompt as one text.")
        begun = time.perf_counter()
        try:
            said = _run(["-v", self.voice, "--stdin", "--stdout"], request.prompt or " ")
            sound = read_sound(_with_length(said))
        except (subprocess.SubprocessError, OSError, DataError) as error:
            return _failed(f"{PROGRAM} made no sound: {error}", "Try the text with the program itself.")
        return Output(sound=sound, tokens_in=len(request.prompt.split()), seconds=time.perf_counter() - begun)


def _with_length(data: bytes) -> bytes:
    """The same file with its lengths mended: to a pipe the program writes the head before it knows them."""
    place = data.find(b"data", 12)
    if data[:4] != b"RIFF" or place < 0:
        return data
    body = data[place + 8 :]
    whole, own = (place + len(body)).to_bytes(4, "little"), len(body).to_bytes(4, "little")
    return data[:4] + whole + data[8 : place + 4] + own + body


def _run(arguments: Sequence[str], text: str = "") -> bytes:
    done = subprocess.run(
        [PROGRAM, *arguments], input=text.encode("utf-8", "replace"), capture_output=True, timeout=PATIENCE, check=True
    )
    return done.stdout


def _failed(message: str, advice: str) -> Failure:
    return Failure(kind="permanent", message=message, advice=advice)


def open_espeak(name: str, options: ModelOptions) -> Espeak:
    """The voice of that name.

    Raises:
        UsageError: if that is no name of a voice, or espeak-ng does not know it.
        MissingError: if espeak-ng is not installed.
    """
    del options
    if _VOICE.fullmatch(name) is None:
        raise UsageError(f"model='espeak/{name}': write espeak/VOICE, such as espeak/en-gb or espeak/de+f2.")
    if shutil.which(PROGRAM) is None:
        raise MissingError(f"{PROGRAM} is not installed. Install it with the system's packages: apt install espeak-ng")
    version = _run(["--version"]).decode("utf-8", "replace").partition("Data at")[0].strip()
    try:
        _run(["-v", name, "--stdin", "--stdout"], "a")
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()[:200] if error.stderr else ""
        raise UsageError(f"model='espeak/{name}': {said or 'no such voice'}. See: {PROGRAM} --voices") from None
    return Espeak(name, version)


def provider() -> Provider:
    """``espeak/``."""
    return Provider(
        name="espeak", summary="speech by espeak-ng, where it is installed (espeak/en-gb)", open=open_espeak
    )
