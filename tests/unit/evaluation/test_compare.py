"""Comparing explanations: laws of the measures, and what is said of two real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import whygen
from whygen.cli import main
from whygen.errors import UsageError
from whygen.evaluation.compare import (
    DISAGREE,
    chance_jaccard,
    compare,
    generalised_jaccard,
    rank_correlation,
    top_jaccard,
)
from whygen.prompt.offline import read_against
from whygen.prompt.recipe import opened_target
from whygen.prompt.saved import recorded, references
from whygen.results.prompt import PromptExplanation, TargetRecord
from whygen.types import Output, Settings

PROMPT = "tell me a story about a red fox in the quiet harbour"
VALUES = st.lists(st.floats(-5, 5), min_size=3, max_size=12)


def explained(**choices: object) -> whygen.PromptExplanation:
    return whygen.explain_prompt("planted/additive", PROMPT, target="edit", cache=None, **choices)  # type: ignore[arg-type]


@given(VALUES, st.integers(1, 4))
def test_an_explanation_agrees_with_itself(values: list[float], k: int) -> None:
    a = np.array(values)
    assert top_jaccard(a, a, k) == 1.0
    assert generalised_jaccard(a, a) == 1.0
    correlation = rank_correlation(a, a)
    assert correlation is None or correlation == pytest.approx(1.0)
    reversed_ = rank_correlation(a, -a)
    assert reversed_ is None or reversed_ == pytest.approx(-1.0)


def test_the_chance_of_overlapping_sets_is_that_of_all_pairs_of_sets() -> None:
    sets = [set(each) for each in combinations(range(6), 2)]
    mean = np.mean([len(a & b) / len(a | b) for a in sets for b in sets])
    assert chance_jaccard(6, 2) == pytest.approx(mean)
    assert chance_jaccard(3, 9) == 1.0


def test_the_same_question_twice_changes_nothing() -> None:
    comparison = whygen.compare(explained(), explained())
    assert comparison.changed == 0
    assert comparison.settings == {}
    assert comparison.rank_correlation == pytest.approx(1.0)
    assert comparison.notes == ()


def test_another_estimand_is_compared_by_order_alone() -> None:
    comparison = compare(explained(), explained(estimand="loo"))
    assert not comparison.same_unit
    assert all(unit.low is None for unit in comparison.units)
    assert "estimand" in comparison.settings
    assert "only orders" in comparison.notes[0]


@pytest.mark.parametrize(("setting", "word"), [({"operator": "placeholder"}, "operators"), ({"keep": 0.8}, "keep")])
def test_orders_that_disagree_are_named_with_what_to_do(setting: dict[str, object], word: str) -> None:
    one = explained(**setting)
    units = tuple(
        unit.model_copy(update={"attribution": -unit.attribution, "significant": False}) for unit in one.units
    )
    comparison = compare(explained(), one.model_copy(update={"units": units}))
    assert comparison.rank_correlation is not None
    assert comparison.rank_correlation < 0
    assert any(word in note for note in comparison.notes)


def test_the_order_of_what_nobody_can_tell_from_noise_is_no_disagreement() -> None:
    one, shuffled = explained(), np.random.default_rng(0)
    noise = [unit for unit in one.units if not unit.significant]
    assert 4 <= len(noise) < len(one.units)
    size = min(abs(unit.attribution) for unit in one.units if unit.significant)

    def with_noise() -> PromptExplanation:
        drawn = iter(shuffled.normal(scale=size / 100, size=len(one.units)).tolist())
        return one.model_copy(update={"units": tuple(
            unit if unit.significant else unit.model_copy(update={"attribution": next(drawn)}) for unit in one.units
        )})  # fmt: skip

    found = [compare(with_noise(), with_noise()) for _ in range(30)]
    apart = [each for each in found if each.rank_correlation is not None and each.rank_correlation < DISAGREE]
    assert apart
    assert not any("disagree" in note for each in apart for note in each.notes)


def test_units_of_one_side_are_listed_and_nothing_shared_is_refused() -> None:
    other = whygen.explain_prompt("planted/additive", PROMPT + " ###", target="edit", cache=None)
    assert compare(explained(), other).only_second != ()
    with pytest.raises(UsageError, match="share no unit"):
        compare(explained(), whygen.explain_prompt("planted/additive", "etwas ganz anderes", cache=None))


def test_prompts_that_share_a_full_stop_are_two_prompts() -> None:
    def of(prompt: str) -> PromptExplanation:
        return whygen.explain_prompt("planted/additive", prompt, target="edit", budget=24, cache=None)

    one = of("Tell me of the harbour.")
    with pytest.raises(UsageError, match=r"no unit but marks \('\.'\)"):
        compare(one, of("etwas ganz anderes."))
    few = compare(one, of("Why is the sky so blue here today."))
    assert "2 of 6 units of the first are among the 9 of the second" in few.notes[0]
    assert not any("two prompts" in note for note in compare(explained(), explained(seed=3)).notes)
    assert repr(compare(one, of("harbour"))) == "<Comparison of 1 shared unit: 0 changed>"


def test_the_command_prints_json_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explained().save(tmp_path / "a")
    explained(seed=3).save(tmp_path / "b")
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as end:
            main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), *flags])
        assert end.value.code == 0
        printed = capsys.readouterr().out
        assert "harbour" in printed
        if flags:
            assert json.loads(printed)["settings"]["seed"] == ["0", "3"]


WORDS = "alpha beta gamma delta epsilon"


def _sampling(seed: int, *, deaf_to: str = "") -> Callable[[str], str]:
    """A model that says three in four of its words, and two more at random: every answer is another."""
    rng = np.random.default_rng(seed)

    def answer(text: str) -> str:
        said = [word for word in text.split() if word != deaf_to and rng.random() < 0.75]
        return " ".join([*said, *rng.choice(["red", "blue", "green", "black"], 2)])

    return answer


def _sampled(seed: int, **how: str) -> whygen.PromptExplanation:
    return whygen.explain_prompt(
        _sampling(seed, **how), WORDS, target="token-set", budget=64, seed=seed, cache=None,
        settings=Settings(temperature=1.0),
    )  # fmt: skip


def test_a_model_that_samples_does_not_differ_from_itself() -> None:
    found = [compare(_sampled(seed), _sampled(seed + 100)) for seed in range(20)]
    assert all(unit.low is not None for each in found for unit in each.units)
    assert sum(each.changed > 0 for each in found) <= 2


def test_a_unit_that_a_model_no_longer_hears_is_found() -> None:
    found = [compare(_sampled(seed), _sampled(seed + 100, deaf_to="gamma")) for seed in range(4)]
    names = {unit.text for each in found for unit in each.units if unit.changed}
    assert "gamma" in names


@pytest.mark.parametrize("choices", [{}, {"estimand": "shapley"}, {"budget": 16}, {"keep": 0.7}, {"estimand": "loo"}])
def test_against_its_own_reference_an_explanation_reads_as_it_did(choices: dict[str, object]) -> None:
    for made in (explained(**choices), explained(**choices).model_copy(update={"recipe": None})):
        target = opened_target(recorded(made))
        read = read_against(made, [references(made.evidence)], target).interval
        assert read is not None
        for unit, low, high in zip(made.units, read.low, read.high, strict=True):
            assert (low, high) == pytest.approx((unit.low, unit.high), abs=1e-9)


def test_a_target_of_ones_own_with_other_references_compares_orders_and_says_why() -> None:
    def explain(seed: int) -> whygen.PromptExplanation:
        return whygen.explain_prompt(_sampling(seed), WORDS, target=Heard(), budget=64, seed=seed, cache=None)

    found = compare(explain(1), explain(2))
    assert all(unit.low is None for unit in found.units)
    assert any("different reference answers" in note for note in found.notes)


class Heard:
    """Minus the number of words that an answer lacks of the reference."""

    record = TargetRecord(name="heard", distance="words lost", unit="words")
    verb = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> NDArray[np.float64]:
        wanted = set(references[0].text.split())
        return np.array([-float(len(wanted - set(output.text.split()))) for output in outputs])
