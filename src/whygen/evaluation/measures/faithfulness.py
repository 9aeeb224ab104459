"""Faithfulness: units are taken away, or put back, in the order of their attributions. METHODS A7.

With S_k the prompt without the k units of the highest attribution, T_k the prompt of these alone, and
``g(S) = (f(S) - f(0)) / (f(1) - f(0))``, 1 for the whole prompt and 0 for none:

- ``deletion_auc``: area under g(S_k) over k / n by trapezoids; low when the units that matter went first.
- ``insertion_auc``: area under g(T_k); high when they came first (Petsiuk et al. 2018, arXiv 1806.07421).
- ``aopc``: mean over k = 1 .. n of f(1) - f(S_k), in the target's unit (Samek et al. 2017).
- ``normalised_aopc``: (aopc - least) / (most - least) over all orders (Edin et al. 2024, arXiv 2408.08137), exact by
  dynamic programming over sets where every mask is on record.
- ``comprehensiveness`` and ``sufficiency``: means of f(1) - f(S_k) and f(1) - f(T_k) over k of 10, 20 and 50% of the
  units (DeYoung et al. 2020, arXiv 1911.03429).
- ``lds_fresh``: Spearman's correlation over masks that the explanation never saw of the sum of kept attributions and
  the observed effect (linear datamodeling score, Park et al. 2023, arXiv 2303.14186).

Chance: the same curves for random orders; its range is where one more random order would lie in 95 of 100 cases. For
``lds_fresh`` the attributions are shuffled over units: where most units pull the same way any explanation does
well, and chance is far from 0. A model whose repeats agree has no other error; for one that differs each point is drawn
three times, and the interval is Student's over the three curves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.evaluation.case import Case, Floats, Lab, Metric, mean_of, percentiles
from whygen.evaluation.measures.fidelity import spearman
from whygen.evaluation.rebuilt import attributions, whole_effect
from whygen.evaluation.result import Measure
from whygen.stats.intervals import student_half_width
from whygen.stats.seeds import generator
from whygen.types import Masks

ORDERS = 10
"""Random orders that give the chance level."""

FREE_ORDERS = 200
"""And where every mask is on record, so that an order costs no call."""

FRESH = 32
"""Masks that the explanation never saw, for LDS."""

SHARES = (0.1, 0.2, 0.5)
MOST_EXACT = 14
"""Units up to which the best and the worst order are found, where all masks are on record."""

DRAWS = 500


def path(order: NDArray[np.int64]) -> Masks:
    """The masks S_0 .. S_n when units are deleted in this order, shape ``(n + 1, n)``; those of T_k are ``~S_k``."""
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks[None, :] >= np.arange(len(order) + 1)[:, None]


@dataclass(frozen=True, slots=True)
class Curves:
    """Effects along the deletion and the insertion path of one order, each ``(n + 1, draws)``."""

    deleted: Floats
    inserted: Floats

    def figures(self, whole: float, empty: float) -> dict[str, Floats]:
        """One value a draw, shape ``(draws,)``; areas are NaN where no unit does better than all of them."""
        n = len(self.deleted) - 1
        lost, short = whole - self.deleted, whole - self.inserted
        scale = whole - empty if whole > empty else np.nan
        counts = [min(n, math.ceil(share * n)) for share in SHARES]
        return {
            "deletion_auc": _area((self.deleted - empty) / scale),
            "insertion_auc": _area((self.inserted - empty) / scale),
            "aopc": lost[1:].mean(axis=0),
            "comprehensiveness": lost[counts].mean(axis=0),
            "sufficiency": short[counts].mean(axis=0),
        }


def _area(curve: Floats) -> Floats:
    """Area by trapezoids over k / n, shape ``(draws,)``."""
    return (curve[1:] + curve[:-1]).mean(axis=0) / 2.0


BETTER = {"deletion_auc": "lower", "sufficiency": "lower"}


@dataclass(slots=True)
class _KnownEffects:
    """Effects by mask, ``(draws,)`` each: on record, or asked for in one batch."""

    lab: Lab
    known: dict[bytes, Floats] = field(default_factory=dict[bytes, Floats])

    def learn(self, masks: Masks) -> None:
        self.known |= {key: np.array([effect]) for key, effect in self.lab.known().items()}
        todo = _distinct(masks, self.known)
        if len(todo):
            effects = self.lab.effects(todo)
            self.known |= {mask.tobytes(): effect for mask, effect in zip(todo, effects, strict=True)}

    def of(self, masks: Masks) -> Floats:
        """Shape ``(m, draws)``."""
        return np.array([self.known[np.ascontiguousarray(mask).tobytes()] for mask in masks])


def _distinct(masks: Masks, known: dict[bytes, Floats] | dict[bytes, float]) -> Masks:
    todo = {mask.tobytes(): mask for mask in map(np.ascontiguousarray, masks) if mask.tobytes() not in known}
    return np.array(list(todo.values()), dtype=bool).reshape(len(todo), masks.shape[1])


def _orders(case: Case) -> list[NDArray[np.int64]]:
    """The explanation's order, then random ones."""
    values = attributions(case.explanation)
    rng = generator(case.seed, "random orders")
    orders = FREE_ORDERS if len(case.lab.known()) >= 2 ** len(values) - 1 else ORDERS
    return [np.argsort(-values, kind="stable"), *(rng.permutation(len(values)) for _ in range(orders))]


