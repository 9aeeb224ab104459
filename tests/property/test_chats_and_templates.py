"""Laws of units beyond plain text: whatever the chat or template, nothing is lost and nothing is invented."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from whygen.errors import UsageError
from whygen.prompt.operators import Delete, Placeholder
from whygen.prompt.units import CHAT_KINDS, TEMPLATE_KINDS, Units, shown, split
from whygen.prompt.units.chats import STAND_IN
from whygen.types import Chat, Message, Picture, Source, Template

TEXT = st.text(max_size=40)
ROLES = st.sampled_from(["system", "user", "assistant"])
PICTURES = st.lists(st.binary(min_size=1, max_size=3).map(Picture), max_size=2).map(tuple)
CHATS = st.lists(st.builds(Message, ROLES, TEXT, PICTURES), min_size=1, max_size=4).map(lambda m: Chat(tuple(m)))
FIXED = st.text(max_size=20).map(lambda text: text.replace("{", "{{").replace("}", "}}"))
DOCUMENTS = st.lists(st.text(max_size=15), max_size=4)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    names = draw(st.lists(st.sampled_from(["question", "passages", "_x"]), min_size=1, max_size=4))
    text = draw(FIXED) + "".join(f"{{{name}}}{draw(FIXED)}" for name in names)
    values = {name: draw(st.one_of(st.text(max_size=15), DOCUMENTS)) for name in names}
    return Template(text, values, draw(st.sampled_from(["\n\n", "\n---\n", " ", ""])))


def cut(source: Source, data: st.DataObject) -> Units:
    kinds = CHAT_KINDS if isinstance(source, Chat) else TEMPLATE_KINDS
    try:
        return split(source, data.draw(st.sampled_from(sorted(kinds))))
    except UsageError as error:
        assert "unit" in str(error) or "no text to explain" in str(error)  # noqa: PT017 - the law is about the others
        assume(False)
        raise


def rendered(template: Template) -> str:
    """The template as Python itself writes it."""
    values = {
        name: value if isinstance(value, str) else template.between.join(value)
        for name, value in template.fields.items()
    }
    return template.text.format(**values)


NOTHING = Chat((Message("user", STAND_IN),))
SOURCES = st.one_of(CHATS, templates())


@given(SOURCES, st.data())
def test_all_parts_join_to_what_was_given(source: Source, data: st.DataObject) -> None:
    units = cut(source, data)
    assert units.source == source
    assert units.join(units.parts) == units.prompt
    assert units.prompt == (rendered(source) if isinstance(source, Template) else source)
    assert shown(units.prompt) == units.text


@given(SOURCES, st.data())
def test_pieces_are_gapless_and_units_numbered_in_order(source: Source, data: st.DataObject) -> None:
    units = cut(source, data)
    assert "".join(units.parts) == units.text
    assert all(piece.start <= piece.core < piece.stop <= piece.end for piece in units.pieces)
    assert all(a.end == b.start for a, b in itertools.pairwise(units.pieces))
    assert [piece.unit for piece in units.free] == list(range(len(units)))
    assert all(text == text.strip() for text in units.texts)


@given(SOURCES, st.data())
def test_the_full_mask_renders_what_was_given(source: Source, data: st.DataObject) -> None:
    units = cut(source, data)
    full = np.ones(len(units), dtype=bool)
    assert Delete().render(units, full) == units.prompt
    assert Placeholder("...").render(units, full) == units.prompt


@given(SOURCES, st.data())
def test_what_is_kept_stands_in_order_and_nothing_else_does(source: Source, data: st.DataObject) -> None:
    units = cut(source, data)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    sent = shown(Delete().render(units, mask))
    position = 0
    for text, kept in zip(units.texts, mask, strict=True):
        if kept:
            position = sent.index(text, position) + len(text)
    assert len(sent) <= max(len(units.text), len("user:\n"))


@given(CHATS, st.data())
def test_a_chat_keeps_its_order_its_images_and_what_had_no_text(chat: Chat, data: st.DataObject) -> None:
    units = cut(chat, data)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    sent = Delete().render(units, mask)
    assert isinstance(sent, Chat)
    assert sent.messages
    assert [m.images for m in sent.messages if m.images] == [m.images for m in chat.messages if m.images]
    assert all(message in sent.messages for message in chat.messages if not message.text.strip())
    assert all(m.text or m.images or m in chat.messages for m in sent.messages)


@given(CHATS, st.data())
def test_roles_go_on_as_they_were_and_no_message_is_emptied(chat: Chat, data: st.DataObject) -> None:
    units = cut(chat, data)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    sent = Delete().render(units, mask)
    assert isinstance(sent, Chat)
    turns = [message.role for message in chat.messages if message.role != "system"]
    assert [message.role for message in sent.messages if message.role != "system"] == (turns or ["user"]) or (
        not turns and [message.role for message in sent.messages] == ["system"] * len(sent.messages)
    )
    assert all(message.text.strip() or message.images for message in sent.messages if message not in chat.messages)


@given(CHATS, st.data())
def test_pinned_roles_are_always_sent(chat: Chat, data: st.DataObject) -> None:
    role = data.draw(st.sampled_from(sorted({message.role for message in chat.messages})))
    try:
        units = split(chat, data.draw(st.sampled_from(["word", "message"])), pin=[f"role:{role}"])
    except UsageError:
        assume(False)
        raise
    nothing = Delete().render(units, np.zeros(len(units), dtype=bool))
    assert isinstance(nothing, Chat)
    pinned = [message for message in chat.messages if message.role == role]
    assert [message for message in nothing.messages if message.role == role] == pinned


@pytest.mark.parametrize("between", ["\n\n", "\n---\n"])
@given(st.data())
def test_documents_stand_where_the_first_one_stood(between: str, data: st.DataObject) -> None:
    texts = ["one", "two", "three", "four"]
    units = split(Template("Read:\n{docs}\nAnswer.", {"docs": texts}, between), "document")
    mask = data.draw(st.lists(st.booleans(), min_size=4, max_size=4).filter(any))
    kept = between.join(text for text, keep in zip(texts, mask, strict=True) if keep)
    assert Delete().render(units, np.array(mask)) == f"Read:\n{kept}\nAnswer."


@given(st.text(min_size=1, max_size=60), st.data())
def test_given_spans_are_the_units_and_the_rest_is_pinned(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=8, unique=True).map(sorted))
    spans = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if text[a:b].strip()]
    assume(spans)
    units = split(text, spans)
    assert units.join(units.parts) == text
    assert "".join(units.parts) == text
    assert list(units.texts) == [text[a:b].strip() for a, b in spans]
    covered = bytearray(len(text))
    for a, b in (*units.spans, *units.pinned):
        covered[a:b] = b"\x01" * (b - a)
    assert all(covered[i] or text[i].isspace() for i in range(len(text)))
