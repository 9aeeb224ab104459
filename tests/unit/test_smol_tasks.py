"""The tasks that SmolLM2 is played on, and what is recorded of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from benchmarks.smol import record, rivals
from benchmarks.smol.tasks import TASKS


def test_there_are_twenty_four_of_eight_kinds_and_more() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS) == 24
    assert {task.family for task in TASKS} >= {
        "rag", "rules", "shots", "extract", "translate", "inject", "chat", "redundant", "long", "script"
    }  # fmt: skip
    for task in TASKS:
        assert 8 <= len(task.units) <= 30
        assert all(0 <= place < len(task.units) for place in task.right)
        assert task.answer
        assert len({task.prompt(kept) for kept in record.subsets(len(task.units))}) == 2 ** len(task.units)


@pytest.mark.parametrize("name", sorted(record.recorded()))
def test_what_is_recorded_is_all_masks_of_a_task(name: str) -> None:
    values = record.values(name)
    [units] = [len(task.units) for task in TASKS if task.name == name] or [8]  # of an earlier study
    assert values.shape == (2**units,)
    assert np.isfinite(values).all()
    assert (values <= 0).all()


def test_truths_by_the_definition() -> None:
    """Of v = 3 a + 2 b + a b, whose interaction is shared by halves."""
    masks = np.array(list(product((False, True), repeat=3)))
    values = masks @ np.array([3.0, 2.0, 0.0]) + (masks[:, 0] & masks[:, 1])
    assert rivals.shapley(masks, values) == pytest.approx([3.5, 2.5, 0.0])
    assert rivals.banzhaf(masks, values) == pytest.approx([3.5, 2.5, 0.0])
    assert rivals.rows_of(masks).tolist() == list(range(8))
    assert record.subsets(2) == [(), (1,), (0,), (0, 1)]
