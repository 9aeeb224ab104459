"""When `boosting` grows trees, and when `pairs` and `boosting` keep to less."""

from __future__ import annotations

import numpy as np
import pytest

from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.surrogates import SURROGATES, Boosting, Pairs, load_surrogate
from whygen.prompt.surrogates.base import best_count, folds_of
from whygen.prompt.surrogates.trees import Leaves


def three_way(pairs: int, *, seed: int = 0, noise: float = 0.0) -> Effects:
    rng = np.random.default_rng(seed)
    design = designs.complement_pairs(12, pairs, rng)
    z = 2.0 * design.masks - 1.0
    effects = z[:, 0] + 2.0 * z[:, 1] * z[:, 2] * z[:, 3] + noise * rng.normal(size=len(z))
    return Effects(design.masks, effects, design.groups)


def has_trees(fitted) -> bool:
    return any(isinstance(part, Leaves) for part in fitted.parts)


def test_trees_grow_where_three_units_act_together_and_predict_new_masks_better() -> None:
    seen, new = three_way(256), three_way(256, seed=1)
    boosted, pairs = Boosting().fit(seen), Pairs().fit(seen)
    assert has_trees(boosted)
    errors = [np.mean((fitted.predict(new.masks) - new.values) ** 2) for fitted in (boosted, pairs)]
    assert errors[0] < 0.8 * errors[1]


def test_no_trees_grow_on_less_than_two_pairs_a_unit() -> None:
    assert not has_trees(Boosting().fit(three_way(23)))


def test_noise_alone_grows_trees_and_pairs_at_the_rate_of_the_rule_at_most() -> None:
    """One standard error is exceeded by chance in about a sixth of all cases: more would mean that groups leak."""
    rng = np.random.default_rng(3)
    trees = terms = 0
    for _ in range(40):
        design = designs.complement_pairs(8, 40, rng)
        seen = Effects(design.masks, rng.normal(size=80), design.groups)
        trees += has_trees(Boosting().fit(seen))
        terms += len(Pairs().fit(seen).parts[1].support) > 0
    assert trees <= 10
    assert terms <= 12


def test_folds_keep_groups_whole_and_are_of_equal_size() -> None:
    groups = np.repeat(np.arange(10), 2)
    folds = folds_of(groups, 4)
    assert np.array_equal(folds[0::2], folds[1::2])
    assert sorted(np.bincount(folds).tolist()) == [4, 4, 6, 6]
    assert folds_of(np.array([7, 7, 9]), 4).max() == 1


def test_the_best_count_needs_more_than_one_standard_error() -> None:
    errors = np.array([[1.0, 0.9], [1.0, 0.9], [1.0, 0.8], [1.0, 1.1]])
    assert best_count([errors[:2], errors[2:3], errors[3:]]) == 1
    assert best_count([np.array([[1.0, 0.0], [1.0, 1.95], [1.0, 1.0]])]) == 0


def test_the_rest_of_the_folds_is_not_asked_for_where_nothing_helps_in_the_first_half() -> None:
    def folds():
        yield np.array([[1.0, 2.0]])
        yield np.array([[1.0, 2.0]])
        raise AssertionError("asked for the third fold")

    assert best_count(folds()) == 0


def test_every_surrogate_goes_by_its_own_name() -> None:
    assert {load_surrogate(name).name for name in SURROGATES} == set(SURROGATES)
    assert set(SURROGATES) == {
        "ridge",
        "ols",
        "lasso",
        "bayesian-ridge",
        "kernel-ridge",
        "boosting",
        "pairs",
        "adaptive",
    }


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_every_surrogate_fits_the_fewest_pairs_it_asks_for(name: str) -> None:
    surrogate = load_surrogate(name)
    pairs = surrogate.smallest_pairs(6)
    design = designs.complement_pairs(6, pairs, np.random.default_rng(0))
    fitted = surrogate.fit(Effects(design.masks, design.masks[:, 0].astype(float), design.groups))
    assert np.isfinite(fitted.attributions()).all()
    assert fitted.predict(design.masks).shape == (2 * pairs,)
