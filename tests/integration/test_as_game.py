"""The black box as a game of shapiq: exact values by two roads, one set of recorded calls."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import whygen
from whygen.errors import BudgetError, MissingExtraError, ModelError, UsageError
from whygen.prompt.as_game import as_game
from whygen.types import Failure, Limits, Output

shapiq = pytest.importorskip("shapiq")

PROMPT = "tell about a fox near the castle"


class Counting:
    """Answers with what it was asked, but for some of the words; counts."""

    uri = "py/counting"
    limits = Limits(max_batch=64)

    def __init__(self, *, fails: str = "") -> None:
        self.asked: list[str] = []
        self.fails = fails

    def answer(self, requests):
        self.asked.extend(request.prompt for request in requests)
        return [self._one(request.prompt) for request in requests]

    def _one(self, prompt: str) -> Output | Failure:
        if self.fails and self.fails not in prompt:
            return Failure(kind="permanent", message="no", advice="")
        both = "together " * ("fox" in prompt and "castle" in prompt)
        return Output(text=f"words: {both}{prompt}")


@pytest.mark.parametrize("model", ["planted/additive", "planted/interacting", "planted/redundant", Counting()])
def test_exact_shapley_values_of_shapiq_are_those_of_an_enumerated_explanation(model: object) -> None:
    explanation = whygen.explain_prompt(model, PROMPT, estimand="shapley", budget=200, target="token-set", cache=None)
    with as_game(model, PROMPT, target="token-set", cache=None) as game:
        exact = shapiq.ExactComputer(game=game, n_players=game.n_players)("SV")
        found = [exact[(player,)] for player in range(game.n_players)]
    assert found == pytest.approx([unit.attribution for unit in explanation.units], abs=1e-9)
    assert np.abs(found).max() > 0.01


def test_exact_banzhaf_values_and_the_strongest_interaction_agree_too() -> None:
    explanation = whygen.explain_prompt("planted/interacting", PROMPT, budget=200, target="token-set", cache=None)
    with as_game("planted/interacting", PROMPT, target="token-set", cache=None) as game:
        exact = shapiq.ExactComputer(game=game, n_players=game.n_players)
        values, pairs = exact("BV"), exact("BII", order=2)
        assert [values[(i,)] for i in range(game.n_players)] == pytest.approx(
            [unit.attribution for unit in explanation.units], abs=1e-9
        )
    texts = [unit.text for unit in explanation.units]
    strongest = max(pairs.dict_values, key=lambda units: abs(pairs[units]) if len(units) == 2 else -1.0)
    assert {texts[i] for i in strongest} == {"fox", "castle"}


def test_a_coalition_is_asked_for_once_and_the_empty_one_is_zero(tmp_path) -> None:
    model = Counting()
    with as_game(model, PROMPT, target="token-set", cache=tmp_path / "calls.sqlite") as game:
        before = len(model.asked)
        masks = np.array([[1, 0, 0, 1, 0, 0, 0], [0] * 7, [1, 0, 0, 1, 0, 0, 0], [1] * 7], dtype=bool)
        values = game(masks)
        assert len(model.asked) == before + 1
        assert values[1] == 0.0
        assert values[0] == values[2]
        assert game(masks[3:]) == values[3:]
    again = Counting()
    with as_game(again, PROMPT, target="token-set", cache=tmp_path / "calls.sqlite") as game:
        assert game(masks) == pytest.approx(values)
    assert again.asked == []


def test_words_that_repeat_are_players_of_their_own() -> None:
    with as_game("planted/additive", "a fox and a castle", target="token-set", cache=None) as game:
        assert list(game.player_name_lookup) == ["a (1)", "fox", "and", "a (2)", "castle"]


def test_what_a_game_does_not_read_is_refused() -> None:
    with pytest.raises(UsageError, match="estimand, keep"):
        as_game("planted/additive", PROMPT, cache=None, estimand="shapley", keep=0.8)


def test_a_budget_bounds_the_calls_of_the_game() -> None:
    game = as_game("planted/additive", PROMPT, target="token-set", cache=None, budget=20)
    with game, pytest.raises(BudgetError):
        shapiq.ExactComputer(game=game, n_players=game.n_players)("SV")


def test_a_coalition_without_an_answer_is_an_error() -> None:
    with as_game(Counting(fails=""), PROMPT, target="token-set", cache=None) as game:
        assert game.n_players == 7
    with pytest.raises(ModelError, match="did not answer"):
        as_game(Counting(fails="fox"), PROMPT, target="token-set", cache=None)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shapiq", None)
    with pytest.raises(MissingExtraError, match=r"whygen\[shapiq\]"):
        as_game("planted/additive", PROMPT, cache=None)
