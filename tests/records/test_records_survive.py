"""What holds of every record: it is read back as it was sent, and nothing in it does more than be refused in words."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.records.test_wire_records import RED, SAMPLES

from whygen.errors import WhygenError
from whygen.models.anthropic.model import parameters as anthropic_body
from whygen.models.names import SERVICES
from whygen.models.openai.responses import response_body
from whygen.models.openai.text import chat_body
from whygen.records import Call, read_calls
from whygen.records.fields import Field
from whygen.records.files import open_at_end
from whygen.records.makers import HOSTS, base_of
from whygen.records.notices import Notices
from whygen.records.wire import Sent
from whygen.safe import without_secrets
from whygen.types import Chat, JsonValue, Message, Part, Request, Settings, Tool, ToolCall

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20).filter(
    lambda text: without_secrets(text) == text
)
SAID = TEXTS.filter(bool)
NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
VALUES = st.dictionaries(NAMES, st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, max_size=3)
TOOL = st.builds(Tool, NAMES, TEXTS, st.just({"type": "object"}))
TOOLS = st.lists(TOOL, max_size=3, unique_by=lambda tool: tool.name)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    """A conversation that every protocol has a place for: turns alternate, and each call has its result."""
    turns = [Message("system", draw(SAID))] if draw(st.booleans()) else []
    parts: st.SearchStrategy[Part] = SAID | st.just(RED)
    for number in range(draw(st.integers(1, 3))):
        asked = draw(st.lists(parts, min_size=1, max_size=3))
        turns.append(Message("user", "", (), tuple(asked)) if draw(st.booleans()) else Message("user", draw(SAID)))
        calls = tuple(
            ToolCall(draw(NAMES), json.dumps(draw(VALUES), ensure_ascii=False), f"call_{number}_{place}")
            for place in range(draw(st.integers(0, 2)))
        )
        turns.append(Message("assistant", draw(TEXTS if calls else SAID), (), (), calls))
        turns += [Message("tool", draw(SAID), (), (), (), call.id) for call in calls]
    tools = tuple(draw(TOOLS))
    choices = ["auto", "required", "none", *(tool.name for tool in tools)] if tools else ["auto"]
    return Chat((*turns, Message("user", draw(SAID))), tools, draw(st.sampled_from(choices)))


BODIES = {
    "openai": lambda request: chat_body("gpt-4o", request, length="max_tokens"),
    "responses": lambda request: response_body("gpt-4o", request),
    "anthropic": lambda request: {"model": "claude-opus-5", **anthropic_body(request)},
}


def plain(chat: Chat) -> list[tuple[Any, ...]]:
    """What is said in a chat, however its content is written; ids too, which calls do not compare by."""
    return [
        (turn.role, [part for part in turn.content if part != ""], turn.calls, [c.id for c in turn.calls], turn.answers)
        for turn in chat.messages
    ]


@pytest.mark.parametrize("protocol", BODIES)
@settings(max_examples=25)
@given(chat=chats(), temperature=st.sampled_from([0.0, 0.5, 1.0]))
def test_what_a_model_is_sent_is_read_back(protocol: str, chat: Chat, temperature: float) -> None:
    stop = () if protocol == "responses" else ("END",)
    request = Request(prompt=chat, settings=Settings(temperature=temperature, max_tokens=99, stop=stop, top_p=0.5))
    body = json.loads(json.dumps(BODIES[protocol](request)))
    call = Sent(body=Field(body), response=Field(None)).call(Notices())
    assert call.protocol == protocol
    assert plain(call.chat) == plain(chat)
    called = dict.fromkeys((each.name, "") for turn in chat.messages for each in turn.calls)
    defined = [(tool.name, tool.description) for tool in chat.tools] or list(called)
    assert [(tool.name, tool.description) for tool in call.chat.tools] == defined
    assert call.chat.tool_choice == chat.tool_choice
    read = call.settings
    assert (read.temperature, read.max_tokens, read.stop, read.top_p) == (temperature, 99, stop, 0.5)
    again = json.loads(json.dumps(BODIES[protocol](Request(prompt=call.chat, settings=read))))
    assert _comparable(again) == _comparable(body)


def _comparable(body: dict[str, Any]) -> dict[str, Any]:
    """A request without what only says the same in another way."""
    return {key: value for key, value in body.items() if key not in {"tools"}}


@pytest.mark.parametrize("name", ["openai_chat", "openai_chat_stream", "openai_responses", "anthropic"])
def test_a_record_that_is_sent_again_is_the_one_that_was_sent(name: str) -> None:
    """Of the samples, which the official clients sent: what is missing is what is said to be left out."""
    body = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))["request"]["body"]
    call = Call.read(SAMPLES / f"{name}.json")
    again = json.loads(json.dumps(BODIES[call.protocol](Request(prompt=call.chat, settings=call.settings))))
    gone = {key for key in body if key not in again}
    assert gone <= {"stream", "user", "include", "metadata", "thinking", "tool_choice"}  # auto is what it is unsaid
    assert again["tools"] == body["tools"] or call.protocol == "responses"  # where strict is sent as null
    for key in set(body) & set(again) - {"messages", "input", "tools", "model"}:
        assert again[key] == body[key], key
    assert set(again) <= set(body)


def mutilated(value: Any, draw: st.DrawFn) -> Any:
    """A JSON value with something in it that belongs elsewhere, missing, or turned into another kind."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        record = cast("dict[str, Any]", value)
        key = draw(st.sampled_from(sorted(record)))
        return {**record, key: mutilated(record[key], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        items = cast("list[Any]", value)
        place = draw(st.integers(0, len(items) - 1))
        return [*items[:place], mutilated(items[place], draw), *items[place + 1 :]]
    odd: list[Any] = [None, {}, [], "", 3, -1.5, True, "x" * 50, [[]], [None], {"type": "text"}, [{"a": 1}], "\ud800"]
    return draw(st.sampled_from(odd))


FILES = sorted(SAMPLES.glob("*.json*"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(max_examples=10)
@given(data=st.data())
def test_mutilated_records_are_read_or_refused_in_words(tmp_path_factory: Any, path: Path, data: st.DataObject) -> None:
    decoder, values = json.JSONDecoder(), list[Any]()
    text = path.read_text(encoding="utf-8").strip()
    while text:
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:].strip()
    draw = cast("st.DrawFn", data.draw)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(values) - 1))
        values[place] = mutilated(values[place], draw)
    odd = tmp_path_factory.mktemp("odd") / path.name
    odd.write_text("\n".join(json.dumps(value) for value in values), encoding="utf-8")
    with contextlib.suppress(WhygenError):
        for recorded in read_calls(odd):
            _use(recorded.call())


def _use(call: Call) -> None:
    """What anybody does with a call: it has an identity, and no text is half of a character."""
    assert Request(prompt=call.chat, settings=call.settings).digest
    json.dumps(cast("JsonValue", call.chat.to_json())).encode()
    for turn in call.chat.messages:
        turn.text.encode()


@settings(max_examples=40)
@given(data=st.data())
def test_a_file_that_was_cut_anywhere_is_refused_in_words(tmp_path_factory: Any, data: st.DataObject) -> None:
    text = (SAMPLES / "anthropic.json").read_text(encoding="utf-8")
    place = data.draw(st.integers(1, len(text) - 3))
    path = tmp_path_factory.mktemp("cut") / "call.json"
    path.write_text(text[:place], encoding="utf-8")
    with pytest.raises(WhygenError):
        Call.read(path)
    assert isinstance(open_at_end(text[:place]), str)


def test_every_service_that_is_known_by_name_is_known_by_its_address() -> None:
    remote = {name: address for name, address in SERVICES.items() if "localhost" not in address}
    assert {address.split("/")[2]: name for name, address in remote.items()}.items() <= HOSTS.items()
    for address in remote.values():
        assert base_of(f"{address}/chat/completions?key=x") == address


HOSTILE = ("+a", "a.b", "a:", "a://b:c", "eyJaaaaaaaaaaa-", "bearer ", "sk-")


def test_a_long_record_is_read_at_once(tmp_path: Path) -> None:
    """40 messages of 30,000 tokens in all, and hostile ones that a search for keys could go over again and again."""
    turns: list[dict[str, Any]] = [{"role": "user", "content": "word " * 750} for _ in range(39)]
    turns += [{"role": "user", "content": f"see {odd * 20_000}"} for odd in HOSTILE]
    (tmp_path / "long.json").write_text(json.dumps({"model": "gpt-4o", "messages": turns}))
    begun = time.process_time()
    Call.read(tmp_path / "long.json")
    assert time.process_time() - begun < 10  # seconds of this process; minutes, if it were
