"""Laws of operators: the full mask is the prompt, a mask gives one text, and only what was dropped changes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from whygen.models import load_model
from whygen.prompt.operators import Delete, EmbeddingNoise, Operator, Placeholder, Substitute
from whygen.prompt.operators.helped import filled
from whygen.prompt.operators.synonyms import same_word, written_like
from whygen.prompt.question import token_splitter
from whygen.prompt.units import SPLITTERS, Units, split
from whygen.texts import character_edges, is_word_edge, word_spans
from whygen.types import Limits, Settings

SCRIPTS = (
    "fox", "Tell", "a", "3", "3.5", "well-known", "don't", "x_y", "U.S", "naïve", "e\u0301t\u00e9", "straße", "лиса",
    "αλεπού", "ቀበሮ", "աղվես",
    "می\u200cخواهم", "ثعلب", "צה״ל", "शब्द", "শিয়াল", "นก", "ສັດ", "ខ្មែរ", "မြန်မာ", "雪が", "カメラ", "여우",
    "👩\u200d👩\u200d👧", "🇫🇷", "👍🏽", "soft\u00adhyphen", "wo\u2060rd", "\u0301", "\U000e0067",
)  # fmt: skip
MARKS = (
    *"\"'`*#$@([{<)]}>.,;:!?-–—_/\\|&%+=~^“”‘’«»„「」『』。、！？؟،।…·״׳־",
    "\u200b", "\u202f", "\u00a0", " ", "  ", "\n", "\n\n", "\t", "",
)  # fmt: skip
MIXED = st.lists(
    st.tuples(st.sampled_from(MARKS), st.sampled_from(SCRIPTS), st.sampled_from(MARKS)), min_size=1, max_size=12
)
PROMPTS = MIXED.map(lambda parts: "".join(before + word + after for before, word, after in parts)) | st.text(
    min_size=1, max_size=60
)
"""Words of many scripts among marks and white space of every kind."""

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
    covered, edges = bytearray(len(text)), character_edges(text)
    for a, b in units.spans:
        assert a < b
        assert text[a:b] == text[a:b].strip()
        assert a in edges or text[a - 1].isspace()
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


def some_mask(units: Units, data: st.DataObject) -> np.ndarray:
    return np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))), dtype=bool)


@given(PROMPTS.filter(str.strip), st.sampled_from(KINDS), st.data())
def test_deleting_makes_no_word_that_the_prompt_has_not(text: str, kind: str, data: st.DataObject) -> None:
    units = split(text, kind)
    assume(all(is_word_edge(text, place) for span in units.spans for place in span))  # not so around U+202F
    sent = Delete().render(units, some_mask(units, data))
    assert isinstance(sent, str)
    found, known = ({each[a:b] for a, b in word_spans(each)} for each in (sent, text))
    assert {word for word in found if any(map(str.isalnum, word))} <= known  # marks alone are no word


@given(PROMPTS.filter(str.strip), st.sampled_from(KINDS), st.data())
def test_what_white_space_parted_stays_parted_by_white_space_of_the_prompt(
    text: str, kind: str, data: st.DataObject
) -> None:
    units = split(text, kind)
    mask = some_mask(units, data)
    sent = Delete().render(units, mask)
    assert isinstance(sent, str)
    kept = [span for span, keep in zip(units.spans, mask, strict=True) if keep]
    place = 0
    for number, (start, end) in enumerate(kept):
        found = sent.index(text[start:end], place)
        gap, before = sent[place:found], text[kept[number - 1][1] : start] if number else ""
        spaces = {"".join(run) for white, run in itertools.groupby(before, str.isspace) if white}
        narrow = {"", " ", "\u202f"}  # U+202F is a letter to UAX 29: it parts no words, so that it may go with them
        assert gap in spaces | (narrow if spaces <= {"\u202f"} else set()) if spaces else not number or gap in {"", " "}
        if "\n" in before and number:
            assert gap.count("\n") >= min(2, max(space.count("\n") for space in spaces))
        place = found + end - start


@given(PROMPTS.filter(str.strip), st.sampled_from(["...", "_", "[MASK]", "x"]), st.data())
def test_a_replacement_swallows_no_neighbour(text: str, filler: str, data: st.DataObject) -> None:
    units = split(text)
    assume(not any(unit in filler for unit in units.texts))  # else it is not known which of the two was found
    mask = some_mask(units, data)
    sent = Placeholder(filler).render(units, mask)
    assert isinstance(sent, str)
    place = 0
    for unit, (start, _), keep in zip(units.texts, units.spans, mask, strict=True):
        if keep:
            place = sent.index(unit, place)
            assert is_word_edge(sent, place) or not is_word_edge(text, start)
            place += len(unit)


@pytest.mark.parametrize(
    ("prompt", "gone", "sent"),
    [
        ('Please tell "fox" story now', '"', "Please tell fox story now"),
        ("Please tell (fox) story now", "(", "Please tell fox) story now"),
        ("Use `code` and *bold* #tag $5 @me", "`*#$@", "Use code and bold tag 5 me"),
        ("a@b.c and x/y", "@/", "a b.c and x y"),
        ("One.\n\nTwo. Three", "Two", "One.\n\n. Three"),
        ("Say “Hallo” und «oui» et 「はい」", "“”«»「」", "Say Hallo und oui et はい"),
        ("我 们「说」", "「」", "我 们说"),
        ("قل «نعم» الآن", "«»", "قل نعم الآن"),
        ("10\u202f! now", "!", "10 now"),
        ("dogs' tails", "'", "dogs tails"),
        ("កី|fox", "|", "កី fox"),
        ("fox/เ", "/", "fox เ"),
        ("ગુજરાતી、ガス", "、", "ગુજરાતી ガス"),
    ],
)
def test_words_stay_apart_when_the_marks_between_them_go(prompt: str, gone: str, sent: str) -> None:
    units = split(prompt)
    assert Delete().render(units, np.array([unit not in {*gone, gone} for unit in units.texts])) == sent
