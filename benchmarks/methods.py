"""Which method explains best at equal calls: two questions, judged apart.

``banzhaf``: held-out R2, over masks that were not asked for. ``shapley``: squared error of the Shapley values, relative
to their squared length. Each row is a cell (kind of game, units, keep probability, calls); each figure is the mean over
games and seeds. ``behind`` is the paired difference of the default to the best other method with its 95% interval: the
default is behind where the whole interval is on the wrong side of zero.

The games are those of `benchmarks.games`. Every cell is kept under ``build/methods`` as soon as it is done: a run that
was cut short goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.games import SEED, SENTENCES, Bools, Floats, Played, Table, encoded, gpt35, planted, told
from whygen.errors import BudgetError
from whygen.models.planted.games import FAMILIES
from whygen.prompt import designs, fidelity, intervals
from whygen.prompt.observed import Observed
from whygen.prompt.surrogates import SURROGATES, Surrogate
from whygen.stats.intervals import student_half_width

DEFAULT = "pairs"
"""What `explain_prompt` fits unless it is told otherwise."""
KEPT = Path("build") / "methods"
KEEPS = (0.5, 0.9)
TESTED = 512
"""Masks that the first question is judged on."""


@dataclass(frozen=True)
class Size:
    """How large a table is made: units and calls of planted games, and games x seeds of each cell."""

    units: tuple[int, ...] = (8, 24, 64, 200)
    calls: tuple[int, ...] = (32, 64, 128, 256, 512)
    games: int = 20
    seeds: int = 10
    more_seeds: int = 2
    """Of planted games and the storyteller's, whose cells are many or dear."""


SMALL = Size(units=(12, 40), calls=(32, 128), games=3, seeds=2)
"""What runs by default, in minutes; the whole table takes hours."""

_SLOW = {"kernel-ridge", "lasso", "boosting", "pairs"}
"""Left out where 512 masks meet 200 units."""

_ALONE = frozenset({"ridge", "ols", "lasso", "boosting", "pairs"})
"""Surrogates that the second question is asked of; each is fitted six times for one estimate."""


# ---- the first question: held-out R2 ----


