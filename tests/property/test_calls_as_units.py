"""Laws of a recorded call cut into units: whatever is taken away, services take what is sent, and no word is new."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from whygen.errors import UsageError
from whygen.models.anthropic import turns as anthropic
from whygen.models.openai import turns as openai
from whygen.prompt.operators import Delete, Placeholder
from whygen.prompt.units import CHAT_KINDS, PART, STAND_IN, ChatUnits, shown, split, words
from whygen.types import Block, Chat, Message, Picture, Tool, ToolCall

WORDS = ["fox", "river", "paid", "بله", "雨が降る", "email", "42", "—", "a,b", "{x}"]
MARKED = [
    '<document index="3">fox</document>', "<documents>\n<document>a</document>\n\n<document>b</document>\n</documents>",
    "[1] fox\n[2] river\n\nWhich one?", "Document 3: fox\nDocument 4: river", "one\n---\ntwo\n---\nthree",
    '[{"a": "fox"}, {"b": "river"}]', '{"q": 1, "hits": [{"t": "x"}, {"t": "y"}], "n": 2}', "<memory>tea</memory>",
    "Memories:\n- likes tea\n- owns a fox\n\nHi", "Q: a\nA: b\n\nQ: c\nA: d\n\nQ: e\nA:", "<documents><document>",
    "Context:\nfox\n\nriver\n\nQuestion: which?", "سند ۱: روباه\nسند ۲: رود", "<a><b></a></b>",
]  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([*WORDS, "\n\n", "\n", " "]), max_size=12).map(" ".join),
    st.sampled_from(MARKED),
    st.tuples(st.sampled_from(WORDS), st.sampled_from(MARKED), st.sampled_from(WORDS)).map("\n".join),
)
SAID = TEXT.filter(lambda text: text.strip())
NAMES = ["search", "send_email", "run"]
PARTS = st.lists(
    st.one_of(
        SAID,
        st.just(Picture(b"\x89PNG")),
        SAID.map(lambda text: Block({"type": "text", "text": text, "cache_control": {}}, "anthropic", ("text",))),
        st.just(Block({"type": "document", "title": "terms.pdf"}, "anthropic")),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


SERVED = SAID.map(
    lambda text: Message(
        "assistant",
        "",
        parts=(
            Block({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}, "anthropic"),
            Block({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}, "anthropic"),
            text,
        ),
    )
)
"""A turn in which the service ran a tool itself: its blocks belong together."""


@st.composite
def calls(draw: st.DrawFn) -> Chat:
    """A request as services take it: the user begins, roles alternate, every call has its result."""
    messages = [Message("system", draw(SAID))] if draw(st.booleans()) else []
    count = 0
    for _ in range(draw(st.integers(0, 3))):
        messages.append(draw(user()))
        while draw(st.booleans()):
            made = tuple(
                ToolCall(draw(st.sampled_from(NAMES)), json.dumps({"to": draw(TEXT)}), f"c{count + i}")
                for i in range(draw(st.integers(1, 2)))
            )
            count += len(made)
            messages.append(Message("assistant", draw(st.one_of(st.just(""), SAID)), calls=made))
            messages += [Message("tool", draw(SAID), answers=call.id) for call in made]
        messages.append(draw(st.one_of(SAID.map(lambda text: Message("assistant", text)), SERVED)))
    messages.append(draw(user()))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1 if count else 0))
    tools = [Tool(name, draw(TEXT), {"type": "object", "properties": {}}) for name in names]
    return Chat(messages, tools, draw(st.sampled_from(["auto", "none", *(["required", *names] if names else [])])))


def user() -> st.SearchStrategy[Message]:
    return st.one_of(
        SAID.map(lambda text: Message("user", text)), PARTS.map(lambda parts: Message("user", "", parts=parts))
    )


def cut(chat: Chat, data: st.DataObject) -> ChatUnits:
    kind = data.draw(st.sampled_from([PART, PART, *sorted(CHAT_KINDS)]))
    try:
        units = split(chat, kind)
        if kind == PART and data.draw(st.booleans()):
            name = data.draw(st.sampled_from([each.name for each in units.named]))  # type: ignore[attr-defined]
            units = split(chat, data.draw(st.sampled_from(["word", "sentence"])), within=[name])
    except UsageError as error:
        assert "no text to explain" in str(error) or "pinned" in str(error)  # noqa: PT017
        assume(False)
        raise
    assert isinstance(units, ChatUnits)
    return units


def masked(units: ChatUnits, data: st.DataObject) -> Chat:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    operator = data.draw(st.sampled_from([Delete(), Delete(), Placeholder("...")]))
    sent = operator.render(units, mask)
    assert isinstance(sent, Chat)
    return sent


@given(calls(), st.data())
def test_a_call_with_every_unit_is_the_call_itself(chat: Chat, data: st.DataObject) -> None:
    units = cut(chat, data)
    assert units.join(units.parts) == chat
    assert Delete().render(units, np.ones(len(units), dtype=bool)).to_json() == chat.to_json()  # type: ignore[union-attr]
    assert "".join(units.parts) == units.text == shown(chat)
    assert all(piece.start <= piece.core < piece.stop <= piece.end for piece in units.pieces)
    assert all(a.end == b.start for a, b in itertools.pairwise(units.pieces))
    assert all(units.text[s.start : s.end].strip() or s.kind == "message" for s in units.sections)
    assert len(units.named) == len(units)


@given(calls(), st.data())
def test_what_is_sent_is_a_request_that_services_take(chat: Chat, data: st.DataObject) -> None:
    units = cut(chat, data)
    sent = masked(units, data)
    turns = [message for message in sent.messages if message.role != "system"]
    assert turns[0].role == "user"
    assert turns[-1].role == "user"
    # A result of a tool is the user's turn in Anthropic's protocol: there results of one turn stand in a row.
    sides = ["user" if message.role in ("user", "tool") else "assistant" for message in turns]
    assert all(
        a != b or "tool" in (x.role, y.role) for (a, x), (b, y) in itertools.pairwise(zip(sides, turns, strict=True))
    )
    for before, after in itertools.pairwise(turns):
        assert bool(before.calls) <= (after.role == "tool")
        assert not (before.role == "user" and after.role == "tool")
    assert [c for m in sent.messages for c in m.calls] == [c for m in chat.messages for c in m.calls]
    assert [m.answers for m in sent.messages if m.answers] == [m.answers for m in chat.messages if m.answers]
    for message in sent.messages:
        assert message in chat.messages or message.text.strip() or message.images or message.calls or message.parts
        assert all(part.strip() for part in message.parts if isinstance(part, str))
    assert [m.images for m in sent.messages if m.images] == [m.images for m in chat.messages if m.images]


@given(calls(), st.data())
def test_no_rule_of_the_protocols_is_broken(chat: Chat, data: st.DataObject) -> None:
    sent = masked(cut(chat, data), data)
    turns: list[Any] = anthropic.split(sent)[1]
    waiting: list[str] = []
    for before, turn in itertools.pairwise([{"role": "assistant"}, *turns]):
        assert turn["role"] != before["role"]
        blocks = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
        assert blocks
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        assert [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"] == waiting
        assert [b["type"] for b in blocks[: len(waiting)]] == ["tool_result"] * len(waiting)
        served = [b["type"] for b in blocks if "server" in b["type"] or "web" in b["type"]]
        assert served in ([], ["server_tool_use", "web_search_tool_result"])
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert not waiting
    assert anthropic.tools(sent) or not any(message.calls for message in sent.messages) or not chat.tools
    foreign = any(isinstance(part, Block) and not part.place for message in sent.messages for part in message.parts)
    for message in [] if foreign else openai.messages(sent):
        assert message["content"] or (message["content"] is None and message["tool_calls"])


@given(calls(), st.data())
def test_tools_that_are_offered_are_among_those_of_the_call(chat: Chat, data: st.DataObject) -> None:
    sent = masked(cut(chat, data), data)
    names = [tool.name for tool in chat.tools]
    offered = [tool.name for tool in sent.tools]
    assert offered == [name for name in names if name in offered]
    assert offered or not any(message.calls for message in sent.messages) or not names
    assert sent.tool_choice in ("auto", chat.tool_choice)
    assert sent.tool_choice == chat.tool_choice or not sent.tools or not sent.tools[0].description
    if chat.tool_choice in names:
        assert next(t for t in sent.tools if t.name == chat.tool_choice) in chat.tools
    assert sent.tools or sent.tool_choice in ("auto", "none")


def words_of(text: str) -> list[str]:
    return [text[start:end] for start, end in words(text)]


@given(calls(), st.data())
def test_no_word_is_sent_that_the_call_has_not(chat: Chat, data: st.DataObject) -> None:
    units = cut(chat, data)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    sent = Delete().render(units, mask)
    known = set(words_of(units.text)) | {"type", "object", "properties", STAND_IN}
    assert set(words_of(shown(sent))) <= known
    for kept, text in zip(mask.tolist(), units.texts, strict=True):
        if kept and "\n\nassistant:\n" not in text:
            assert text in shown(sent)


@given(calls())
def test_a_call_comes_back_from_its_record(chat: Chat) -> None:
    blank = {part: part for message in chat.messages for part in message.images}
    digests = {str(image.to_json()["sha256"]): image for image in blank}
    assert Chat.from_json(json.loads(json.dumps(chat.to_json())), pictures=digests) == chat
