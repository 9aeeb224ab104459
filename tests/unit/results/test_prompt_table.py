"""An explanation as a table, and its units by name."""

from __future__ import annotations

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
