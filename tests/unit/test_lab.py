"""The laboratory: games whose values are known are met, and what is measured there is what an explanation measures."""

from __future__ import annotations

import numpy as np
import pytest

from whygen import explain_anchors, lab

FAMILIES = ("additive", "pairwise", "votes")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
def test_where_every_mask_is_asked_the_values_are_the_games_own(family: str, estimand: str) -> None:
    rng = np.random.default_rng(0)
    game = lab.Game(6, family, rng)
    truth = game.banzhaf(0.5) if estimand == "banzhaf" else game.shapley()
    masks = lab.enumerated(6).masks
    assert lab.contrasts(masks, estimand=estimand).T @ game.values(masks) == pytest.approx(truth)
    found = lab.estimate(lab.play(game, 64, rng, estimand=estimand), rng)
    assert found.attributions == pytest.approx(truth)
    drawn = lab.estimate_drawn(masks, np.repeat(game.values(masks)[:, None], 2, axis=1), estimand=estimand)
    assert drawn.attributions == pytest.approx(truth)


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
def test_a_line_is_found_from_few_masks_and_predicts_the_rest(estimand: str) -> None:
    rng = np.random.default_rng(1)
    game = lab.Game(12, "additive", rng)
    play = lab.play(game, 64, rng, estimand=estimand)
    found = lab.estimate(play, rng, surrogate="ridge")
    assert found.attributions == pytest.approx(game.shapley() if estimand == "shapley" else game.banzhaf(0.5), abs=1e-6)
    new = rng.random((200, 12)) < 0.5
    fitted = lab.SURROGATES["ols"].fit(play.effects)
    assert lab.r_squared(game.values(new), fitted.predict(new)) == pytest.approx(1.0)
    assert lab.held_out(play.effects, rng, surrogate="ols") == pytest.approx(play.effects.values)


def test_a_game_of_ones_own_is_played_and_noise_is_measured() -> None:
    class Sum:
        n = 4

        def values(self, masks: np.ndarray) -> np.ndarray:
            return masks @ np.array([1.0, 2.0, 0.0, -1.0])

    rng = np.random.default_rng(2)
    steady = lab.play(Sum(), 16, rng)
    assert steady.enumerated
    assert steady.noise.bound == 0
    assert lab.estimate(steady, rng).attributions == pytest.approx([1, 2, 0, -1])
    noisy = lab.play(Sum(), 16, rng, answer=lambda clean: clean + rng.normal(size=len(clean)))
    assert noisy.noise.bound > 0
    found = lab.estimate(noisy, rng).interval
    assert found is not None
    assert (found.high > found.low).all()
    assert len(lab.play(lab.Game(30, "additive", rng), 64, rng).first(8).effects) == 16


def test_masks_alone_and_a_design_give_the_same_effects() -> None:
    rng = np.random.default_rng(3)
    design = lab.draw(12, 64, rng)
    values = rng.normal(size=64)
    one, other = lab.effects_of(design, values), lab.effects_of(design.masks, values, groups=design.groups)
    assert np.array_equal(one.masks, other.masks)
    assert np.array_equal(one.groups, other.groups)
    near = lab.nearness(design.masks)
    assert near.argmax() == design.masks.sum(axis=1).argmax()
    assert lab.estimate(lab.effects_of(design, values, nearness=near), rng).attributions.shape == (12,)
    assert lab.looks(12, 256)[-1] == 128


def test_a_ceiling_is_one_without_noise_and_below_with_it() -> None:
    rng = np.random.default_rng(4)
    masks = lab.enumerated(6).masks
    clean = lab.Game(6, "pairwise", rng).values(masks)
    noisy = clean[:, None] + 0.5 * clean.std() * rng.normal(size=(64, 2))
    found = lab.ceiling(masks, noisy)
    assert found is not None
    assert found.low < found.value < 1


def test_scores_are_those_of_an_explanation() -> None:
    samples = np.random.default_rng(5).random((40, 28, 28)).astype(np.float32)
    draws = lab.scores("demo/digits-vae", samples, draws=3)
    found = explain_anchors("demo/digits-vae", samples, criteria="kld,sse", draws=3, cache=None)
    assert found.evidence is not None
    assert draws.shape == (3, 40, 2)
    assert draws.mean(axis=0) == pytest.approx(np.asarray(found.evidence.values), rel=1e-5)
    rounds = [np.concatenate(list(each)) for each in lab.generated("demo/digits-vae", samples, rounds=2, per_round=5)]
    assert [each.shape for each in rounds] == [(5, 2), (5, 2)]
    assert not np.array_equal(*rounds)