def _masks(case: Case) -> tuple[Masks, Masks]:
    """Masks of all curves ``(m, n)``, the empty and the full one left out, and the fresh ones of LDS.

    Taking units away in a random order is putting them back in the reverse of it: both chance levels come from the
    same masks.
    """
    orders = _orders(case)
    paths = [path(order) for order in orders]
    curves = np.vstack([paths[0][1:], ~paths[0][1:-1], *(each[1:-1] for each in paths[1:])])
    return curves, _fresh(case)


def _fresh(case: Case) -> Masks:
    """Masks drawn as the explanation's law draws them, none of which it saw; fewer where few are left."""
    explanation = case.explanation
    n = len(explanation.units)
    seen = set(case.lab.known()) if explanation.evidence is None else {m.tobytes() for m in explanation.evidence.masks}
    seen |= {np.ones(n, dtype=bool).tobytes(), np.zeros(n, dtype=bool).tobytes()}
    keep = explanation.keep if 0.0 < explanation.keep < 1.0 else 0.5
    rng = generator(case.seed, "fresh masks")
    found: dict[bytes, NDArray[np.bool_]] = {}
    for _ in range(20 * FRESH):
        mask = rng.random(n) < keep
        if mask.tobytes() not in seen:
            found.setdefault(mask.tobytes(), mask)
        if len(found) == FRESH:
            break
    return np.array(list(found.values()), dtype=bool).reshape(len(found), n)


def calls(case: Case) -> int:
    """Masks that are not on record, times their draws, and the whole prompt."""
    curves, fresh = _masks(case)
    todo = len(_distinct(np.vstack([curves, fresh]), case.lab.known()))
    return todo * case.lab.draws + case.lab.overhead if todo else 0


def measure(case: Case) -> list[Measure]:
    """Curves of the explanation's order beside those of random orders, and LDS on fresh masks.

    Raises:
        UsageError: if taking every unit away changes nothing, or calls failed.
    """
    curves, fresh = _masks(case)
    asked = _KnownEffects(case.lab)
    asks = calls(case) > 0
    asked.learn(np.vstack([curves, fresh]))
    whole = case.lab.whole_effect() if asks else whole_effect(case.explanation)
    n = len(case.explanation.units)
    empty = float(asked.of(np.zeros((1, n), dtype=bool)).mean())
    values = np.array([effects.mean() for effects in asked.known.values()])
    if not np.isfinite(values).all():
        raise UsageError("faithfulness needs every answer along its curves, and some calls failed. Run it again.")
    if abs(whole - empty) <= 1e-9 * max(abs(whole), abs(empty), 1e-300):
        raise UsageError(
            "faithfulness compares with the prompt of no unit, and here that one does as the whole prompt does: "
            "f(1) = f(0). Pin less, or choose another target."
        )
    mine, *others = _orders(case)
    ways = [(mine, mine), *((order, order[::-1]) for order in others)]
    found = [_curves(asked, order, back, whole).figures(whole, empty) for order, back in ways]
    rows = [_row(name, case, found) for name in found[0]]
    if (normalised := _normalised(asked, whole, found, n)) is not None:
        rows.append(normalised)
    if len(fresh) >= 8:
        rows.append(_lds(case, asked.of(fresh).mean(axis=1), fresh))
    return rows


def _curves(asked: _KnownEffects, order: NDArray[np.int64], back: NDArray[np.int64], whole: float) -> Curves:
    """The curve of taking units away in ``order``, and that of putting them back in the order ``back``."""
    deleted, inserted = asked.of(path(order)[1:]), asked.of(~path(back)[:-1])
    full = np.full((1, deleted.shape[1]), whole)
    return Curves(np.vstack([full, deleted]), np.vstack([inserted, full]))


