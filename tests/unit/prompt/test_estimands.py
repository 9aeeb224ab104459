"""Every estimand keeps one contract, however it draws masks and reads effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import ESTIMANDS, Estimand, Fitting, MaskDraw, load_estimand
from whygen.prompt.kernels import Dropped
from whygen.prompt.options import PromptOptions
from whygen.prompt.plan import Plan, check_choices
from whygen.prompt.surrogates import load_surrogate
from whygen.results.estimands import WORDS, EstimandName
from whygen.types import Floats, Masks

EVERY = pytest.mark.parametrize("estimand", ESTIMANDS.values(), ids=list(ESTIMANDS))
SIZES = pytest.mark.parametrize("n", [2, 3, 5, 9, 24])
RIDGE = load_surrogate("ridge")


def plan_of(estimand: Estimand, **choices: Any) -> Plan:
    return Plan(options=PromptOptions(estimand=estimand.name, **choices), surrogate=RIDGE)


def shown(estimand: Estimand, design: designs.Design, weights: Floats) -> Effects:
    """The effects of an additive game: what each unit does, whatever others do."""
    masks: Masks = design.masks
    total = float(weights.sum()) if estimand.shares_total else None
    near = Dropped().weights(masks, (), "") if estimand.weighted else None
    found = design.observed(masks @ weights, total=total, nearness=near)
    return replace(found, whole=np.full(2, weights.sum()), known=True)


def drawn(estimand: Estimand, n: int, masks: int, how: MaskDraw | None = None) -> designs.Design:
    return estimand.design(n, masks, np.random.default_rng(n), how or MaskDraw())


def test_names_words_and_objects_are_of_one_table() -> None:
    assert list(ESTIMANDS) == list(WORDS) == list(get_args(EstimandName))
    assert [load_estimand(name).name for name in WORDS] == list(WORDS)
    with pytest.raises(UnknownNameError, match=r"Unknown estimand 'shaply'.*'shapley'"):
        load_estimand("shaply")


def test_every_estimand_says_another_thing() -> None:
    told = [words for each in ESTIMANDS.values() for words in (each.words, each.words.nested) if words is not None]
    assert all(words.title and words.sentence for words in told)
    assert len({words.title for words in told}) == len({words.sentence for words in told}) == len(told)
    assert {each.name for each in ESTIMANDS.values() if each.nested} == {"banzhaf", "shapley"}


@EVERY
@SIZES
def test_the_smallest_number_of_masks_suffices(estimand: Estimand, n: int) -> None:
    fewest = estimand.smallest(n, RIDGE, keep=0.5)
    if estimand.samples and designs.fits_enumeration(n, fewest):
        design = designs.enumerated(n)
    else:
        design = drawn(estimand, n, fewest)
    assert design.masks.shape[1] == n
    assert len(design.masks) >= fewest
    found = estimand.estimate(shown(estimand, design, np.arange(1.0, n + 1)), Fitting(surrogate=RIDGE, seed=0))
    assert found.attributions.shape == (n,)
    assert np.isfinite(found.attributions).all()


@EVERY
@pytest.mark.parametrize(
    ("n", "way"), [(3, "all"), (9, "all"), (9, "drawn"), (24, "drawn"), (9, "drawn for exact"), (24, "drawn for exact")]
)
def test_what_is_additive_is_found(estimand: Estimand, n: int, way: str) -> None:
    weights, ols = np.random.default_rng(n).normal(size=n), load_surrogate("ols")
    whole = way == "all" and estimand.samples
    seen = shown(estimand, designs.enumerated(n) if whole else drawn(estimand, n, 8 * n), weights)
    if way == "drawn for exact":
        found = estimand.from_drawn(seen, ols, np.random.default_rng(0))
    else:
        found = estimand.estimate(seen, Fitting(surrogate=ols, seed=0))
    assert found.attributions == pytest.approx(weights, abs=1e-9)


@EVERY
@pytest.mark.parametrize("n", [2, 4, 6])
def test_weights_of_all_masks_are_the_estimate(estimand: Estimand, n: int) -> None:
    values = np.random.default_rng(n).normal(size=2**n)
    design = designs.enumerated(n) if estimand.samples else designs.leave_one_out(n)
    played = values[design.masks @ (1 << np.arange(n))]
    near = Dropped().weights(design.masks, (), "") if estimand.weighted else None
    seen = replace(design.observed(played, nearness=near), whole=values[-1:])
    weights = estimand.weights(seen)
    effects = played if estimand.samples else np.append(played, values[-1])
    assert weights.sum(axis=0) == pytest.approx(np.zeros(n), abs=1e-12)
    assert estimand.from_all(seen).attributions == pytest.approx(weights.T @ effects, abs=1e-9)


@EVERY
@pytest.mark.parametrize("masks", [64, 2**9])
def test_only_values_that_share_a_total_sum_to_it(estimand: Estimand, masks: int) -> None:
    n, rng = 9, np.random.default_rng(1)
    values = rng.normal(size=2**n)
    enumerated = masks == 2**n and estimand.samples
    design = designs.enumerated(n) if enumerated else drawn(estimand, n, masks)
    total = float(values[-1] - values[0])
    seen = shown(estimand, design, np.zeros(n)).with_values(values[design.masks @ (1 << np.arange(n))])
    seen = replace(seen, total=total if estimand.shares_total else None, whole=values[-1:])
    found = estimand.estimate(seen, Fitting(surrogate=RIDGE, seed=0))
    assert (abs(float(found.attributions.sum()) - total) < 1e-9) == estimand.shares_total


@EVERY
def test_what_is_paid_follows_from_the_estimand(estimand: Estimand) -> None:
    plan, some = plan_of(estimand), drawn(estimand, 24, 100)
    assert plan.estimand is estimand
    assert plan.needs_empty(some) == estimand.shares_total
    assert plan.overhead == 3 + estimand.shares_total
    every = designs.enumerated(4)
    assert not plan.needs_empty(every)
    assert plan.unasked(every) == plan.overhead - 3
    assert (estimand.interval(shown(estimand, some, np.arange(24.0)), plan.fitting(0)) is not None) == estimand.scored


@EVERY
@pytest.mark.parametrize(
    ("choices", "goes"),
    [
        ({}, ("banzhaf", "shapley", "local", "loo")),
        ({"keep": 0.8}, ("banzhaf", "local", "loo")),
        ({"empty": "exclude"}, ("banzhaf", "local", "loo")),
        ({"scale": "min-max"}, ("local",)),
        ({"irrelevant": "exclude"}, ("banzhaf",)),
        ({"irrelevant": "exclude", "distribution": "energy"}, ()),
    ],
    ids=str,
)
def test_options_go_with_some(estimand: Estimand, choices: dict[str, Any], goes: tuple[str, ...]) -> None:
    chosen = PromptOptions(estimand=estimand.name, **choices)
    if estimand.name in goes:
        check_choices(chosen)
    else:
        with pytest.raises(UsageError, match=next(iter(choices))):
            check_choices(chosen)


@pytest.mark.parametrize("name", [each.name for each in ESTIMANDS.values() if each.nested])
def test_neighbours_of_a_part_are_kept_as_the_estimand_says(name: str) -> None:
    chances = load_estimand(name).chances(4000, np.random.default_rng(0))
    assert chances.shape == (4000, 1)
    assert chances.mean() == pytest.approx(0.5, abs=0.02)
    assert chances.std() == pytest.approx(0.0 if name == "banzhaf" else 12**-0.5, abs=0.02)


DESIGNS = {
    "gsmile": "gsmile",
    "pairs": designs.complement_pairs(6, 20, np.random.default_rng(0)),
    "sizes": designs.by_size(6, 40, np.random.default_rng(0)),
    "all": designs.enumerated(6),
    "each": designs.leave_one_out(6),
    "none": designs.Design(name="mine", masks=~np.eye(6, dtype=bool)[:4], groups=np.arange(4), keep=1.0),
}


@EVERY
@pytest.mark.parametrize(
    ("design", "goes"),
    [
        ("gsmile", ["banzhaf", "local"]), ("pairs", ["banzhaf", "local"]), ("sizes", ["shapley"]),
        ("all", ["banzhaf", "shapley", "local"]), ("each", ["loo"]), ("none", list[str]()),
    ],
)  # fmt: skip
def test_masks_that_were_given_must_be_those_of_the_estimand(estimand: Estimand, design: str, goes: list[str]) -> None:
    chosen = PromptOptions(estimand=estimand.name, design=DESIGNS[design])
    if estimand.name in goes:
        check_choices(chosen)
        return
    with pytest.raises(UsageError, match=f"other masks than estimand='{estimand.name}'") as told:
        check_choices(chosen)
    assert str(told.value).rpartition("Leave design out")[2] == (
        f", or use estimand={' or '.join(map(repr, goes))}." if goes else "."
    )


@EVERY
def test_an_unknown_design_is_told_before_what_goes_with_it(estimand: Estimand) -> None:
    with pytest.raises(UnknownNameError, match="Unknown design 'gsmil'"):
        check_choices(PromptOptions(estimand=estimand.name, design="gsmil"))
