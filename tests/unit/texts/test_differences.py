"""Two texts side by side."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from whygen.texts import differences

TEXT = st.text(alphabet="ab c.é\n雪日👩‍🔬", max_size=40)


@given(TEXT, TEXT)
def test_stretches_give_both_texts_back_and_share_the_same(first: str, second: str) -> None:
    one, two = differences(first, second)
    assert "".join(stretch.text for stretch in one) == first
    assert "".join(stretch.text for stretch in two) == second
    assert [s.text for s in one if not s.own] == [s.text for s in two if not s.own]


@given(TEXT)
def test_equal_texts_share_everything(text: str) -> None:
    assert not any(stretch.own for side in differences(text, text) for stretch in side)


def test_one_changed_word_is_all_that_is_marked() -> None:
    one, two = differences("The fox crept home.", "The dog crept home.")
    assert [s.text for s in one if s.own] == ["fox"]
    assert [s.text for s in two if s.own] == ["dog"]


def test_texts_that_share_no_word_share_nothing() -> None:
    one, two = differences("Rain fell, slowly.", "A dog barked.")
    assert len(one) == len(two) == 1
    assert one[0].own
    assert two[0].own


def test_scripts_without_spaces_are_compared_too() -> None:
    one, two = differences("今日は雪です。", "今日は雨です。")
    assert [s.text for s in one if s.own] == ["雪"]
    assert [s.text for s in two if s.own] == ["雨"]


def test_long_texts_end_in_time() -> None:
    began = time.process_time()
    differences("the same word " * 20_000, "the other word " * 20_000)
    assert time.process_time() - began < 5.0
