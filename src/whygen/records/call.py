"""`Call`: one recorded call of a model, as a prompt like any other."""

from __future__ import annotations

from dataclasses import dataclass, field

from whygen._arguments import check_fields, told
from whygen.types import Chat, Output, Settings


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a model was sent, how, and what it answered.

    Attributes:
        chat: the conversation, with the tools that could be called.
        model: the URI of the model that was asked, such as ``openai/gpt-4o``; empty where the record names none.
        base_url: where it was asked, if that is told and is not the provider's own address.
        settings: temperature, length and whatever else was sent, in the protocol's own words (``extra``).
        answer: what came back; None where the record holds the request alone.
        protocol: whose words ``settings.extra`` are: ``openai``, ``responses`` or ``anthropic``.
        notices: what of the record was left out or changed, as pairs of a code and a text.
        origin: where it was read, for people.
    """

    chat: Chat
    model: str = ""
    base_url: str | None = None
    settings: Settings = field(default_factory=Settings)
    answer: Output | None = None
    protocol: str = "openai"
    notices: tuple[tuple[str, str], ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