def _row(name: str, case: Case, found: list[dict[str, Floats]]) -> Measure:
    mine = found[0][name]
    chance = np.array([each[name].mean() for each in found[1:]])
    low, high = one_more(chance)
    half = _half(mine)
    value = float(mine.mean())
    if not np.isfinite(value):
        return Measure(
            metric="faithfulness",
            name=name,
            value=None,
            n=len(case.explanation.units),
            better="neither",
            how="none: the prompt of no unit is as near the reference as the whole one, f(0) >= f(1)",
        )
    sure = "the model's repeats agree: no interval" if half is None else f"interval: Student's over {len(mine)} draws"
    return Measure(
        metric="faithfulness", name=name, value=value, low=None if half is None else value - half,
        high=None if half is None else value + half, chance=mean_of(chance), chance_low=low, chance_high=high,
        n=len(case.explanation.units), better="lower" if name in BETTER else "higher",
        how=f"units by attribution, one by one; {sure}. Chance: {len(chance)} random orders, and the range of one more",
    )  # fmt: skip


def one_more(chance: Floats) -> tuple[float | None, float | None]:
    """Where one more value would lie in 95 of 100 cases, given these: percentiles of many, Student's range of few.

    The percentiles of ten values leave out a fifth of all others; Student's prediction interval,
    ``mean +- t(k - 1) sd sqrt(1 + 1 / k)``, does not (Hahn and Meeker, Statistical Intervals, 1991, section 4.7).
    """
    finite = chance[np.isfinite(chance)]
    k = len(finite)
    if k < 3 or k >= FREE_ORDERS:
        return percentiles(finite)
    half = float(student_half_width(np.array(finite.var(ddof=1) * (1.0 + 1.0 / k)), k - 1.0))
    return float(finite.mean()) - half, float(finite.mean()) + half


def _half(draws: Floats) -> float | None:
    if len(draws) < 2:
        return None
    return float(student_half_width(np.array(draws.var(ddof=1) / len(draws)), len(draws) - 1))


def _normalised(asked: _KnownEffects, whole: float, found: list[dict[str, Floats]], n: int) -> Measure | None:
    """AOPC between the worst and the best order; None where masks are missing for that."""
    if n > MOST_EXACT or len(asked.known) < 2**n - 1:
        return None
    effect = {key: float(values.mean()) for key, values in asked.known.items()}
    effect[np.ones(n, dtype=bool).tobytes()] = whole
    least, most = (whole - extreme_mean(effect, n, pick) for pick in (max, min))
    if most - least <= 1e-12 * max(abs(most), 1e-300):
        return None
    scaled = [(float(each["aopc"].mean()) - least) / (most - least) for each in found]
    low, high = one_more(np.array(scaled[1:]))
    return Measure(
        metric="faithfulness", name="normalised_aopc", value=scaled[0], chance=float(np.mean(scaled[1:])),
        chance_low=low, chance_high=high, n=n, better="higher",
        how=f"aopc between the worst and the best of all {n}! orders, exact: no interval. Chance: "
        f"{len(scaled) - 1} random ones",
    )  # fmt: skip


def extreme_mean(effect: dict[bytes, float], n: int, pick: Callable[[float, float], float]) -> float:
    """The largest or smallest mean of f(S_1) .. f(S_n) over all orders, by dynamic programming over sets."""
    codes: NDArray[np.int64] = np.arange(2**n, dtype=np.int64)
    masks: Masks = ((codes[:, None] >> np.arange(n)) & 1).astype(bool)
    f = np.array([effect[mask.tobytes()] for mask in masks])
    best = np.zeros(2**n)  # the sum over the sets that follow
    for code in range(1, 2**n):
        options = [f[code & ~(1 << i)] + best[code & ~(1 << i)] for i in range(n) if code >> i & 1]
        value = options[0]
        for option in options[1:]:
            value = pick(value, option)
        best[code] = value
    return float(best[-1]) / n


def _lds(case: Case, effects: Floats, fresh: Masks) -> Measure:
    own = attributions(case.explanation)
    kept = fresh.astype(np.float64)
    predicted = kept @ own
    rng = generator(case.seed, "lds")
    rows = rng.integers(len(fresh), size=(DRAWS, len(fresh)))
    low, high = percentiles(np.array([spearman(effects[row], predicted[row]) for row in rows]))
    dealt = np.array([spearman(effects, kept @ rng.permutation(own)) for _ in range(DRAWS)])
    chance = percentiles(dealt)
    return Measure(
        metric="faithfulness", name="lds_fresh", value=spearman(effects, predicted), low=low, high=high,
        chance=mean_of(dealt), chance_low=chance[0], chance_high=chance[1], n=len(fresh), better="higher",
        how="Spearman's correlation of the sum of kept attributions and the effect, over masks the explanation never "
        f"saw. Interval: bootstrap over masks. Chance: attributions shuffled over units, {DRAWS} times",
    )  # fmt: skip


METRIC = Metric("faithfulness", calls, measure)
