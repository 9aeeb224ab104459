"""Chats, templates and inputs in a report: nothing is lost, nothing is markup."""

from __future__ import annotations

import itertools

import pytest

from example_explanations import STORY, prompt_explanation
from whygen import report
from whygen.results.prompt import InputRecord, Section
from whygen.results.summary import passages, summarise

EVIL = "</p><script>alert(1)</script>"
TURNS = (
    Section(kind="message", name="system", start=0, end=22),
    Section(kind="message", name="user", start=23, end=len(STORY)),
)
FIELDS = (
    Section(kind="field", name="beings", start=STORY.index("curious"), end=STORY.index(" in a")),
    Section(kind="document", name="beings 1", start=STORY.index("curious"), end=STORY.index(" fox")),
    Section(kind="document", name="beings 2", start=STORY.index("fox"), end=STORY.index(" in a")),
    Section(kind="field", name="place", start=STORY.index("misty"), end=STORY.index(", never")),
)


def test_a_plain_prompt_is_one_turn_without_a_name() -> None:
    explanation = prompt_explanation()
    assert passages.turns(explanation) == [{"name": None, "pieces": passages.pieces(explanation)}]


def test_turns_of_a_chat_hold_their_messages() -> None:
    turns = passages.turns(prompt_explanation(sections=TURNS))
    assert [turn["name"] for turn in turns] == ["system", "user"]
    texts = ["".join(piece["text"] for piece in turn["pieces"]) for turn in turns]
    assert texts == [STORY[:22], STORY[23:]]
    assert all(piece["kind"] == "pinned" for piece in turns[0]["pieces"])


def test_fields_and_documents_are_announced_where_they_begin() -> None:
    (turn,) = passages.turns(prompt_explanation(sections=FIELDS))
    pieces = turn["pieces"]
    named = {p["text"]: after["text"] for p, after in itertools.pairwise(pieces) if p["kind"] == "name"}
    assert named == {"beings 1": "curious", "beings 2": "fox", "place": "misty"}
    assert "".join(piece["text"] for piece in pieces if piece["kind"] != "name") == STORY


def test_a_field_that_shows_its_own_name_is_not_named_again() -> None:
    prompt = "Answer: {question}"
    section = Section(kind="field", name="question", start=8, end=len(prompt))
    explanation = prompt_explanation(prompt=prompt, pinned=(), sections=(section,), units=())
    assert [piece["kind"] for piece in passages.turns(explanation)[0]["pieces"]] == ["pinned"]


@pytest.mark.parametrize("kind", ["message", "field"])
def test_names_and_inputs_are_never_markup(kind: str) -> None:
    section = Section(kind=kind, name=EVIL, start=0, end=22)  # pyright: ignore[reportArgumentType]
    n = len(prompt_explanation().units)
    record = InputRecord(text=EVIL + "\u202e", attributions=(0.5, *[0.0] * (n - 1)))
    page = report.html(summarise(prompt_explanation(sections=(section,), inputs=(record, record))))
    assert "<script>alert" not in page
    assert "\u202e" not in page.replace("\\u202e", "")
    assert "2 inputs" in page
    assert "drove these outputs" in page


def test_inputs_show_the_largest_units_first_and_what_matters_most_to_each() -> None:
    explanation = prompt_explanation()
    n = len(explanation.units)
    records = tuple(
        InputRecord(text=f"input {i}", attributions=tuple(float(j == i) for j in range(n))) for i in range(250)
    )
    shown = passages.inputs(prompt_explanation(inputs=records))
    assert shown is not None
    largest = max(explanation.units, key=lambda unit: abs(unit.attribution))
    assert shown["strips"][0]["name"] == largest.text
    assert len(shown["strips"]) == passages.MOST_STRIPS
    assert (len(shown["rows"]), shown["left_out"]) == (200, 50)
    assert [row["unit"] for row in shown["rows"][:3]] == [unit.text for unit in explanation.units[:3]]
    assert passages.inputs(explanation) is None
