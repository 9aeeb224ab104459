"""Which method explains best at equal calls: two questions, judged apart.

``banzhaf``: held-out R2, over masks that were not asked for. ``shapley``: squared error of the Shapley values, relative
to their squared length. Each row is a cell (kind of game, units, keep probability, calls); each figure is the mean over
games and seeds. ``behind`` is the paired difference of the default to the best other method with its 95% interval: the
default is behind where the whole interval is on the wrong side of zero.

A game is anything with a name, a number of units and values of masks (`Played`); a table of masks and effects (`Table`)
is one for the first question, since only its own masks can be asked for.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from whygen.errors import BudgetError
from whygen.models.planted.games import FAMILIES, Game
from whygen.prompt import designs, fidelity, intervals
from whygen.prompt.observed import Observed
from whygen.prompt.surrogates import SURROGATES, Surrogate
from whygen.stats.intervals import student_half_width

DEFAULT = "ridge"
KEEPS = (0.5, 0.9)
TESTED = 512
"""Masks that the first question is judged on."""

SEED = 17


@dataclass(frozen=True)
class Size:
    """How large a table is made: units, calls, and games x seeds of each cell."""

    units: tuple[int, ...] = (8, 24, 64, 200)
    calls: tuple[int, ...] = (32, 64, 128, 256, 512)
    games: int = 20
    seeds: int = 10


SMALL = Size(units=(12, 40), calls=(32, 128), games=3, seeds=2)
"""What runs by default, in minutes; the whole table takes hours."""


_SLOW = {"kernel-ridge", "lasso", "boosting", "pairs"}
"""Left out where 512 masks meet 200 units."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Played:
    """A game that can be asked for any mask; ``shapley`` is the truth, where it is known."""

    name: str
    n: int
    values: Callable[[Bools], Floats]
    shapley: Floats | None = None


@dataclass(frozen=True)
class Table:
    """Masks ``(m, n)`` that somebody asked a model for, and their effects."""

    name: str
    masks: Bools
    effects: Floats


def planted(family: str, n: int, number: int) -> Played:
    game = Game(n, family, np.random.default_rng((SEED, n, number)))
    return Played(family, n, game.values, game.shapley())


