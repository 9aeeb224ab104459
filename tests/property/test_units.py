"""Laws of units and operators: whatever the prompt, nothing is lost and nothing is invented."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.operators import Delete, Placeholder, load_operator
from whygen.prompt.units import SPLITTERS, split

TEXT = st.text(min_size=1, max_size=80).filter(lambda text: bool(text.strip()))
KINDS = sorted(SPLITTERS)


@given(TEXT, st.sampled_from(KINDS))
def test_pieces_join_to_the_prompt_byte_for_byte(text: str, kind: str) -> None:
    units = split(text, kind)
    assert "".join(text[piece.start : piece.end] for piece in units.pieces) == text


@given(TEXT, st.sampled_from(KINDS))
def test_units_are_in_order_visible_and_disjoint(text: str, kind: str) -> None:
    spans = split(text, kind).spans
    assert all(a < b for a, b in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert all(text[a:b] == text[a:b].strip() for a, b in spans)


@given(TEXT)
def test_only_white_space_lies_outside_words(text: str) -> None:
    covered = bytearray(len(text))
    for a, b in split(text).spans:
        covered[a:b] = b"\x01" * (b - a)
    assert all(covered[i] or text[i].isspace() for i in range(len(text)))


@given(TEXT, st.sampled_from(KINDS))
def test_the_full_mask_renders_the_prompt_itself(text: str, kind: str) -> None:
    units = split(text, kind)
    full = np.ones(len(units), dtype=bool)
    assert Delete().render(units, full) == text
    assert Placeholder("[MASK]").render(units, full) == text


@given(TEXT, st.data())
def test_delete_keeps_the_order_and_the_text_of_what_stays(text: str, data: st.DataObject) -> None:
    units = split(text)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    rendered = Delete().render(units, mask)
    kept = [word for word, keep in zip(units.texts, mask, strict=True) if keep]
    position = 0
    for word in kept:
        position = rendered.index(word, position) + len(word)
    assert "".join(rendered.split()) == "".join("".join(kept).split())


@given(TEXT, st.data())
def test_a_placeholder_stands_once_for_each_missing_unit(text: str, data: st.DataObject) -> None:
    units = split(text)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    mark = "\ue000"
    if mark not in text:
        assert Placeholder(mark).render(units, mask).count(mark) == int((~mask).sum())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Don't tell: it costs 3.14 (or 1,000)!",
            ["Don't", "tell", ":", "it", "costs", "3.14", "(", "or", "1,000", ")", "!"],
        ),
        ("well-known  _names_ end.", ["well-known", "_names_", "end", "."]),
        ("हिन्दी में लिखो", ["हिन्दी", "में", "लिखो"]),
        ("雪が降る", ["雪", "が", "降", "る"]),
        ("go 👩‍👩‍👧 now 🇫🇷!", ["go", "👩‍👩‍👧", "now", "🇫🇷", "!"]),
        ("a\u0301 👍🏽", ["a\u0301", "👍🏽"]),
        ("'quoted' - word-", ["'", "quoted", "'", "-", "word", "-"]),
    ],
)
def test_words_are_what_a_person_would_point_at(text: str, words: list[str]) -> None:
    assert list(split(text).texts) == words


def test_repeated_words_are_separate_units() -> None:
    assert list(split("very very good").texts) == ["very", "very", "good"]


def test_sentences_lines_and_paragraphs() -> None:
    text = "One. Two!\nThree?\n\nFour"
    assert list(split(text, "sentence").texts) == ["One.", "Two!", "Three?", "Four"]
    assert list(split(text, "line").texts) == ["One. Two!", "Three?", "Four"]
    assert list(split(text, "paragraph").texts) == ["One. Two!\nThree?", "Four"]


def test_deleting_leaves_a_readable_prompt() -> None:
    units = split("Tell a story set in the castle, please.")
    mask = np.array([text != "castle" for text in units.texts])
    assert Delete().render(units, mask) == "Tell a story set in the , please."
    first = np.arange(len(units)) > 0
    assert Delete().render(units, first).startswith("a story")


def test_pinned_text_is_always_sent_and_never_a_unit() -> None:
    units = split("Answer in JSON: who is red?", pin=["Answer in JSON:"])
    assert list(units.texts) == ["who", "is", "red", "?"]
    assert Delete().render(units, np.zeros(4, dtype=bool)) == "Answer in JSON:"
    assert len(units.pinned) == 4


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: split("   \n "), "empty"),
        (lambda: split("hello", pin=["bye"]), "'bye' does not occur"),
        (lambda: split("hello", pin=["hello"]), "Everything in the prompt is pinned"),
        (lambda: load_operator("placeholder", placeholder=""), "placeholder is empty"),
    ],
)
def test_what_cannot_work_says_what_to_do(call, names: str) -> None:
    with pytest.raises(UsageError, match=names):
        call()


def test_an_unknown_kind_of_unit_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'word'"):
        split("hello there", "words")
