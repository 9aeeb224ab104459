"""Ridge where pairs are about as many as units: one small singular value must not rule the choice of the penalty."""

from __future__ import annotations

import numpy as np
import pytest

from whygen.models.planted.games import FAMILIES, Game
from whygen.prompt import designs, fidelity
from whygen.prompt.effects import Effects
from whygen.prompt.surrogates import Ridge


def held_out_r2(seed: int, pairs: int) -> float:
    rng = np.random.default_rng(seed)
    game = Game(24, FAMILIES[seed % 4], rng)
    design = designs.complement_pairs(24, pairs, rng)
    effects = game.values(design.masks) + (seed % 3) * 0.2 * game.spread() * rng.normal(size=2 * pairs)
    new = rng.random((400, 24)) < 0.5
    found = fidelity.r_squared(
        game.values(new), Ridge().fit(Effects(design.masks, effects, design.groups)).predict(new)
    )
    assert found is not None
    return found


@pytest.mark.parametrize("pairs", [24, 25])
def test_as_many_pairs_as_units_are_no_trap(pairs: int) -> None:
    assert np.mean([held_out_r2(seed, pairs) for seed in range(40)]) > 0.5


def test_an_exact_game_is_still_exact_at_as_many_pairs_as_it_needs() -> None:
    rng = np.random.default_rng(0)
    design = designs.complement_pairs(12, 13, rng)
    truth = rng.normal(size=12)
    seen = Effects(design.masks, design.masks @ truth, design.groups)
    assert Ridge().fit(seen).attributions() == pytest.approx(truth, abs=1e-5)
