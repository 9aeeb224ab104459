"""Marks on the beginnings that requests share: where, how large, and that nothing else of a request changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from whygen.models.anthropic.model import LEAST, marked

LONG = "Answer by the handbook. " * (LEAST // 20)
TOOL = {"name": "look", "description": LONG, "input_schema": {"type": "object"}}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def places(found: Any, path: str = "") -> list[str]:
    """Where marks stand."""
    if isinstance(found, dict):
        own = [path] if "cache_control" in found else []
        return own + [p for k, v in found.items() if k != "cache_control" for p in places(v, f"{path}/{k}")]
    return [p for i, v in enumerate(found) for p in places(v, f"{path}/{i}")] if isinstance(found, list) else []


def plain(found: Any) -> Any:
    """Without marks, a single text block as its text."""
    if isinstance(found, dict):
        return {k: plain(v) for k, v in found.items() if k != "cache_control"}
    if isinstance(found, list):
        if len(found) == 1 and isinstance(found[0], dict) and found[0].get("type") == "text":
            return found[0]["text"]
        return [plain(each) for each in found]
    return found


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        ({"system": LONG, "messages": [user("a")]}, {"system": LONG, "messages": [user("b")]}, ["/system/0"]),
        ({"tools": [TOOL], "messages": [user("a")]}, {"tools": [TOOL], "messages": [user("b")]}, ["/tools/0"]),
        (
            {"system": "s", "messages": [user(LONG), user("x"), user("a")]},
            {"system": "s", "messages": [user(LONG), user("x"), user("b")]},
            ["/messages/1/content/0"],
        ),
        (
            {"messages": [user([{"type": "text", "text": LONG}, {"type": "text", "text": "a"}])]},
            {"messages": [user([{"type": "text", "text": LONG}, {"type": "text", "text": "b"}])]},
            ["/messages/0/content/0"],
        ),
        ({"system": "short", "messages": [user("a")]}, {"system": "short", "messages": [user("b")]}, []),
        ({"system": LONG, "messages": [user("a")]}, {"system": LONG + "!", "messages": [user("a")]}, []),
        ({"messages": [user(LONG)]}, {"messages": [user(LONG)]}, []),
        ({"messages": [user(LONG + "a")]}, {"messages": [user(LONG + "b")]}, []),
    ],
)
def test_what_is_shared_is_marked_once_and_nothing_else_changes(first: Any, second: Any, where: list[str]) -> None:
    before = json.dumps(second)
    found = marked(second, first)
    assert places(found) == where
    assert plain(found) == plain(second)
    assert json.dumps(second) == before
    assert places(marked(second, None)) == []


def test_marks_of_one_s_own_are_left_alone() -> None:
    own = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    body: Any = {"system": LONG, "messages": [user([own, {"type": "text", "text": "a"}])]}
    assert marked(body, {"system": LONG, "messages": [user("b")]}) == body
