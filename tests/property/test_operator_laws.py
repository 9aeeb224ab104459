"""Laws of operators: the full mask is the prompt, a mask gives one text, and only what was dropped changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.models import load_model
from whygen.prompt.operators import Delete, EmbeddingNoise, Operator, Placeholder, Substitute
from whygen.prompt.operators.helping import filled
from whygen.prompt.operators.words import same_word, written_like
from whygen.prompt.tokens import token_splitter
from whygen.prompt.units import SPLITTERS, Units, inside_character, split
from whygen.types import Limits, Settings

TEXT = st.text(min_size=1, max_size=80).filter(lambda text: bool(text.strip()))
KINDS = sorted(SPLITTERS)


def operators(units: Units, fillers: Sequence[str]) -> list[Operator]:
    replacements = tuple(fillers[i % len(fillers)] for i in range(len(units)))
    return [Delete(), Placeholder("[MASK]"), Substitute("mine", replacements), EmbeddingNoise(seed=1)]


@given(TEXT, st.sampled_from(KINDS), st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_the_full_mask_is_the_prompt_byte_for_byte_with_the_settings_as_they_are(
    text: str, kind: str, fillers: list[str]
) -> None:
    units, settings = split(text, kind), Settings(max_tokens=9)
    for operator in operators(units, fillers):
        full = np.ones(len(units), dtype=bool)
        assert operator.render(units, full) == text
        assert operator.settings(units, full, settings) == settings


@given(TEXT, st.lists(st.text(max_size=8), min_size=1, max_size=4), st.data())
def test_a_mask_gives_one_text_whatever_was_rendered_before(text: str, fillers: list[str], data: st.DataObject) -> None:
    units = split(text)
    masks = data.draw(st.lists(st.lists(st.booleans(), min_size=len(units), max_size=len(units)), min_size=2))
    for operator in operators(units, fillers):
        once = [operator.render(units, np.array(mask)) for mask in masks]
        assert [operator.render(units, np.array(mask)) for mask in reversed(masks)] == once[::-1]


@given(TEXT, st.lists(st.text(max_size=8), min_size=1, max_size=4), st.data())
def test_kept_units_and_white_space_stand_as_they_were(text: str, fillers: list[str], data: st.DataObject) -> None:
    units = split(text)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    operator = Substitute("mine", tuple(fillers[i % len(fillers)] for i in range(len(units))))
    for piece, part in zip(units.pieces, operator.parts(units, mask), strict=True):
        stands = text[piece.core : piece.stop] if mask[piece.unit] else operator.replacements[piece.unit or 0]
        assert part == text[piece.start : piece.core] + stands + text[piece.stop : piece.end]


@given(TEXT, st.data())
def test_noise_reaches_the_dropped_units_and_no_others(text: str, data: st.DataObject) -> None:
    units = split(text)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    told = EmbeddingNoise(scale=2.0, seed=3).settings(units, mask, Settings()).extra
    spans = [tuple(span) for span in told["embedding_noise"]["spans"]] if told else []  # type: ignore[index,call-overload]
    assert spans == [span for span, kept in zip(units.spans, mask, strict=True) if not kept]


class Cutting:
    """A tokenizer that cuts anywhere, white space and joined characters included."""

    uri = "test/cutting"
    limits = Limits()

    def __init__(self, cuts: Sequence[int]) -> None:
        self.cuts = cuts

    def answer(self, requests):
        return []

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        ends = sorted({cut for cut in self.cuts if 0 < cut < len(text)} | {len(text)})
        return list(zip([0, *ends[:-1]], ends, strict=True))


@given(TEXT | st.text("a \u0301👩\u200d🇫🇷", min_size=1).filter(str.strip), st.lists(st.integers(1, 80), max_size=30))
def test_tokens_tile_the_prompt_and_cut_no_character(text: str, cuts: list[int]) -> None:
    units = split(text, "token", splitter=token_splitter(Cutting(cuts)))
    assert "".join(units.text_at(piece) for piece in units.pieces) == text
    covered = bytearray(len(text))
    for a, b in units.spans:
        assert a < b
        assert text[a:b] == text[a:b].strip()
        assert not inside_character(text, a)
        covered[a:b] = b"\x01" * (b - a)
    assert all(covered[i] or text[i].isspace() for i in range(len(text)))


@pytest.fixture(scope="module")
def storyteller():
    return load_model("demo/storyteller")


@given(text=TEXT)
def test_the_tokens_of_a_real_model_tile_any_text(storyteller, text: str) -> None:
    spans = storyteller.token_spans(text)
    assert "".join(text[a:b] for a, b in spans) == text
    assert [a for a, _ in spans[1:]] == [b for _, b in spans[:-1]]
    units = split(text, "token", splitter=token_splitter(storyteller))
    assert Delete().render(units, np.ones(len(units), dtype=bool)) == text


@given(st.text(), st.text(), st.text())
def test_what_is_filled_in_is_never_read_as_a_name(left: str, right: str, text: str) -> None:
    assert filled("<{left}|{right}|{text}>", left=left, right=right, text=text) == f"<{left}|{right}|{text}>"


@given(st.text(min_size=1), st.text(min_size=1))
def test_forms_of_a_word_are_mutual_and_a_word_is_one_of_itself(one: str, other: str) -> None:
    assert same_word(one, other) == same_word(other, one)
    assert same_word(one, one.upper()) or one.upper().casefold() != one.casefold()
    assert written_like(other, other) == other or other[:1].upper() != other[:1]
