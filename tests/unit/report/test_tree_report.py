"""The levels of a long prompt on the page and in a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from example_explanations import prompt_explanation
from whygen.results.prompt import PromptExplanation
from whygen.results.records import Tree
from whygen.results.summary import print_terminal, summarise, write_html

PROMPT = "A <b>fox</b> came. It sat.\n\nThe end."


def node(start: int, end: int, **changes: Any) -> dict[str, Any]:
    value = changes.get("value", 0.0)
    fields: dict[str, Any] = {
        "start": start, "end": end, "kind": "sentence", "level": 0, "parent": None, "value": value,
        "low": value - 0.01, "high": value + 0.01, "p_value": 0.001 if value else 1.0, "opened": False,
        "divisible": False,
    }  # fmt: skip
    return {**fields, **changes}


def explanation() -> PromptExplanation:
    """A paragraph that was opened to its sentences, one of them to words; another paragraph that stayed closed."""
    end = PROMPT.index("\n")
    first = PROMPT.index(".") + 1
    tree = Tree.model_validate({
        "levels": ["paragraph", "sentence", "word"],
        "nodes": [
            node(0, end, kind="paragraph", value=0.5, children=[1, 4], opened=True, divisible=True, total=0.46,
                 total_low=0.4, total_high=0.52),
            node(0, first, level=1, parent=0, value=0.4, children=[2, 3], opened=True, divisible=True, total=0.4),
            node(0, 12, kind="word", level=2, parent=1, value=0.4),
            node(13, 18, kind="word", level=2, parent=1),
            node(first + 1, end, level=1, parent=0, divisible=True, hidden=0.2),
            node(end + 2, len(PROMPT), kind="paragraph", divisible=True, value=-0.1),
        ],
    })  # fmt: skip
    return prompt_explanation(prompt=PROMPT, pinned=(), pairs=8, tree=tree)


def test_the_page_nests_what_was_opened_and_unfolds_the_strongest_branch() -> None:
    page = explanation().to_html()
    card = page[page.index("tree-title") : page.index("prompt-title")]
    assert card.count("<details") == card.count("</details>") == 4
    assert card.count("<details open>") == 2
    assert "A &lt;b&gt;fox&lt;/b&gt; came." in card
    assert "<b>fox" not in card
    assert "Its parts sum to +0.460 (+0.400 to +0.520)" in card
    assert "halves differ by 0.200" in card


def test_a_flat_explanation_has_no_levels() -> None:
    flat = prompt_explanation()
    assert summarise(flat)["tree"] is None
    assert "tree-title" not in flat.to_html()


def test_the_terminal_shows_opened_branches_indented() -> None:
    out = io.StringIO()
    print_terminal(explanation(), Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    start = next(i for i, line in enumerate(lines) if "level by level" in line)
    shown = lines[start + 1 : start + 7]
    assert [line.rstrip() for line in shown] == [
        "  ▲ +0.500  A <b>fox</b> came. It sat.",
        "    ▲ +0.400  A <b>fox</b> came.",
        "      ▲ +0.400  A <b>fox</b>",
        "      · 1 other part",
        "    · 1 other part",
        "  ▼ −0.100  The end.",
    ]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")])
def test_it_folds_in_a_browser_without_scripts(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    path = write_html(explanation(), tmp_path / "report.html")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    words = page.locator(".tree .words")
    assert words.is_visible()
    page.locator(".tree summary").first.click()
    assert not words.is_visible()
    assert said == []
    assert page.locator("main").bounding_box()["width"] <= width
    context.close()
