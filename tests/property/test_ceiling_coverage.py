"""The noise ceiling's limits hold what they say, or none are shown; low fidelity is said beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.ceilings import run

from whygen.prompt import designs
from whygen.prompt.crossfit import cross_fit
from whygen.prompt.effects import Effects
from whygen.prompt.fidelity import falls_short, noise_ceiling
from whygen.prompt.noise import measure
from whygen.prompt.surrogates import Ridge


@pytest.mark.parametrize("noise", ["normal", "log-normal", "0/1 0.7", "odd 20", "coin"])
def test_limits_of_the_ceiling_hold(noise: str) -> None:
    """Fisher's F held .73 of the log-normal games, and was too wide in the others."""
    found = run(noise, 5, 64, games=150)
    assert 0.9 <= found["coverage"] <= 1.0


def test_limits_of_the_ceiling_are_narrow_where_noise_is_measured_well() -> None:
    assert run("normal", 5, 128, games=40)["width"] < 0.08


def test_few_repeats_that_agree_in_part_give_no_ceiling_and_few_that_all_differ_no_lower_limit() -> None:
    rng = np.random.default_rng(3)
    draws = np.hstack([rng.normal(size=(32, 1)), np.full((32, 1), np.nan)])
    draws[:8, 1] = draws[:8, 0]
    draws[0, 1] += 1.0
    assert noise_ceiling(np.nanmean(draws, axis=1), measure(draws)) is None
    draws[:8, 1] = draws[:8, 0] + 0.1 * rng.normal(size=8)
    found = noise_ceiling(np.nanmean(draws, axis=1), measure(draws))
    assert found is not None
    assert found.low == 0.0
    assert found.high > 0.9


def test_low_fidelity_is_said_beyond_chance_alone() -> None:
    """A fixed allowance warned of one in 25 additive games whose R2 on fresh masks is over one half."""
    warned = {0.0: 0, 3.0: 0}
    for game, strength in ((game, strength) for game in range(60) for strength in warned):
        rng = np.random.default_rng((9, game))
        weights, products = rng.normal(size=12), strength * rng.normal(size=12)
        design = designs.complement_pairs(12, 16 if strength == 0.0 else 48, rng)
        centred = 2.0 * design.masks - 1.0
        effects = design.masks @ weights + (centred * np.roll(centred, 1, axis=1)) @ products / 2.0
        observed = Effects(design.masks, effects + 0.3 * rng.normal(size=len(effects)), design.groups)
        warned[strength] += falls_short(observed, cross_fit(observed, Ridge(), rng).predicted, share=0.5)
    assert warned[0.0] <= 2
    assert warned[3.0] >= 57
