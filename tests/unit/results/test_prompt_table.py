"""An explanation as a table, and its units by name."""

from __future__ import annotations

import numpy as np
import pytest

from example_explanations import prompt_explanation
from whygen.errors import UnknownNameError, UsageError

FOUND = prompt_explanation(prompt="the cat saw the dog", pinned=(), pairs=12)


def test_a_column_for_each_field_and_a_row_for_each_unit() -> None:
    table = FOUND.table()
    assert table["text"] == ["the", "cat", "saw", "the", "dog"]
    assert {"attribution", "low", "high", "p_value", "significant", "start", "end"} <= table.keys()
    assert {len(column) for column in table.values()} == {5}


def test_the_strongest_come_first_whatever_their_sign() -> None:
    sizes = [abs(unit.attribution) for unit in FOUND.top(3)]
    assert sizes == sorted((abs(unit.attribution) for unit in FOUND.units), reverse=True)[:3]
    assert len(FOUND.top(99)) == 5
    with pytest.raises(UsageError, match="at least 1"):
        FOUND.top(0)


def test_a_unit_by_its_text_or_its_number() -> None:
    assert FOUND["cat"] is FOUND.units[1]
    assert FOUND[-1] is FOUND.units[4]
    with pytest.raises(UsageError, match="Units 0, 3 are all 'the'"):
        FOUND["the"]
    with pytest.raises(UnknownNameError, match="Did you mean 'cat'"):
        FOUND["cats"]
    with pytest.raises(UsageError, match="no unit 5"):
        FOUND[5]


def test_an_explanation_is_a_sequence_of_its_units() -> None:
    assert len(FOUND) == 5
    assert [unit.text for unit in FOUND] == ["the", "cat", "saw", "the", "dog"]
    assert FOUND[1:3] == FOUND.units[1:3]
    assert FOUND[np.int64(1)] is FOUND.units[1]  # as argmax gives it
    assert "dog" in FOUND
    assert FOUND.units[2] in FOUND
    assert "cats" not in FOUND
    assert FOUND.model_copy() == FOUND
    assert type(FOUND).model_validate(FOUND.model_dump()).units == FOUND.units  # records go on as before


def test_an_explanation_without_units_is_one_all_the_same() -> None:
    assert FOUND.model_copy(update={"units": ()})
