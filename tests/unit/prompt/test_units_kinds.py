"""Units of chats, templates and given spans: what a person sees, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.prompt.operators import Delete, Placeholder
from whygen.prompt.units import Units, split
from whygen.prompt.units.chats import STAND_IN
from whygen.types import Chat, Message, Picture, Template

SYSTEM = Message("system", "You are terse. Never mention a dragon.")
PHOTO = Picture(b"\x89PNG", "image/png")
CHAT = Chat(
    (SYSTEM, Message("user", "What is this?", (PHOTO,)), Message("assistant", "A fox."), Message("user", "Sure?"))
)
RAG = Template(
    "Answer from the passages. Be brief.\n\nPassages:\n{passages}\n\nQuestion: {question}\nAnswer:",
    {"passages": ["Foxes are red.", "Whales are grey."], "question": "What colour is a fox?"},
)


def without(units: Units, *gone: str):
    return Delete().render(units, np.array([text not in gone for text in units.texts]))


def test_a_chat_is_shown_as_a_transcript() -> None:
    units = split(CHAT, "message")
    assert units.text == (
        "system:\nYou are terse. Never mention a dragon.\n\nuser:\nWhat is this?\n[1 image, always sent]\n\n"
        "assistant:\nA fox.\n\nuser:\nSure?"
    )
    assert units.texts == ("You are terse. Never mention a dragon.", "What is this?", "A fox.", "Sure?")
    assert [(s.kind, s.name) for s in units.sections] == [
        ("message", role) for role in ("system", "user", "assistant", "user")
    ]
    assert units.text[units.sections[1].start : units.sections[1].end] == "What is this?\n[1 image, always sent]"


def test_a_message_without_text_says_so_unless_it_holds_an_image_and_a_system_message_goes() -> None:
    units = split(CHAT, "message")
    said = Message("assistant", STAND_IN)
    assert without(units, "A fox.") == Chat((SYSTEM, CHAT.messages[1], said, CHAT.messages[3]))
    assert without(units, SYSTEM.text) == Chat(CHAT.messages[1:])
    assert without(units, "What is this?") == Chat((SYSTEM, Message("user", "", (PHOTO,)), *CHAT.messages[2:]))


def test_a_chat_of_which_nothing_is_left_says_so() -> None:
    units = split(Chat((SYSTEM, Message("user", "Hello"))), "sentence")
    assert Delete().render(units, np.zeros(3, dtype=bool)) == Chat((Message("user", STAND_IN),))
    alone = split(Chat((SYSTEM,)), "message")
    assert without(alone, SYSTEM.text) == Chat((Message("user", STAND_IN),))


def test_words_inside_messages_leave_readable_messages() -> None:
    units = split(CHAT)
    sent = without(units, "You", "dragon", "What")
    assert isinstance(sent, Chat)
    assert [message.text for message in sent.messages] == [
        "are terse. Never mention a .",
        "is this?",
        "A fox.",
        "Sure?",
    ]
    hidden = Placeholder("...").render(units, np.array([text != "fox" for text in units.texts]))
    assert isinstance(hidden, Chat)
    assert hidden.messages[2].text == "A ...."


def test_roles_and_texts_are_pinned_inside_messages_only() -> None:
    units = split(CHAT, pin=["role:system", "Sure?"])
    assert "terse" not in units.texts
    assert "Sure" not in units.texts
    with pytest.raises(UsageError, match=r"has none such[.] It has role:assistant, role:system, role:user"):
        split(CHAT, pin=["role:tool"])


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("field", ["Foxes are red.\n\nWhales are grey.", "What colour is a fox?"]),
        ("document", ["Foxes are red.", "Whales are grey."]),
        (
            "part",
            ["Answer from the passages.", "Be brief.", "Passages:", "Foxes are red.", "Whales are grey.", "Question:",
             "What colour is a fox?", "Answer:"],
        ),
        ("sentence", ["Answer from the passages.", "Be brief.", "Passages:", "Question:", "Answer:"]),
        ("paragraph", ["Answer from the passages. Be brief.", "Passages:", "Question:", "Answer:"]),
    ],
)  # fmt: skip
def test_kinds_of_a_template(kind: str, texts: list[str]) -> None:
    assert list(split(RAG, kind).texts) == texts


def test_sections_of_a_template_are_its_fields_and_documents() -> None:
    units = split(RAG, "part")
    found = [(s.kind, s.name, units.text[s.start : s.end]) for s in units.sections]
    assert found == [
        ("field", "passages", "Foxes are red.\n\nWhales are grey."),
        ("document", "passages 1", "Foxes are red."),
        ("document", "passages 2", "Whales are grey."),
        ("field", "question", "What colour is a fox?"),
    ]


def test_fields_are_pinned_by_name_and_doubled_braces_are_braces() -> None:
    template = Template("Write JSON {{like this}}: {task} {task}", {"task": "a fox"})
    assert split(template, "field").text == "Write JSON {like this}: a fox a fox"
    assert len(split(template, "field")) == 2
    assert split(RAG, "field", pin=["field:question"]).texts == ("Foxes are red.\n\nWhales are grey.",)


def test_a_pinned_text_counts_where_it_is_whole_units() -> None:
    units = split("a castle and a fox", pin=["a"])
    assert units.texts == ("castle", "and", "fox")


@pytest.mark.parametrize(
    ("prompt", "units", "pin", "message"),
    [
        ("a castle", "word", ["cast"], "'cast' cuts through the unit 'castle'"),
        ("One fox. Two.", "sentence", ["fox"], "cuts through the unit 'One fox.'"),
        ("a  b", "word", ["  "], "holds no unit"),
        (CHAT, "part", ["system"], "pinned by 'part:system'"),
        (CHAT, "sentence", ["system"], "pinned by 'role:system'"),
        ("a castle", [(0, 4), (2, 8)], (), "overlap in 'ca'"),
        ("a castle", [(2, 8), (0, 1)], (), "not in order"),
        ("a castle", [(2, 9)], (), "which has 8 characters"),
        ("a castle", [(1, 2)], (), "white space only"),
        ("a castle", [], (), "empty list"),
        (CHAT, [(0, 3)], (), "spans point into a plain text"),
        ("a castle", "message", (), "needs a Chat"),
        ("a castle", "field", (), "needs a Template"),
        (CHAT, "document", (), "needs a Template"),
        (Chat((Message("user", " "),)), "message", (), "holds no text to explain"),
        (Template("no field"), "word", (), "has no field"),
        (Template("{a} {b}", {"a": "x"}), "field", (), "field 'b' has no value. Give one for each of: a, b"),
        (Template("{a}", {"a": "x", "c": "y"}), "field", (), "value for 'c', and the template has no such field: a"),
        (Template("{a:>3}", {"a": "x"}), "field", (), "not a plain name"),
        (Template("{}", {}), "field", (), "not a plain name"),
        (Template("{a.b}", {}), "field", (), "not a plain name"),
        (Template("{a", {"a": "x"}), "field", (), "Double the braces"),
        (Template("{a}", {"a": "x"}), "sentence", (), "no fixed text"),
        (Template("{a}", {"a": " "}), "field", (), "no value that shows something"),
        (Template("Read {a}", {"a": "x"}), "document", (), "holds documents"),
    ],
)
def test_what_cannot_be_cut_says_what_to_do(prompt, units, pin, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split(prompt, units, pin=pin)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Chat(()), "has no message"),
        (lambda: Chat((Message("tool", "hi"),)), "is a tool's, and does not say which call it answers"),
        (lambda: Chat(("hi",)), "holds a str: give Message"),  # pyright: ignore[reportArgumentType]
        (lambda: Chat((Message("user", "\ud800"),)), "Message 1 of the chat is not valid Unicode"),
        (lambda: Template("{a}", {"a": 3}), "'a' holds a int"),  # pyright: ignore[reportArgumentType]
        (lambda: Template("{a}", {"a": ["x", None]}), "'a' holds a NoneType"),  # pyright: ignore[reportArgumentType]
        (lambda: Template("{a}", {"a": "\udc00"}), "'a' is not valid Unicode"),
    ],
)
def test_values_that_are_no_text_are_refused(made, message: str) -> None:
    """Where they are made, or where they are cut at the latest."""
    with pytest.raises((DataError, UsageError), match=message):
        split(made(), "word")


def test_other_types_and_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="prompt is a int"):
        split(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnknownNameError, match="Did you mean 'message'"):
        split(CHAT, "massage")
    with pytest.raises(UsageError, match=r"Did you mean 'message'\? That needs a Chat.*of this: line, paragraph"):
        split("Tell me.", "mesage")


def test_more_pinned_than_free_is_told() -> None:
    assert [code for code, _ in split("a b c", pin=["a b"]).notices] == ["more-pinned-than-free"]
    assert split("a b c d", pin=["a b"]).notices == ()
    assert [code for code, _ in split(CHAT, "message").notices] == ["emptied-messages"]
    assert split(CHAT, "message", pin=["role:assistant", "Sure?"]).notices == ()
