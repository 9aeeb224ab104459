"""The tasks that SmolLM2 is played on, and what is recorded of them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from benchmarks.rivals.tables import fill
from benchmarks.smol import record, rivals, tables
from benchmarks.smol.tasks import FULL, LARGER, TASKS

from whygen.types import Output, Request, TokenScore


def test_there_are_twenty_four_of_eight_kinds_and_larger_ones() -> None:
    assert len({task.name for task in (*TASKS, *LARGER)}) == len(TASKS) + len(LARGER)
    assert len(TASKS) == 24
    assert all(10 <= len(task.units) <= 30 for task in LARGER)
    assert {task.family for task in TASKS} >= {
        "rag", "rules", "shots", "extract", "translate", "inject", "chat", "redundant", "long", "script"
    }  # fmt: skip
    for task in (*TASKS, *LARGER):
        assert all(0 <= place < len(task.units) for place in task.right)
        assert task.answer
    for task in TASKS:
        kept = [tuple(np.flatnonzero(mask)) for mask in record.subsets_of(task)]
        assert len({task.prompt(each) for each in kept}) == 2 ** len(task.units)


@pytest.mark.parametrize("name", sorted(record.recorded()))
def test_what_is_recorded_is_all_masks_of_a_task(name: str) -> None:
    values = record.values(name)
    [units] = [len(task.units) for task in (*TASKS, *LARGER) if task.name == name] or [8]  # of an earlier study
    assert values.shape == (2**units,)
    assert np.isfinite(values).all()
    assert (values <= 0).all()


def test_truths_by_the_definition() -> None:
    """Of v = 3 a + 2 b + a b, whose interaction is shared by halves."""
    masks = np.array(list(product((False, True), repeat=3)))
    values = masks @ np.array([3.0, 2.0, 0.0]) + (masks[:, 0] & masks[:, 1])
    assert rivals.shapley(masks, values) == pytest.approx([3.5, 2.5, 0.0])
    assert rivals.banzhaf(masks, values) == pytest.approx([3.5, 2.5, 0.0])
    assert record.rows_of(masks).tolist() == list(range(8))


def test_what_is_not_recorded_is_refused_without_a_model_and_kept_with_one(tmp_path: Path) -> None:
    task = LARGER[-1]
    assert len(task.units) > FULL
    masks = record.subsets_of(task)[:5]
    with pytest.raises(record.NotRecorded, match="shots-thirty: 5 subsets"):
        record.Answers(task, tmp_path / "larger.npz")(masks)

    class Length:
        def score(self, requests: list[Request]) -> list[Output]:
            each = [float(-len(str(request.prompt))) for request in requests]
            return [Output(scores=(TokenScore(0, 1, value),)) for value in each]

    played = record.Answers(task, tmp_path / "larger.npz", Length())(masks)  # type: ignore[arg-type]
    other = record.Answers(LARGER[0], tmp_path / "larger.npz", Length())  # type: ignore[arg-type]
    other(np.ones((1, len(LARGER[0].units)), dtype=bool))  # of another task, into the same file
    kept = [task.prompt(tuple(np.flatnonzero(mask))) for mask in masks]
    assert played.tolist() == [-len(prompt) for prompt in kept]
    assert record.Answers(task, tmp_path / "larger.npz")(masks).tolist() == played.tolist()


def test_a_method_that_is_ahead_is_named_by_family() -> None:
    place = {"question": "rag-a", "family": "rag", "units": 8, "calls": 32, "seed": 0, "seconds": 1.0, "LDS": 0.5}
    rows = [
        {**place, "method": rivals.OURS, "R2": 0.9},
        {**place, "method": rivals.PRINTED, "R2": 0.5, "covered": 0.9, "width": 1.0},
        {**place, "method": "other", "R2": 0.7},
    ]
    found = tables.blocks(rows)
    assert "other" in found["smol, families"]
    assert rivals.OURS not in found["smol, families"]
    assert "0.200" in found["smol, families"]
    assert "1 of 8 units" in found["smol, games"]
    assert "0.900" in found["smol, intervals"]


def test_the_page_is_what_the_tables_say() -> None:
    page = tables.PAGE.read_text(encoding="utf-8")
    assert fill(page, tables.blocks(rivals.kept_rows())) == page
