"""Chats from JSON files: what they hold, and what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from whygen.errors import DataError, MissingError
from whygen.prompt.chat_files import MAX_CHAT_BYTES, MAX_IMAGE_BYTES, chat_from_json, read_chat
from whygen.types import Chat, Message, Picture, Tool, ToolCall

PNG = b"\x89PNG\r\n\x1a\nrest"


def test_a_chat_is_read_with_its_images(tmp_path: Path) -> None:
    (tmp_path / "photo.dat").write_bytes(PNG)
    (tmp_path / "photo.webp").write_bytes(b"RIFF\x01\x02\x03\x04WEBPrest")
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Wer ist das?  ☃\n", "images": ["photo.dat", "photo.webp"]},
    ]
    (tmp_path / "chat.json").write_text(json.dumps(turns, ensure_ascii=False), encoding="utf-8")
    chat = read_chat(tmp_path / "chat.json")
    pictures = (Picture(PNG, "image/png"), Picture(b"RIFF\x01\x02\x03\x04WEBPrest", "image/webp"))
    assert chat == Chat((Message("system", "Be brief."), Message("user", "Wer ist das?  ☃\n", pictures)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"role": "user", "content": "x"}, "this is an object"),
        ("hello", "this is a text"),
        (3.5, "this is a number"),
        ([], "has no message"),
        (["hello"], "Message 1 of the chat is a text"),
        ([{"role": "user"}], "Message 1 of the chat: content is missing, and a text"),
        ([{"content": "x"}], "has no role"),
        ([{"role": "user", "content": ["x"]}], "a content that is no text"),
        ([{"role": "user", "content": "x"}, {"role": "tool", "content": "x"}], "Message 2 .*: tool_call_id is missing"),
        ([{"role": "ai", "content": "x"}], "That is the role 'assistant' here"),
        ([{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}], r"tool_calls\[0\].name is missing"),
        ([{"role": "user", "content": "x", "tool_call_id": "1"}], "has the role 'user' and a tool_call_id"),
        ({"messages": [{"role": "user", "content": "x"}], "model": "y"}, "holds 'model' beside its messages"),
        ({"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}, r"tools\[0\].name is miss"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "a part of the type 'input_audio'"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c"}}]}], "nothing is"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,@"}]}], "not base64"),
        ([{"role": "user", "content": "x", "name": "y"}], "only content, function_call, images, .* are known"),
        ([{"role": "user", "content": "x", "images": "a.png"}], "images is a list of paths"),
        ([{"role": "user", "content": "x", "images": [3]}], "images is a list of paths"),
        ([{"role": "user", "content": "\ud800"}], "not valid Unicode"),
    ],
)  # fmt: skip
def test_what_is_no_chat_is_refused(value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        chat_from_json(value)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is not there"):
        read_chat(tmp_path / "none.json")
    for content, says in ((b"{", "is no JSON"), (b"\xff\xfe[", "begins as UTF-16"), (b"[" * 100_000, "is no JSON")):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(DataError, match=says):
            read_chat(tmp_path / "bad.json")
    (tmp_path / "big.json").write_bytes(b" " * (MAX_CHAT_BYTES + 1))
    with pytest.raises(DataError, match="over 4 MiB"):
        read_chat(tmp_path / "big.json")


@pytest.mark.parametrize(
    ("content", "message"), [(b"<svg/>", "no PNG, JPEG, GIF or WebP"), (PNG + b"0" * MAX_IMAGE_BYTES, "over 20 MiB")]
)
def test_images_are_checked_by_what_they_hold(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(DataError, match=message):
        chat_from_json([{"role": "user", "content": "x", "images": ["photo.png"]}], folder=tmp_path)
    with pytest.raises(MissingError, match="Message 1 of the chat: the image"):
        chat_from_json([{"role": "user", "content": "x", "images": ["other.png"]}], folder=tmp_path)


def test_chats_as_services_take_them_are_read() -> None:
    sent = base64.b64encode(PNG).decode()
    turns = [
        {"role": "developer", "content": "Be brief.", "tool_calls": None},
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{sent}", "detail": "low"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": sent}},
            {"type": "input_text", "text": "Be sure."},
        ]},
    ]  # fmt: skip
    picture = Picture(PNG, "image/png")
    user = Message("user", "", (), ("What is this?", picture, picture, "Be sure."))
    assert chat_from_json(turns) == Chat((Message("system", "Be brief."), user))


def test_calls_of_tools_and_what_they_gave_back_are_read(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(PNG)
    turns = [
        {"role": "user", "content": "Weather in Bonn?"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bonn"}'}},
        ]},
        {"role": "tool", "tool_call_id": "a", "content": "Rain", "images": ["photo.png"]},
    ]  # fmt: skip
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    called = Message("assistant", "", calls=(ToolCall("weather", '{"city": "Bonn"}', "a"),))
    result = Message("tool", "Rain", (Picture(PNG, "image/png"),), answers="a")
    assert chat_from_json(turns, folder=tmp_path) == Chat((Message("user", "Weather in Bonn?"), called, result))
    read = chat_from_json({"messages": turns, "tools": tools}, folder=tmp_path)
    assert read.tools == (Tool("weather", "", {"type": "object"}),)
    assert read.messages[1].calls[0].id == "a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32"])
def test_chat_files_of_any_system_are_read(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding in {"utf-16-be", "utf-16-le"} else ""
    text = mark + json.dumps([{"role": "user", "content": "Été ☃"}], ensure_ascii=False, indent=1)
    (tmp_path / "chat.json").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert read_chat(tmp_path / "chat.json") == Chat((Message("user", "Été ☃"),))
