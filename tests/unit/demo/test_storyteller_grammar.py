"""The laws of the storyteller's grammar: labels are true, stories tell what was asked, and slots do not mix."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.storyteller.instructions import (
    ASIDES,
    CLAUSES,
    FILLERS,
    HELD_ASIDES,
    HELD_CLAUSES,
    HELD_OPENERS,
    HELD_SENTENCES,
    OPENERS,
    SENTENCES,
    write_instruction,
)
from training.storyteller.labelled import LabelledPrompt, labelled_prompts
from training.storyteller.stories import read_slots, tells_unnamed, told_slots, write_story
from training.storyteller.words import NAMES, SLOTS, SYNONYMS, TELLINGS, UNNAMED, Slot

from whygen.errors import UsageError
from whygen.prompt.operators import Delete
from whygen.prompt.units import split

SEEDS = st.integers(0, 2**32 - 1)
ASKED = st.fixed_dictionaries({}, optional={slot: st.sampled_from(tuple(TELLINGS[slot])) for slot in SLOTS})


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def drawn(seed: int) -> LabelledPrompt:
    return labelled_prompts(1, np.random.default_rng(seed))[0]


@given(ASKED, SEEDS)
def test_a_story_tells_what_was_asked_and_nothing_else(slots: dict[Slot, str], seed: int) -> None:
    story = write_story(slots, np.random.default_rng(seed))
    assert told_slots(story) == slots
    assert {slot for slot in SLOTS if tells_unnamed(story, slot)} == set(SLOTS) - set(slots)


@given(ASKED.filter(bool), SEEDS, st.sampled_from(("seen", "held-out")))
def test_an_instruction_asks_for_its_slots_however_it_is_worded(slots: dict[Slot, str], seed: int, part: str) -> None:
    instruction = write_instruction(slots, np.random.default_rng(seed), part=part)  # type: ignore[arg-type]
    assert read_slots(instruction.text) == slots
    assert instruction.slots == slots


@given(SEEDS)
def test_labels_stand_beside_the_units_that_whygen_cuts(seed: int) -> None:
    prompt = drawn(seed)
    assert prompt.spans == split(prompt.text).spans
    assert len(prompt.labels) == len(prompt.spans)
    assert 15 <= len(prompt.labels) <= 40
    assert 0.15 <= np.mean(prompt.labels) <= 0.40


@given(SEEDS)
def test_deleting_a_labelled_word_changes_what_must_be_told_and_deleting_another_does_not(seed: int) -> None:
    prompt = drawn(seed)
    units = split(prompt.text)
    asked = read_slots(prompt.text)
    assert asked == prompt.slots
    for index, is_labelled in enumerate(prompt.labels):
        left = read_slots(Delete().render(units, np.arange(len(units)) != index))
        assert (left != asked) == is_labelled
        assert left.items() <= asked.items()


@given(SEEDS)
def test_only_words_that_survive_are_asked_for(seed: int) -> None:
    prompt = drawn(seed)
    units = split(prompt.text)
    kept = np.random.default_rng(seed).random(len(units)) < 0.5
    named = dict(NAMES[text.lower()] for text, is_kept in zip(units.texts, kept, strict=True)
                 if is_kept and text.lower() in NAMES)  # fmt: skip
    assert read_slots(Delete().render(units, kept)) == named


@given(SEEDS)
def test_one_seed_gives_one_set_of_prompts_and_one_story(seed: int) -> None:
    first, second = (labelled_prompts(2, np.random.default_rng(seed)) for _ in range(2))
    assert first == second
    assert write_story(first[0].slots, np.random.default_rng(seed)) == write_story(
        first[0].slots, np.random.default_rng(seed)
    )


def test_another_seed_gives_other_prompts() -> None:
    assert drawn(1).text != drawn(2).text


def test_the_wording_of_a_story_varies_and_mostly_keeps_to_its_favourite() -> None:
    slots = drawn(0).slots
    stories = [write_story(slots, np.random.default_rng(seed)) for seed in range(200)]
    most_frequent = max(stories.count(story) for story in set(stories))
    assert len(set(stories)) > 5
    assert most_frequent > 60


def test_there_are_enough_slots_and_values_and_each_word_names_one_of_them() -> None:
    assert len(SLOTS) >= 6
    assert all(len(values) >= 12 for values in TELLINGS.values())
    values = [value for told in TELLINGS.values() for value in told]
    assert len({*values, *SYNONYMS.values()}) == len(values) + len(SYNONYMS)
    assert set(SYNONYMS) <= set(values)


def test_every_name_is_one_unit_of_a_prompt() -> None:
    assert all(split(name).texts == (name,) for name in NAMES)


@pytest.mark.parametrize("slot", SLOTS)
def test_what_is_told_of_a_value_holds_that_value_and_no_other_slot_word(slot: Slot) -> None:
    for value, telling in TELLINGS[slot].items():
        assert words_of(telling) & set(NAMES) == {value}


def test_no_slot_word_stands_in_what_is_told_when_nothing_was_named() -> None:
    assert not words_of(write_story({}, np.random.default_rng(0))) & set(NAMES)
    assert not words_of(" ".join(UNNAMED.values())) & set(NAMES)


def test_no_slot_word_stands_in_a_phrasing_an_aside_or_a_filler() -> None:
    templates = [
        text for part in (CLAUSES, HELD_CLAUSES, SENTENCES, HELD_SENTENCES) for texts in part.values() for text in texts
    ]
    for text in (*templates, *OPENERS, *HELD_OPENERS, *ASIDES, *HELD_ASIDES, *FILLERS):
        assert not words_of(text) & set(NAMES), text


def test_held_out_phrasings_are_not_among_the_seen_ones() -> None:
    assert not set(OPENERS) & set(HELD_OPENERS)
    assert not set(ASIDES) & set(HELD_ASIDES)
    for slot in SLOTS:
        assert not set(CLAUSES[slot]) & set(HELD_CLAUSES[slot])
        assert not set(SENTENCES[slot]) & set(HELD_SENTENCES[slot])


def test_no_telling_is_part_of_another_one_of_its_slot() -> None:
    for told in TELLINGS.values():
        for telling in told.values():
            assert sum(telling in other for other in told.values()) == 1


def test_the_first_word_that_names_a_slot_decides_in_any_case_and_by_synonym() -> None:
    assert read_slots("A CASTLE, not a cave. Lamp!") == {"place": "castle", "object": "lantern"}
    assert read_slots("") == {}
    assert told_slots("") == {}


def test_limits_that_no_prompt_meets_are_refused_with_advice() -> None:
    with pytest.raises(UsageError, match="widen these limits"):
        labelled_prompts(1, np.random.default_rng(0), min_units=400, max_units=401)


def test_no_prompts_are_no_prompts() -> None:
    assert labelled_prompts(0, np.random.default_rng(0)) == []