def table_of(path: Path, effects: str) -> Table:
    """A JSON object that holds ``masks`` (rows of 0 and 1) and a list of effects under the given key."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Table(path.stem, np.array(found["masks"], dtype=bool), np.array(found[effects], dtype=np.float64))


# ---- the first question: held-out R2 ----


def held_out(game: Played, keep: float, calls: int, seed: int) -> dict[str, float]:
    """R2 of every surrogate on masks of the same law that were not asked for; NaN where it refuses the budget."""
    rng = np.random.default_rng((SEED, seed))
    new = rng.random((TESTED, game.n)) < keep
    if keep == 0.5 and designs.fits_enumeration(game.n, calls):
        design = designs.enumerated(game.n)
    elif keep == 0.5:
        design = designs.complement_pairs(game.n, calls // 2, rng)
    else:
        design = designs.bernoulli(game.n, calls, rng, keep=keep)
    seen = Observed(design.masks, game.values(design.masks), design.groups, design.keep)
    return {s.name: _r2(s, seen, new, game.values(new)) for s in SURROGATES.values() if not _too_slow(s, game.n, calls)}


def held_out_of_table(table: Table, calls: int, seed: int) -> dict[str, float]:
    """R2 on the rows of a table that were not drawn for the fit."""
    order = np.random.default_rng((SEED, seed)).permutation(len(table.masks))
    asked, new = order[:calls], order[calls:]
    seen = Observed(table.masks[asked], table.effects[asked], np.arange(calls))
    return {s.name: _r2(s, seen, table.masks[new], table.effects[new]) for s in SURROGATES.values()}


def _r2(surrogate: Surrogate, seen: Observed, masks: Bools, effects: Floats) -> float:
    if len(np.unique(seen.groups)) < surrogate.smallest_pairs(seen.n):
        return float("nan")
    try:
        found = fidelity.r_squared(effects, surrogate.fit(seen).predict(masks))
    except BudgetError:
        return float("nan")
    return float("nan") if found is None else found


def _too_slow(surrogate: Surrogate, n: int, calls: int) -> bool:
    return surrogate.name in _SLOW and n * calls > 200 * 128


# ---- the second question: Shapley values ----


def shapley_errors(game: Played, calls: int, seed: int) -> dict[str, float]:
    """Relative squared error of every method at so many calls, those for no unit and all units included."""
    assert game.shapley is not None
    errors = {
        s.name: _relative(_ours(s, game, calls, seed), game.shapley)
        for s in SURROGATES.values()
        if not _too_slow(s, game.n, 2 * calls)
    }
    rivals = {name: _relative(rival(game, calls, seed), game.shapley) for name, rival in RIVALS.items()}
    return errors | rivals


def _ours(surrogate: Surrogate, game: Played, calls: int, seed: int) -> Floats | None:
    rng = np.random.default_rng((SEED, seed))
    ends = game.values(np.array([np.zeros(game.n, bool), np.ones(game.n, bool)]))
    if designs.fits_enumeration(game.n, calls):
        design = designs.enumerated(game.n)
        every = Observed(design.masks, game.values(design.masks), design.groups)
        return intervals.enumerated_shapley(every).attributions
    design = designs.paired_by_size(game.n, calls - 2, rng)
    groups = len(np.unique(design.groups))
    if groups < max(intervals.FEWEST_GROUPS, surrogate.smallest_pairs(game.n)):
        return None
    seen = Observed(
        design.masks, game.values(design.masks), design.groups, sizes=design.sizes, total=float(ends[1] - ends[0])
    )
    try:
        return intervals.shapley_estimate(intervals.cross_fit(seen, surrogate, rng), seen, rng).attributions
    except BudgetError:
        return None


def _shapiq(name: str, **options: object) -> Callable[[Played, int, int], Floats | None]:
    """An approximator of shapiq at equal calls."""

    def approximate(game: Played, calls: int, seed: int) -> Floats | None:
        import shapiq

        nothing = float(game.values(np.zeros((1, game.n), dtype=bool))[0])
        rival = getattr(shapiq, name)(n=game.n, random_state=seed, **options)
        found = rival.approximate(
            calls, lambda masks: game.values(np.atleast_2d(np.asarray(masks, dtype=bool))) - nothing
        )
        return np.array([found[(unit,)] for unit in range(game.n)])

    return approximate


RIVALS: dict[str, Callable[[Played, int, int], Floats | None]] = {
    "KernelSHAP": _shapiq("KernelSHAP"),
    "KernelSHAP paired": _shapiq("KernelSHAP", pairing_trick=True),
    "permutations": _shapiq("PermutationSamplingSV"),
    "SVARM": _shapiq("SVARM"),
}


def _relative(found: Floats | None, truth: Floats) -> float:
    return float("nan") if found is None else float(((found - truth) ** 2).sum() / (truth**2).sum())


# ---- cells and rows ----


def summary(runs: list[Mapping[str, float]], *, larger_is_better: bool) -> dict[str, object]:
    """Mean of each method, and the default less the best other one, paired, with a 95% interval.

    A method that refused any run of the cell is shown as NaN and is no rival in it.
    """
    means = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    sign = 1.0 if larger_is_better else -1.0
    others = {name: sign * mean for name, mean in means.items() if name != DEFAULT and np.isfinite(mean)}
    best = max(others, key=others.__getitem__)
    behind = np.array([sign * (run[best] - run[DEFAULT]) for run in runs])
    half = float(student_half_width(np.array(behind.var(ddof=1) / len(behind)), len(behind) - 1.0))
    return {
        **means, "best other": best, "behind": float(behind.mean()), "low": float(behind.mean()) - half,
        "high": float(behind.mean()) + half,
    }  # fmt: skip


def cells_of_r2(size: Size, tables: list[Table]) -> Iterator[dict[str, object]]:
    for family, n, keep, calls in itertools.product(FAMILIES, size.units, KEEPS, size.calls):
        runs = [held_out(planted(family, n, game), keep, calls, seed) for game, seed in _runs(size)]
        if varied := [run for run in runs if np.isfinite(run[DEFAULT])]:  # any of three is constant at a high keep
            yield {"game": family, "n": n, "keep": keep, "calls": calls, **_row(varied, larger_is_better=True)}
    for table in tables:
        runs = [held_out_of_table(table, 32, seed) for seed in range(size.games * size.seeds)]
        n = table.masks.shape[1]
        yield {"game": table.name, "n": n, "keep": 0.5, "calls": 32, **_row(runs, larger_is_better=True)}


def cells_of_shapley(size: Size) -> Iterator[dict[str, object]]:
    for family, n, calls in itertools.product(FAMILIES, size.units, size.calls):
        runs = [shapley_errors(planted(family, n, game), calls, seed) for game, seed in _runs(size)]
        yield {"game": family, "n": n, "calls": calls, **_row(runs, larger_is_better=False)}


def _runs(size: Size) -> Iterator[tuple[int, int]]:
    return itertools.product(range(size.games), range(size.seeds))


def _row(runs: list[dict[str, float]], *, larger_is_better: bool) -> dict[str, object]:
    """A summary with a column for every method, NaN for one that was left out."""
    names = [*SURROGATES, *(() if larger_is_better else RIVALS)]
    return summary(
        [{name: run.get(name, float("nan")) for name in names} for run in runs], larger_is_better=larger_is_better
    )


def main(data: Path | None = None, *, size: Size = SMALL, tables: Sequence[Table] = ()) -> None:
    del data
    r2 = list(cells_of_r2(size, [*tables]))
    print("Held-out R2 (more is better)\n\n" + record.table(r2))
    shapley = list(cells_of_shapley(size))
    print("\nRelative squared error of Shapley values (less is better)\n\n" + record.table(shapley))
    figures = {"size": asdict(size), "held-out R2": r2, "relative squared Shapley error": shapley}
    record.write("methods", figures, seed=SEED)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=SMALL.units)
    parser.add_argument("--calls", type=int, nargs="+", default=SMALL.calls)
    parser.add_argument("--games", type=int, default=SMALL.games)
    parser.add_argument("--seeds", type=int, default=SMALL.seeds)
    parser.add_argument("--table", type=Path, action="append", default=[], help="JSON with masks and effects")
    parser.add_argument("--effects", default="effects", help="key of the effects in the tables")
    return parser.parse_args()


if __name__ == "__main__":
    given = _parsed()
    main(
        size=Size(tuple(given.units), tuple(given.calls), given.games, given.seeds),
        tables=[table_of(path, given.effects) for path in given.table],
    )
