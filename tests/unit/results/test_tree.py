"""The record of a hierarchy: what holds between its nodes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from whygen.results.records import Node, Tree


def node(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "start": 0, "end": 4, "kind": "sentence", "level": 0, "parent": None, "value": 1.0, "low": 0.5, "high": 1.5,
        "p_value": 0.01, "opened": False, "divisible": False,
    }  # fmt: skip
    return {**fields, **changes}


def tree() -> Tree:
    return Tree.model_validate({
        "levels": ["sentence", "word"],
        "nodes": [
            node(children=[1, 2], opened=True, divisible=True, total=0.9),
            node(parent=0, level=1, end=2, value=0.6),
            node(parent=0, level=1, start=2, value=0.3),
            node(start=5, end=9, value=-2.0, divisible=True),
        ],
    })  # fmt: skip


def test_roots_leaves_and_the_strongest_branch() -> None:
    found = tree()
    assert found.roots == (0, 3)
    assert found.leaves == (1, 2, 3)
    assert found.strongest_branch == (0,)


def test_it_comes_back_from_its_json() -> None:
    assert Tree.model_validate_json(tree().model_dump_json()) == tree()


def test_missing_figures_become_none() -> None:
    assert Node.model_validate(node(low=float("nan"), p_value=float("inf"))).low is None


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([node(opened=True)], "opened"),
        ([node(children=[1], opened=True)], "child 1"),
        ([node(children=[1], opened=True), node()], "does not know it"),
        ([node(), node(parent=0)], "has the parent 0"),
        ([node(parent=-1)], "has the parent -1"),
    ],
)
def test_a_tree_that_does_not_hold_together_is_refused(nodes: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Tree.model_validate({"levels": ["word"], "nodes": nodes})
