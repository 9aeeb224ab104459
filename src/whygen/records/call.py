"""`Call`: one recorded call of a model, as a prompt like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whygen._arguments import check_fields, told, typed
from whygen.types import Chat, Output, Settings


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a model was sent, how, and what it answered.

    Attributes:
        chat: the conversation, with the tools that could be called.
        model: the URI of the model that was asked, such as ``openai/gpt-4o``; empty where the record names none.
        base_url: where it was asked, if that is told and is not the provider's own address.
        settings: temperature, length and whatever else was sent, in the protocol's own words (``extra``). What the
            record did not name stands there as None: it is not sent.
        answer: what came back; None where the record holds the request alone.
        protocol: whose words ``settings.extra`` are: ``openai``, ``responses`` or ``anthropic``.
        notices: what of the record was left out or changed, as pairs of a code and a text.
        origin: where it was read, for people.
    """

    chat: Chat
    model: str = ""
    base_url: str | None = field(default=None, repr=False)
    settings: Settings = field(default_factory=Settings)
    answer: Output | None = None
    protocol: str = "openai"
    notices: tuple[tuple[str, str], ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    @typed("path", "pick")
    def read(cls, path: Path | str | Mapping[str, object], pick: int | str | None = None) -> Call:
        """A call from a file that some tool kept it in; the format is told by what the file holds.

        Args:
            path: of the file; or what such a file would hold as a dict, such as a request, or ``{"request": ...,
                "response": ...}``, where an object of the openai or anthropic client may stand for the response.
            pick: which call, where the file holds several: its number from 1 on, its id, or ``last``.

        Raises:
            MissingError: if the file, or a package that reads it, is not there.
            DataError: naming the field that cannot be used; or that there are several calls, and how to pick one.
        """
        from whygen.records.reading import read_call

        return read_call(path, pick)
