"""Looks at a run under way: they change nothing, read masks in their own order, and say what holds at all of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import whygen
from whygen.calls import Silent
from whygen.prompt.options import choose
from whygen.prompt.session import open_session
from whygen.prompt.units import Units
from whygen.prompt.watching import FIRST_LOOK, Arrivals, Look, Watched, look_counts, rows_by_question
from whygen.types import Failure, Output, TokenScore

PROMPT = "Tell a story about a curious fox in a foggy harbor."


def fox(prompt: str) -> str:
    return "the fox runs home" if "fox" in prompt else "a dog sits in the house"


class Seen(Silent):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, str, int, int]] = []
        self.looks: list[Look] = []

    def began(self, units: Units, reference: Output, *, masks: int, looks: int) -> None:
        self.begun.append((len(units), reference.text, masks, looks))

    def look(self, look: Look) -> None:
        self.looks.append(look)


def explained(seen: Any, **choices: Any) -> whygen.PromptExplanation:
    choices = {"target": "tfidf", "cache": None, "budget": 48} | choices
    return whygen.explain_prompt(fox, PROMPT, progress=seen, **choices)


@pytest.mark.parametrize(
    "choices",
    [{}, {"estimand": "loo"}, {"estimand": "shapley"}, {"estimand": "local"}, {"keep": 0.7}, {"draws": 2}],
    ids=str,
)
def test_looks_change_nothing_and_close_in_on_the_end(choices: dict[str, Any]) -> None:
    seen = Seen()
    watched, alone = explained(seen, **choices), explained(Silent(), **choices)
    assert watched.units == alone.units
    assert watched.calls == alone.calls
    [(units, reference, masks, looks)] = seen.begun
    assert (units, reference, looks) == (len(watched.units), "the fox runs home", len(seen.looks))
    assert [look.number for look in seen.looks] == list(range(1, looks + 1))
    last = seen.looks[-1]
    assert last.masks == masks > last.answered
    drawn = last.values[[unit.text == "fox" for unit in watched.units]]
    assert np.isnan(drawn) or drawn == pytest.approx(max(unit.attribution for unit in watched.units), abs=0.1)


def test_intervals_of_all_looks_share_the_five_percent_and_shrink() -> None:
    seen = Seen()
    explained(seen, budget=96)
    levels = [look.level for look in seen.looks]
    assert sum(1.0 - (level or math.nan) for level in levels) == pytest.approx(0.05)
    widths = [float((look.interval.high - look.interval.low).max()) for look in seen.looks if look.interval is not None]
    assert len(widths) == len(levels)
    assert widths[0] <= 2.0
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.2


def test_where_all_masks_are_asked_there_are_values_and_no_interval() -> None:
    seen = Seen()
    whygen.explain_prompt(fox, "a curious fox harbor", target="tfidf", cache=None, progress=seen)
    assert seen.looks
    assert all(look.interval is None and look.level is None for look in seen.looks)
    assert seen.looks[-1].values.argmax() == 2


@given(st.integers(0, 2000))
def test_looks_grow_and_leave_the_end_to_the_end(rows: int) -> None:
    counts = look_counts(rows)
    assert list(counts) == sorted(set(counts))
    assert all(FIRST_LOOK <= count < rows for count in counts)
    assert all(count % 2 == 0 for count in counts)  # pairs of masks count as a whole
    assert len(counts) <= 26


def _begun(seen: Seen) -> tuple[Watched, list[Output]]:
    """A run before its masks, and their answers."""
    chosen = choose(None, {"target": "tfidf"}, prompt=PROMPT)
    with open_session(
        fox, chosen, encoder="auto", settings=None, seed=0, cache=None, options=None, progress=None, run=None
    ) as session:
        question = session.question(PROMPT, chosen)
        asker = session.asker(question, session.runner(64))
        asker.whole(1)
        design = question.design(asker.steadiness)
        prompts = asker.rendered(design)
        begun = asker.answers(design, prompts, stands=asker.is_known(design, prompts, draws=1))
    return Watched(seen, begun, question.plan, asker.meter, 0), [Output(text=fox(str(each))) for each in prompts]


def test_the_order_in_which_answers_come_does_not_matter() -> None:
    in_order, shuffled = Seen(), Seen()
    watched, answers = _begun(in_order)
    for row, answer in enumerate(answers):
        watched.arrived(row, answer)
    watched, answers = _begun(shuffled)
    # The quick ones first, then the rest: nothing is shown of answers behind one that is still out.
    for row in [*range(1, 40), 0, *range(40, len(answers))]:
        watched.arrived(row, answers[row])
        if row < 40 and row != 0:
            assert not shuffled.looks
    by_count = {look.answered: look for look in in_order.looks}
    assert shuffled.looks
    for look in shuffled.looks:
        assert (look.values == by_count[look.answered].values).all()


def test_a_call_that_failed_takes_its_pair_away_and_not_the_look() -> None:
    seen = Seen()
    watched, answers = _begun(seen)
    for row, answer in enumerate(answers):
        watched.arrived(row, None if row == 3 else answer)
    assert len(seen.looks) == len(look_counts(len(answers)))
    assert np.isfinite(seen.looks[-1].values).all()


def test_looks_that_take_long_leave_the_run_alone_for_a_while() -> None:
    seen, hours = Seen(), itertools.count(step=3_600.0)  # each look takes an hour by this clock
    watched, answers = _begun(seen)
    watched.busy = lambda: next(hours)
    for row, answer in enumerate(answers):
        watched.arrived(row, answer)
    numbers = [look.number for look in seen.looks]
    assert numbers == [1]


def test_answers_of_several_texts_are_there_when_all_are() -> None:
    told: list[tuple[int, list[tuple[int, int]] | None]] = []
    arrivals = Arrivals(
        rows_by_question(["asked", "asked", "other", "other"], [4, 6, 5, None]),
        ("one ", "two"),
        lambda row, output: told.append((row, None if output is None else _spans(output))),
    )
    scored = {text: Output(text=text, scores=(TokenScore(0, len(text), -1.0),)) for text in ("one ", "two")}
    arrivals("asked", "two", scored["two"])
    arrivals("other", "one ", scored["one "])
    assert told == []
    arrivals("asked", "one ", scored["one "])
    arrivals("other", "two", Failure(kind="permanent", message="too long"))
    joined = [(0, 4), (4, 7)]  # end to end, in the order in which they are wanted
    assert told == [(4, joined), (6, joined), (5, None)]


def _spans(output: Output) -> list[tuple[int, int]]:
    return [(score.start, score.end) for score in output.scores or ()]


def test_scores_are_looked_at_while_they_come() -> None:
    seen = Seen()
    found = whygen.explain_prompt(
        "planted/additive", "Write of a fox, a piano, and nothing else at all today.", target="contrastive:A volcano.",
        cache=None, progress=seen, budget=120,
    )  # fmt: skip
    by_size = sorted(range(len(found.units)), key=lambda i: -abs(found.units[i].attribution))
    last = seen.looks[-1].values
    assert {found.units[i].text for i in by_size[:2]} == {"fox", "piano"}
    assert set(np.argsort(-np.abs(last))[:2].tolist()) == set(by_size[:2])
