"""Parts of a long prompt that act as a pair, or only together, on models whose causes are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import whygen
from whygen.results.prompt import PromptExplanation

FILLERS = tuple("the cat dog house runs blue red sees finds under over green small tree river stone".split())  # noqa: SIM905
SEEDS = 10

Place = tuple[int, int, str]
"""Paragraph, sentence, word."""


def prompt_of(seed: int, paragraphs: int, sentences: int, places: list[Place]) -> str:
    rng = np.random.default_rng(seed)

    def sentence(words: list[str]) -> str:
        chosen = [FILLERS[i] for i in rng.integers(0, len(FILLERS), int(rng.integers(5, 9)))]
        for word in words:
            chosen.insert(int(rng.integers(0, len(chosen) + 1)), word)
        return " ".join(chosen).capitalize() + "."

    def words_at(paragraph: int, place: int) -> list[str]:
        return [word for p, s, word in places if (p, s) == (paragraph, place)]

    return "\n\n".join(
        " ".join(sentence(words_at(paragraph, place)) for place in range(sentences)) for paragraph in range(paragraphs)
    )


def explain(
    prompt: str, score: Callable[[set[str]], bool], seed: int, *, budget: int = 512, model_noise: str = "measure"
) -> PromptExplanation:
    def target(text: str) -> float:
        return float(score(set(text.lower().replace(".", " ").split())))

    return whygen.explain_prompt(
        lambda text: text,
        prompt,
        hierarchy="auto",
        target=target,
        budget=budget,
        model_noise=model_noise,
        cache=None,
        seed=seed,
    )


def units_of(explanation: PromptExplanation, places: list[Place]) -> list[int]:
    starts = [explanation.prompt.lower().index(word) for _, _, word in places]
    return [next(i for i, unit in enumerate(explanation.units) if unit.start <= at < unit.end) for at in starts]


def is_pair(words: set[str]) -> bool:
    """An opening tag without its closing one breaks the answer, and so does the other: both or none are well."""
    return ("zopen" in words) == ("zclose" in words)


@pytest.mark.parametrize(
    ("paragraphs", "sentences", "places"),
    [
        (20, 3, [(7, 1, "zopen"), (7, 1, "zclose")]),
        (20, 3, [(7, 0, "zopen"), (7, 2, "zclose")]),
        (20, 3, [(4, 1, "zopen"), (6, 2, "zclose")]),
        (20, 6, [(2, 1, "zopen"), (14, 4, "zclose")]),
        (1, 5, [(0, 1, "zopen"), (0, 3, "zclose")]),
        (1, 1, [(0, 0, "zopen"), (0, 0, "zclose")]),
    ],
    ids=[
        "tags of a sentence",
        "tags of a paragraph",
        "in two paragraphs",
        "in two long paragraphs",
        "quote in a paragraph",
        "quote in a sentence",
    ],
)
def test_two_words_that_act_as_a_pair_are_found_together(paragraphs: int, sentences: int, places: list[Place]) -> None:
    found = 0
    for seed in range(SEEDS):
        explanation = explain(prompt_of(seed, paragraphs, sentences, places), is_pair, seed)
        assert explanation.calls.asked <= 512
        assert "same-output" not in [warning.code for warning in explanation.warnings]
        units = units_of(explanation, places)
        found += any(pair.significant and {pair.first, pair.second} == set(units) for pair in explanation.interactions)
    assert found >= 0.9 * SEEDS


def test_a_part_that_hides_a_pair_is_opened_and_says_so() -> None:
    places = [(7, 0, "zopen"), (7, 2, "zclose")]
    tree = explain(prompt := prompt_of(3, 20, 3, places), is_pair, 3).tree
    assert tree is not None
    hiding = [
        node
        for node in tree.nodes
        if node.kind == "paragraph" and node.start <= prompt.lower().index("zopen") < node.end
    ]
    assert hiding
    assert all(node.opened and node.hidden and abs(node.value) < 1e-9 for node in hiding)


def test_three_words_that_are_needed_together_are_all_found_with_calls_enough() -> None:
    places = [(3, 0, "zopen"), (3, 1, "zmid"), (3, 2, "zclose")]
    for seed in range(4):
        explanation = explain(
            prompt_of(seed, 20, 3, places), lambda words: {"zopen", "zmid", "zclose"} <= words, seed, budget=1000,
            model_noise="none",
        )  # fmt: skip
        units = units_of(explanation, places)
        assert all(explanation.units[unit].significant for unit in units)


def test_the_budget_is_spent_before_nothing_is_said() -> None:
    prompt = prompt_of(1, 20, 3, [])
    explanation = explain(prompt, lambda words: True, 1)
    assert 512 - 60 < explanation.calls.asked <= 512
    assert "same-output" in [warning.code for warning in explanation.warnings]


def test_no_pair_is_looked_for_where_values_leave_nothing_over() -> None:
    prompt = prompt_of(2, 6, 3, [(2, 1, "zopen")])
    explanation = explain(prompt, lambda words: "zopen" in words, 2, model_noise="none")
    assert explanation.interactions == ()
    assert explanation.units[units_of(explanation, [(2, 1, "zopen")])[0]].significant
    assert explanation.calls.asked < 400


def test_interactions_can_be_left_out() -> None:
    places = [(0, 0, "zopen"), (0, 0, "zclose")]
    prompt = prompt_of(0, 1, 1, places)

    def target(text: str) -> float:
        return float(is_pair(set(text.lower().replace(".", " ").split())))

    without = whygen.explain_prompt(
        lambda text: text, prompt, hierarchy="auto", budget=512, target=target, cache=None, interactions=0
    )
    assert without.interactions == ()


@pytest.mark.parametrize("odd", [0.02, 0.05])
def test_levels_of_a_model_that_is_rarely_odd_hold_the_truth(odd: float) -> None:
    """Most levels see no odd answer at all: their intervals are no point, and hold what the model does on average."""
    held = []
    for seed in range(8):
        prompt, rng = prompt_of(seed, 4, 2, [(1, 1, "zopen")]), np.random.default_rng(seed)
        explanation = explain(prompt, lambda words: ("zopen" in words) != (rng.random() < odd), seed, budget=250)  # noqa: B023
        assert explanation.tree is not None
        at = prompt.lower().index("zopen")
        for node in explanation.tree.nodes:
            truth = 1.0 - 2.0 * odd if node.start <= at < node.end else 0.0
            assert node.low is not None
            assert node.high is not None
            held.append(node.low <= truth <= node.high)
            assert node.high > node.low
    assert np.mean(held) >= 0.95