def held_out(game: Played, keep: float, calls: int, seed: int, *, tested: int = TESTED) -> dict[str, float]:
    """R2 of every surrogate on masks of the same law that were not asked for; NaN where it refuses the budget."""
    rng = np.random.default_rng((SEED, seed))
    new = rng.random((tested, game.n)) < keep
    if keep == 0.5 and designs.fits_enumeration(game.n, calls):
        design = designs.enumerated(game.n)
    elif keep == 0.5:
        design = designs.complement_pairs(game.n, calls // 2, rng)
    else:
        design = designs.bernoulli(game.n, calls, rng, keep=keep)
    seen = Observed(design.masks, game.values(design.masks), design.groups, design.keep)
    effects = game.values(new)
    return {s.name: _r2(s, seen, new, effects) for s in SURROGATES.values() if not _too_slow(s, game.n, calls)}


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
        if s.name in _ALONE and not _too_slow(s, game.n, 2 * calls)
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

        def from_nothing(masks: Bools) -> Floats:
            return game.values(np.atleast_2d(np.asarray(masks, dtype=bool))) - nothing

        found = rival.approximate(calls, from_nothing)
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


def cells_of_r2(size: Size, kinds: Sequence[str]) -> Iterator[dict[str, object]]:
    for name, n, keep, calls, games in _cells_to_play(size, kinds):
        tested = 256 if name == "storyteller" else TESTED
        drawn = list(_runs(size, name, games))
        runs = [partial(_held_out_of, game, keep, calls, seed, tested) for game, seed in drawn]
        key = f"r2-{name}-{n}-{keep}-{calls}-{len(drawn)}"
        found = _kept(key, runs)
        if varied := [run for run in found if np.isfinite(run[DEFAULT])]:  # any of three is constant at a high keep
            yield {
                "game": name,
                "n": n,
                "keep": keep,
                "calls": calls,
                "runs": len(varied),
                **_row(varied, larger_is_better=True),
            }
    if "gpt35" in kinds:
        table = gpt35()
        runs = [partial(held_out_of_table, table, 32, seed) for seed in range(size.games * size.seeds)]
        found = _kept(f"r2-gpt35-{size.games}-{size.seeds}", runs)
        n = table.masks.shape[1]
        yield {
            "game": table.name,
            "n": n,
            "keep": 0.5,
            "calls": 32,
            "runs": len(found),
            **_row(found, larger_is_better=True),
        }


def _held_out_of(game: Callable[[], Played], keep: float, calls: int, seed: int, tested: int) -> dict[str, float]:
    return held_out(game(), keep, calls, seed, tested=tested)


def _cells_to_play(
    size: Size, kinds: Sequence[str]
) -> Iterator[tuple[str, int | str, float, int, list[Callable[[], Played]]]]:
    """Name, units, keep, calls and games of each cell of the first question."""
    if "planted" in kinds:
        for family, n, keep, calls in itertools.product(FAMILIES, size.units, KEEPS, size.calls):
            yield family, n, keep, calls, [partial(planted, family, n, number) for number in range(size.games)]
    if "encoder" in kinds:
        for keep, calls in itertools.product(KEEPS, size.calls):
            games = [partial(encoded, number) for number in range(len(SENTENCES))]
            yield "sentence encoder", 12, keep, calls, games
    if "storyteller" in kinds:
        for keep, calls in itertools.product(KEEPS, [c for c in size.calls if c <= 256]):
            yield "storyteller", "15-40", keep, calls, [partial(told, number) for number in range(size.games)]


def cells_of_shapley(size: Size, kinds: Sequence[str]) -> Iterator[dict[str, object]]:
    cells: list[tuple[str, int, list[Callable[[], Played]]]] = []
    if "planted" in kinds:
        for family, n in itertools.product(FAMILIES, size.units):
            cells.append((family, n, [partial(planted, family, n, number) for number in range(size.games)]))
    if "encoder" in kinds:
        cells.append(("sentence encoder", 12, [partial(encoded, number) for number in range(len(SENTENCES))]))
    for (name, n, games), calls in itertools.product(cells, size.calls):
        runs = [partial(_shapley_of, game, calls, seed) for game, seed in _runs(size, name, games)]
        found = _kept(f"shapley-{name}-{n}-{calls}-{len(runs)}", runs)
        yield {"game": name, "n": n, "calls": calls, "runs": len(found), **_row(found, larger_is_better=False)}


def _shapley_of(game: Callable[[], Played], calls: int, seed: int) -> dict[str, float]:
    return shapley_errors(game(), calls, seed)


def _kept(key: str, runs: Sequence[Callable[[], dict[str, float]]]) -> list[dict[str, float]]:
    """The runs of a cell, from the file of an earlier call where there is one."""
    place = KEPT / f"{key}.json"
    if place.is_file():
        return json.loads(place.read_text(encoding="utf-8"))
    found = [run() for run in runs]
    KEPT.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found), encoding="utf-8")
    print(key, {name: round(float(np.mean([run[name] for run in found])), 4) for name in found[0]}, flush=True)
    return found


def _runs(size: Size, name: str, games: Sequence[Callable[[], Played]]) -> Iterator[tuple[Callable[[], Played], int]]:
    seeds = size.seeds if name == "sentence encoder" else size.more_seeds
    return itertools.product(games[: size.games], range(seeds))


def _row(runs: list[dict[str, float]], *, larger_is_better: bool) -> dict[str, object]:
    """A summary with a column for every method, NaN for one that was left out."""
    names = [*SURROGATES, *(() if larger_is_better else RIVALS)]
    return summary(
        [{name: run.get(name, float("nan")) for name in names} for run in runs], larger_is_better=larger_is_better
    )


KINDS = ("planted", "encoder", "storyteller", "gpt35")


def main(data: Path | None = None, *, size: Size = SMALL, kinds: Sequence[str] = KINDS) -> None:
    del data
    r2 = list(cells_of_r2(size, kinds))
    print("Held-out R2 (more is better)\n\n" + record.table(r2))
    shapley = list(cells_of_shapley(size, kinds))
    print("\nRelative squared error of Shapley values (less is better)\n\n" + record.table(shapley))
    figures = {"size": asdict(size), "held-out R2": r2, "relative squared Shapley error": shapley}
    record.write("methods", figures, seed=SEED)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=SMALL.units)
    parser.add_argument("--calls", type=int, nargs="+", default=SMALL.calls)
    parser.add_argument("--games", type=int, default=SMALL.games)
    parser.add_argument("--seeds", type=int, default=SMALL.seeds)
    parser.add_argument("--more-seeds", type=int, default=SMALL.more_seeds)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    return parser.parse_args()


if __name__ == "__main__":
    given = _parsed()
    size = Size(tuple(given.units), tuple(given.calls), given.games, given.seeds, given.more_seeds)
    main(size=size, kinds=given.kinds)
