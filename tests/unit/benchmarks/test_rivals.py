"""The comparison with rivals: what it counts, what it grants, and that it goes on without those who are missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.rivals import agreement, compare, registry, rooms, scores, tables
from benchmarks.rivals.adapters.plain import METHODS
from benchmarks.rivals.box import Box
from benchmarks.rivals.play import Players, rounds
from benchmarks.rivals.protocol import CannotPlay, OverBudget, Task, coded, decoded, mask_of, words
from benchmarks.rivals.questions import Question, planted
from benchmarks.rivals.registry import RIVALS, Rival, chosen
from hypothesis import given
from hypothesis import strategies as st

WEIGHTS = np.array([3.0, -1.0, 0.0, 2.0, 0.5])


def additive(masks: np.ndarray) -> np.ndarray:
    return masks @ WEIGHTS


def task(box: Box, n: int = 5, seed: int = 0) -> Task:
    return Task(n, box.budget - 1, seed, np.ones((1, n), dtype=bool), box)


# ---- calls ----


def test_the_whole_prompt_is_everybodys_first_call_and_every_other_mask_counts_each_time() -> None:
    box, one = Box(additive, 8), np.array([[True, False, True, True, True]])
    assert box.calls == 1
    box(np.ones((3, 5), dtype=bool))
    assert box.calls == 1
    box(np.vstack([one, one]))
    assert box.calls == 3


def test_what_exceeds_the_budget_is_not_sent_at_all() -> None:
    sent: list[int] = []

    def values(masks: np.ndarray) -> np.ndarray:
        sent.append(len(masks))
        return additive(masks)

    box = Box(values, 4)
    with pytest.raises(OverBudget, match="5 more calls after 1 exceed the budget of 4"):
        box(~np.eye(5, dtype=bool))
    assert sent == []
    assert box.calls == 1


@given(st.integers(2, 12), st.integers(2, 40), st.integers(0, 9))
def test_no_method_of_ours_asks_for_more_than_it_has(n: int, budget: int, seed: int) -> None:
    for method in METHODS.values():
        box = Box(lambda masks: masks.sum(axis=1).astype(float), budget)
        try:
            method(task(box, n, seed))
        except CannotPlay as refusal:
            assert str(budget - 1) in str(refusal)  # noqa: PT017 (the other outcome is as good)
        assert box.calls <= budget


def test_leave_one_out_asks_for_one_mask_a_unit_and_finds_an_additive_game() -> None:
    box = Box(additive, 6)
    found = METHODS["leave-one-out"](task(box))
    assert box.calls == 6
    assert found.attributions == pytest.approx(WEIGHTS)


def test_the_published_procedure_spends_all_its_calls_and_finds_an_additive_game() -> None:
    box = Box(additive, 21)
    found = METHODS["gSMILE"](task(box))
    assert 20 <= box.calls <= 21  # the whole prompt may be among its masks
    assert found.attributions == pytest.approx(WEIGHTS)
    assert found.predictions == pytest.approx([WEIGHTS.sum()])


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=5))
def test_masks_come_back_from_codes_and_from_texts(rows: list[list[bool]]) -> None:
    masks = np.array(rows)
    assert np.array_equal(decoded(coded(masks), 12), masks)
    for mask in masks:
        text = " ".join(word for word, keep in zip(words(12), mask, strict=True) if keep)
        assert np.array_equal(mask_of(text, 12), mask)


# ---- rooms ----


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """An environment that is this one: the worker runs in another process all the same."""
    python = rooms.python_of("plain", tmp_path)
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


@pytest.fixture
def room(build: Path) -> Iterator[rooms.Room]:
    opened = rooms.Room.open("plain", build=build)
    yield opened
    opened.close()


def test_a_rival_in_its_own_process_asks_here_and_finds_the_same(room: rooms.Room) -> None:
    box, new = Box(additive, 6), np.eye(5, dtype=bool)
    found, seconds = room.explain("leave-one-out", box, 5, new=new, seed=0)
    assert box.calls == 6
    assert found.attributions == pytest.approx(WEIGHTS)
    assert found.predictions == pytest.approx(WEIGHTS)
    assert seconds >= 0.0
    again, _ = room.explain("random", Box(additive, 6), 5, new=new, seed=3)
    assert np.array_equal(again.attributions, METHODS["random"](task(Box(additive, 6), seed=3)).attributions)


def test_refusals_and_overdrafts_come_through_and_the_room_stays_open(room: rooms.Room) -> None:
    new = np.ones((1, 5), dtype=bool)
    with pytest.raises(CannotPlay, match="a call for each of 5 units, there are 3"):
        room.explain("leave-one-out", Box(additive, 4), 5, new=new, seed=0)
    spent = Box(additive, 6)
    spent.calls = 4  # somebody else asked on the same account
    with pytest.raises(OverBudget, match="exceed the budget of 6"):
        room.explain("leave-one-out", spent, 5, new=new, seed=0)
    with pytest.raises(rooms.Missing, match="KeyError"):
        room.explain("no such method", Box(additive, 6), 5, new=new, seed=0)
    room.explain("leave-one-out", Box(additive, 6), 5, new=new, seed=0)


def test_a_process_that_dies_is_missing_and_not_waited_for(room: rooms.Room) -> None:
    room.process.kill()
    room.process.wait()
    with pytest.raises(rooms.Missing, match="plain ended without an answer"):
        room.explain("random", Box(additive, 6), 5, new=np.ones((1, 5), dtype=bool), seed=0)


def test_a_library_that_cannot_be_imported_says_so(build: Path) -> None:
    (build / "plain").rename(build / "no_such_library")
    with pytest.raises(rooms.Missing, match="installed but cannot be imported: No module named"):
        rooms.Room.open("no_such_library", build=build)


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd.txt").write_text("no such requirement ==\n")
    monkeypatch.setattr(rooms, "REQUIREMENTS", tmp_path)
    with pytest.raises(rooms.Missing, match="odd could not be installed"):
        rooms.install("odd", tmp_path)
    assert not (tmp_path / "odd" / "installed.txt").exists()


def test_the_others_go_on_without_a_rival_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms.Room.open.__func__, "__kwdefaults__", {"build": tmp_path})
    players = Players((Rival("LIME", "lime", "LIME"), Rival("leave-one-out", None, "leave-one-out")))
    players.open()
    assert players.left_out == {"LIME": "lime is not installed: run python -m benchmarks.rivals --install --only lime"}
    records = list(rounds(planted(1, (10,)), players, (64,), 1))
    assert {record["method"] for record in records} == {*registry.OURS.values(), "leave-one-out"}
    assert all(record["calls"] <= 64 for record in records)
    players.close()


def test_names_of_rivals_and_of_libraries_choose_them() -> None:
    assert [rival.name for rival in chosen(["lime", "Captum LIME"])] == ["LIME", "Captum LIME"]
    assert {rival.room for rival in chosen(["shapiq"])} == {"shapiq"}
    assert chosen(None) == RIVALS
    with pytest.raises(ValueError, match=r"No rival is called nobody\. There are: random, "):
        chosen(["nobody"])


def test_every_rival_has_an_adapter_and_pinned_requirements() -> None:
    for rival in RIVALS:
        if rival.room is None:
            assert rival.method in METHODS
            continue
        wanted = (rooms.REQUIREMENTS / f"{rival.room}.txt").read_text(encoding="utf-8")
        assert all("==" in line or "@" in line for line in wanted.splitlines() if not line.startswith("#"))
        adapter = Path(rooms.__file__).parent / "adapters" / f"{rival.room}.py"
        assert f'"{rival.method}"' in adapter.read_text(encoding="utf-8")


# ---- scores ----


@given(st.integers(0, 999), st.floats(0.0, 5.0), st.floats(-3.0, 3.0))
def test_what_is_granted_is_at_least_what_any_scale_and_shift_give(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    truth, told = rng.normal(size=30), rng.normal(size=30)
    granted = scores.granted_r_squared(truth, told)
    assert granted >= scores.r_squared(truth, shift + scale * told) - 1e-9
    assert granted == pytest.approx(scores.granted_r_squared(truth, 2.0 * told + 1.0), abs=1e-9)


def test_deletion_of_an_additive_game_is_its_sum() -> None:
    """Deleting 3, 2, .5, 0, -1 in this order leaves 1.5, -.5, -1, -1, 0 of 4.5: it falls by 3, 5, 5.5, 5.5, 4.5."""
    assert scores.deletion(additive, WEIGHTS, 2.0) == pytest.approx((3 + 5 + 5.5 + 5.5 + 4.5) / 5 / 2)


@given(st.integers(0, 99))
def test_the_true_order_deletes_at_least_as_much_as_any_other(seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=5)
    assert scores.deletion(additive, WEIGHTS, 1.0) >= scores.deletion(additive, other, 1.0) - 1e-12


def test_a_lost_scale_is_granted_in_the_shapley_error_alone_where_it_was_lost() -> None:
    assert scores.shapley_error(WEIGHTS, WEIGHTS) == 0.0
    assert scores.shapley_error(0.0 * WEIGHTS, WEIGHTS) == 1.0
    shifted = (WEIGHTS - WEIGHTS.min()) / 7.0
    assert scores.shapley_error(shifted, WEIGHTS, scaled=True) == pytest.approx(0.0, abs=1e-20)
    assert scores.shapley_error(shifted, WEIGHTS) > 0.5


def record(method: str, question: str, **figures: float | str) -> dict[str, object]:
    return {"part": "p", "budget": 64, "method": method, "question": question, "seed": 0, "calls": 60,
            "seconds": 0.1, **figures}  # fmt: skip


def test_a_rival_is_behind_or_ahead_by_pairs_of_questions_and_seeds_are_averaged_first() -> None:
    ours, theirs = registry.OURS["banzhaf"], "LIME"
    records = [record(ours, name, R2=r2) for name, r2 in (("a", 0.5), ("b", 0.7), ("c", 0.6))]
    records += [record(theirs, name, R2=r2) for name, r2 in (("a", 0.4), ("a", 0.6), ("b", 0.8), ("c", 0.7))]
    row = next(row for row in compare.rows(records) if row["method"] == theirs)
    assert row["ahead"]["R2"]["mean"] == pytest.approx(-0.2 / 3)
    # Student's t with 2 degrees of freedom, 4.3027, times the standard error of 0, -.1 and -.1.
    assert row["ahead"]["R2"]["half"] == pytest.approx(4.3027 * 0.057735 / 3**0.5, rel=1e-4)
    assert compare.behind(row) == []
    assert row["questions"] == 3
    assert row["mean"]["R2"] == pytest.approx((0.5 + 0.8 + 0.7) / 3)


def test_less_shapley_error_is_better() -> None:
    records = [record(registry.OURS["shapley"], q, **{"Shapley error": 0.2}) for q in "abc"]
    records += [record("x", q, **{"Shapley error": e}) for q, e in zip("abc", (0.1, 0.11, 0.09), strict=True)]
    row = next(row for row in compare.rows(records) if row["method"] == "x")
    assert row["ahead"]["Shapley error"]["mean"] == pytest.approx(-0.1)
    assert compare.behind(row) == ["Shapley error"]


def test_who_refuses_or_fails_is_counted_and_has_no_figures() -> None:
    refused = {"part": "p", "budget": 64, "method": "x", "question": "a", "seed": 0, "cannot": "too few calls"}
    (row,) = compare.rows([refused])
    assert (row["refused"], row["failed"], row["why"]) == (1, 0, "too few calls")
    assert "mean" not in row


def test_the_truth_of_a_planted_question_is_what_its_units_do() -> None:
    for question in planted(1, (10,)):
        assert isinstance(question, Question)
        assert question.shapley is not None
        ends = question.values(np.array([[False] * 10, [True] * 10]))
        assert question.shapley.sum() == pytest.approx(ends[1] - ends[0])
        assert question.relevant is not None
        assert not question.shapley[~question.relevant].any()


# ---- our own scorer ----


def test_our_scores_agree_alone_in_a_batch_and_with_a_plain_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SEEDS", (7,))
    found = agreement.rows(())
    assert len(found) == 4
    assert all(row["agrees"] for row in found), found


def test_a_difference_is_told() -> None:
    scored = np.array([1.0, 2.0, 4.0])
    assert agreement.row("x", "y", "gpt2", scored, scored)["agrees"]
    assert not agreement.row("x", "y", "gpt2", scored, scored + 0.01)["agrees"]


# ---- the page ----


def test_blocks_are_filled_and_an_unknown_one_is_an_error() -> None:
    page = "before\n<!-- rivals: a -->\nold\n<!-- end -->\nafter"
    assert tables.fill(page, {"a": "| new |"}) == "before\n<!-- rivals: a -->\n\n| new |\n\n<!-- end -->\nafter"
    assert tables.fill(tables.fill(page, {"a": "x"}), {"a": "x"}) == tables.fill(page, {"a": "x"})
    with pytest.raises(KeyError):
        tables.fill(page, {})


def test_the_page_says_what_the_results_say() -> None:
    found = tables.blocks(json.loads(tables.RESULT.read_text(encoding="utf-8")))
    page = tables.PAGE.read_text(encoding="utf-8")
    assert page == tables.fill(page, found)
    assert all(f"<!-- rivals: {name} -->" in page for name in found)


def test_what_was_not_measured_is_said() -> None:
    assert tables._cell([]) == "*Not part of these results.*"


def test_every_row_of_the_results_has_a_table() -> None:
    rows = json.loads(tables.RESULT.read_text(encoding="utf-8"))["figures"]["rows"]
    assert {(row["part"], row["budget"]) for row in rows} <= set(tables.CELLS)


def test_the_results_hold_the_budget() -> None:
    rows = json.loads(tables.RESULT.read_text(encoding="utf-8"))["figures"]["rows"]
    assert all(row.get("calls", 0.0) <= row["budget"] for row in rows)
    assert {row["method"] for row in rows} >= set(registry.OURS.values())


def test_rows_where_whygen_is_behind_stand_in_bold_and_in_their_own_table() -> None:
    records = [record(registry.OURS["banzhaf"], q, R2=0.5) for q in "abc"]
    records += [record("better", q, R2=r2) for q, r2 in zip("abc", (0.6, 0.61, 0.62), strict=True)]
    rows = compare.rows(records)
    assert "(**-0.110 ± 0.025**)" in tables._cell(rows)
    assert "| better | R2 | 0.110 ± 0.025 |" in tables._ahead(rows)
    assert tables._ahead(rows[:1]) == "No rival is ahead of whygen by more than the interval."
