"""The recorded run on GPT-3.5: only the masks that were sent then have answers, so masks must be taken as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.rivals import scores
from benchmarks.rivals.box import Box
from benchmarks.rivals.compare import ahead
from benchmarks.rivals.play import Players
from benchmarks.rivals.protocol import Bools, Floats, OverBudget
from whygen import lab
from whygen_experiments.gsmile_life import load_run

FITTED = 48
SPLITS = 20
SEED = 92
OURS = "whygen, default surrogate"


def rows(players: Players) -> list[dict[str, Any]]:
    """R2 on the masks that a method was not fitted to, over random splits of the run: its own predictions.

    So few masks are left that a granted scale would be fitted to their noise. Splits share masks, so there is
    no interval: the spread over splits is shown instead.
    """
    run = load_run()
    masks, effects = run.masks, -run.output_distances
    found: dict[str, list[float]] = {}
    refused: dict[str, str] = {}
    for split in range(SPLITS):
        order = np.random.default_rng((SEED, split)).permutation(len(masks))
        for name, score in _split(players, masks, effects, order, refused).items():
            found.setdefault(name, []).append(score)
    table = [_row(name, values, found[OURS]) for name, values in found.items()]
    return table + [{"method": name, "why": why} for name, why in refused.items()]


def _split(
    players: Players, masks: Bools, effects: Floats, order: np.ndarray, refused: dict[str, str]
) -> dict[str, float]:
    asked, new = order[:FITTED], order[FITTED:]
    observed = lab.effects_of(masks[asked], effects[asked])
    found = {OURS: scores.r_squared(effects[new], lab.SURROGATES["pairs"].fit(observed).predict(masks[new]))}
    for rival in players.present():
        if not rival.takes_masks:
            refused[rival.name] = "chooses its own masks, and these have no recorded answer"
            continue
        given = (masks[asked], effects[asked])
        result, _ = players.explain(rival, Box(_nobody, 1), masks[new], seed=int(order[0]), given=given)
        assert result.predictions is not None, f"{rival.name} takes masks and predicts none"
        found[rival.name] = scores.r_squared(effects[new], result.predictions)
    return found


def _nobody(masks: Bools) -> Floats:
    raise OverBudget(f"{len(masks)} masks were asked for that nobody recorded")


def _row(name: str, values: list[float], ours: list[float]) -> dict[str, Any]:
    numbered = {str(index): value for index, value in enumerate(values)}
    found = ahead({str(index): value for index, value in enumerate(ours)}, numbered)
    better = sum(mine > theirs for mine, theirs in zip(ours, values, strict=True))
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]).tolist()
    return {
        "method": name, "splits": len(values), "mean": float(np.mean(values)), "p10": low, "median": middle,
        "p90": high, "whygen ahead": None if found is None else found["mean"], "splits whygen won": better,
    }  # fmt: skip
