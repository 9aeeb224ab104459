"""The levels of any text: parts nest, cover and stay few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.prompt.long.parts import MOST_CHILDREN, lay_out, parse_levels
from whygen.prompt.units import split

WORDS = st.sampled_from(["word", "one.", "two!", "\n\n", "\n", "狐は", "x", "?"])
TEXTS = st.lists(WORDS, min_size=1, max_size=120).map(" ".join).filter(str.strip)


@given(TEXTS, st.sampled_from(["auto", "paragraph>word", "line>sentence>word", "paragraph>sentence", "word"]))
def test_children_divide_their_part_and_are_few(text: str, hierarchy: str) -> None:
    levels = parse_levels(hierarchy)
    units = split(text, levels[-1])
    skeleton = lay_out(units, levels)
    assert skeleton.n == len(units)
    for part in skeleton.parts:
        children = skeleton.children(part.index)
        assert len(children) <= MOST_CHILDREN
        assert len(children) != 1
        if children:
            assert [part.first, *(child.last for child in children)] == [*(c.first for c in children), part.last]
        else:
            assert part.last - part.first == 1


@pytest.mark.parametrize(("words", "depth"), [(16, 1), (17, 2), (256, 2), (257, 3), (5000, 4)])
def test_an_endless_sentence_is_cut_into_balanced_groups(words: int, depth: int) -> None:
    skeleton = lay_out(split(" ".join(["word"] * words)), parse_levels("auto"))
    leaves = [part for part in skeleton.parts if not part.children]
    assert {skeleton.depth(leaf.index) + 1 for leaf in leaves} <= {depth, depth - 1}
    assert max(skeleton.depth(leaf.index) + 1 for leaf in leaves) == depth
    if depth > 1:
        assert skeleton.parts[1].kind == "group of words"


def test_a_level_that_divides_nothing_is_passed_over() -> None:
    skeleton = lay_out(split("One sentence here.\n\nTwo here. And there."), parse_levels("auto"))
    first, second = skeleton.children(0)
    assert [child.kind for child in skeleton.children(first.index)] == ["word"] * 4
    assert [child.kind for child in skeleton.children(second.index)] == ["sentence"] * 2
