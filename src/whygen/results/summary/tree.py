"""First stage of the levels of a long prompt: the tree as nested dicts, for a page that folds and for a terminal."""

from __future__ import annotations

from typing import Any

from whygen.report.colours import FAINT, LEVELS, level_of, sign_of
from whygen.report.texts import clip, decimals_for, shorten, signed, visible
from whygen.results.prompt import PromptExplanation
from whygen.results.tree import Node, Tree

MOST_TEXT = 4_000
"""Characters shown of one part that was not opened."""
MOST_LINE = 90
MARKS = {"pos": "▲", "neg": "▼", "zero": "·"}


def summarise_tree(explanation: PromptExplanation) -> dict[str, Any] | None:
    """The parts of a prompt that was explained level by level, nested; None for any other."""
    tree = explanation.tree
    if tree is None:
        return None
    largest = max((abs(node.value) for node in tree.nodes), default=0.0)
    shown = _Shown(explanation.prompt, tree, largest, decimals_for(largest))
    opened = sum(node.opened for node in tree.nodes)
    return {
        "levels": " > ".join(tree.levels),
        "opened": opened,
        "closed": sum(node.divisible and not node.opened for node in tree.nodes),
        "grouped": any(node.kind.startswith("group of ") for node in tree.nodes),
        "parts": [shown.part(place) for place in tree.roots],
    }


class _Shown:
    """Turns nodes into dicts, with one scale of colours and one number of decimals for all."""

    def __init__(self, prompt: str, tree: Tree, largest: float, decimals: int) -> None:
        self._prompt, self._tree, self._largest, self._decimals = prompt, tree, largest, decimals
        self._unfolded = frozenset(tree.strongest_branch)

    def part(self, place: int) -> dict[str, Any]:
        node = self._tree.nodes[place]
        text, left_out = clip(self._prompt[node.start : node.end], MOST_TEXT)
        sure = _stands_out(node)
        figure, between = signed(node.value, self._decimals), self._between(node.low, node.high)
        sign = sign_of(node.value) if abs(node.value) >= 0.5 * 10.0**-self._decimals else "zero"
        return {
            "kind": node.kind,
            "level": node.level,
            "short": shorten(text, MOST_LINE),
            "text": visible(text),
            "left_out": left_out,
            "value": node.value,
            "value_text": figure,
            "interval_text": between,
            "sign": sign,
            "step": 0 if sign == "zero" else level_of(node.value, self._largest, most=LEVELS if sure else FAINT),
            "sure": sure,
            "mark": MARKS[sign] if sure else MARKS["zero"],
            "tip": f"{shorten(text, 40)}  {figure}  interval {between}{'' if sure else '  not told apart from zero'}",
            "opened": node.opened,
            "divisible": node.divisible,
            "unfolded": place in self._unfolded,
            "total_text": None if node.total is None else signed(node.total, self._decimals),
            "total_interval": self._between(node.total_low, node.total_high),
            "hidden_text": signed(node.hidden, self._decimals).lstrip("+") if node.hidden else None,
            "children": [self.part(child) for child in node.children],
        }

    def _between(self, low: float | None, high: float | None) -> str:
        if low is None or high is None:
            return "–"
        return f"{signed(low, self._decimals)} to {signed(high, self._decimals)}"


def _stands_out(node: Node) -> bool:
    """Whether the interval keeps clear of zero and the test agrees."""
    if node.low is None or node.high is None:
        return False
    return (node.low > 0.0 or node.high < 0.0) and (node.p_value is None or node.p_value < 0.05)
