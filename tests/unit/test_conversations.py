"""What a chat with tools and parts says of itself."""

from __future__ import annotations

import json

import pytest

from whygen.errors import DataError, UsageError
from whygen.types import Block, Chat, Message, Output, Picture, Request, Tool, ToolCall, output_from_json, output_json

PICTURE = Picture(b"\x89PNG")
DOCUMENT = Block(
    {"type": "document", "source": {"type": "text", "data": "Opening hours: 9 to 5."}, "title": "Hours"},
    "anthropic",
    ("source", "data"),
)


def test_a_message_in_parts_says_what_its_parts_say() -> None:
    message = Message("user", "ignored", parts=("Look:", PICTURE, DOCUMENT, "When?"))
    assert message.text == "Look:\nOpening hours: 9 to 5.\nWhen?"
    assert message.images == (PICTURE,)
    assert message.content == message.parts


def test_a_message_without_parts_sends_its_text_before_its_images() -> None:
    assert Message("user", "a", (PICTURE,)).content == ("a", PICTURE)
    assert Message("user", "", (PICTURE,)).content == (PICTURE,)
    assert Message("user", "").content == ("",)


def test_a_block_takes_another_text_and_keeps_the_rest() -> None:
    changed = DOCUMENT.saying("Closed.")
    assert changed.text == "Closed."
    assert changed.raw["title"] == "Hours"
    assert DOCUMENT.text == "Opening hours: 9 to 5."
    with pytest.raises(UsageError, match="holds no text"):
        Block({"type": "document"}, "anthropic").saying("x")
    with pytest.raises(DataError, match=r"no text at source\.data"):
        Block({"type": "document"}, "anthropic", ("source", "data"))


def test_what_can_change_an_answer_changes_the_digest_and_nothing_else_does() -> None:
    plain = Chat((Message("user", "Send it."),))
    tool = Tool("send", "Sends.", {"type": "object"})
    chats = (
        plain,
        Chat(plain.messages, tools=(tool,)),
        Chat(plain.messages, tools=(tool,), tool_choice="send"),
        Chat((Message("user", "", parts=("Send it.",)),)),
        Chat((*plain.messages, Message("assistant", "", calls=(ToolCall("send", "{}", "1"),)))),
    )
    assert len({Request(prompt=chat).digest for chat in chats}) == len(chats)
    assert "tools" not in plain.to_json()
    assert set(plain.to_json()["chat"][0]) == {"role", "text"}


def test_ids_of_calls_are_drawn_anew_and_tell_none_apart() -> None:
    assert ToolCall("send", "{}", "a") == ToolCall("send", "{}", "b")


def test_the_calls_of_an_output_survive_json() -> None:
    output = Output(calls=(ToolCall("send", '{"to": "é"}', "1"), ToolCall("send", "{broken")))
    read = output_from_json(json.loads(json.dumps(output_json(output))))
    assert read.calls == output.calls
    assert read.calls[0].id == "1"
    assert read.calls[0].values == {"to": "é"}
    assert read.calls[1].values == "{broken"
    assert "calls" not in output_json(Output(text="x"))


def test_chats_with_tools_can_be_hashed() -> None:
    tool = Tool("send", "Sends.", {"type": "object"}, {"strict": True})
    assert len({Chat((Message("user", "", parts=(DOCUMENT,)),), tools=(tool,)), Chat((Message("user", "x"),))}) == 2
