"""Which method explains best at equal calls: two questions, judged apart.

``banzhaf``: held-out R2, over masks that were not asked for, of the default surrogate (``default``) beside the other
surrogates, and of a line through the attributions that are reported (``reported``) beside the lines of the others.
``shapley``: squared error of the Shapley values, relative to their squared length, beside the surrogates alone and the
estimators of shapiq. Each row is a cell (kind of game, units, keep probability, calls); each figure is the mean over
games and seeds. ``behind`` is the paired difference of the default to the best other method with its 95% interval over
games: the default is behind where the whole interval is above zero.

Surrogates see the same masks, drawn as the package draws them for so many calls. The estimators of shapiq ask for their
own; ProxySPEX and OddSHAP are those of its newest release, in an environment of its own (made by ``python -m
benchmarks.methods --install``), and are left out where there is none. ProxySPEX, which takes a hundred times as long as
the default, is run on `FEWER` games of the families that it is made for. `GAMES` games a cell let the whole be done in
minutes; the intervals say what so few can tell. Cells are kept as they are done, and a broken run takes up where it
ended: ``python -m benchmarks.methods --minutes 2``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks import games, record
from benchmarks.games import Bools, Floats, Played, Table
from benchmarks.partial import Row, Rows, arguments
from benchmarks.rivals.box import Box
from benchmarks.rivals.protocol import CannotPlay, Found, OverBudget
from benchmarks.rivals.rooms import Missing, Room, install, versions
from whygen import lab
from whygen.errors import BudgetError
from whygen.lab import FAMILIES, SURROGATES, Effects, Linear, Surrogate
from whygen.stats.intervals import student_half_width

DEFAULT = "adaptive"
TESTED = 2000
"""Masks that the first question is judged on."""

SEED = games.FRESH
GAMES = 5
FEWER = 2
SPARSE = ("redundant", "votes", "conjunctions", "parities")
"""Families whose units act in threes and more."""

ROOM = "shapiq_newest"

ASKED = ((9, 64), (16, 64), (16, 256), (33, 256))
"""Units and calls at which every family is predicted at keep .5; further settings are those of `further_cells`."""

LINES = ("ridge", "ols", "lasso", "bayesian-ridge")
_MOST = {"boosting": 64 * 12, "lasso": 128 * 12}
"""Masks x units up to which what is slow is run."""


@dataclass(frozen=True)
class Cell:
    """One row of a table: a kind of game, and how it is asked; ``keep`` is None for the question of Shapley values."""

    kind: str
    n: int
    calls: int
    games: int
    seeds: int
    keep: float | None = None

    @property
    def key(self) -> str:
        return f"{self.kind} {self.n} {self.calls} {self.keep}"


def cells() -> Iterator[Cell]:
    """The table, what matters most first."""
    for (n, calls), kind in itertools.product(ASKED, FAMILIES):
        yield Cell(kind, n, calls, GAMES, 1, 0.5)
    for (n, calls), kind in itertools.product(((12, 64), (24, 256)), FAMILIES):
        yield Cell(kind, n, calls, GAMES, 1)
    yield Cell("GPT-3.5", 6, 32, 1, 60, 0.5)


def further_cells() -> Iterator[Cell]:
    """What comes after ProxySPEX: fewer calls, more units, a high keep, games of encoders and of the storyteller."""
    for (n, calls, keep), kind in itertools.product(((12, 32, 0.5), (24, 128, 0.9), (60, 128, 0.5)), FAMILIES):
        yield Cell(kind, n, calls, GAMES, 1, keep)
    for kind, calls, keep in itertools.product(("encoder", "storyteller"), (64, 256), (0.5, None)):
        yield Cell(kind, 12, calls, GAMES, 2, keep)


def game_of(cell: Cell, number: int) -> Played:
    if cell.kind == "encoder":
        return games.encoder_games(GAMES)[number]
    if cell.kind == "storyteller":
        return games.story_games(GAMES)[number]
    return games.planted(cell.kind, cell.n, number)


# ---- the first question: held-out R2 ----


def held_out(game: Played, keep: float, calls: int, seed: int) -> dict[str, float]:
    """R2 on masks of the same law that were not asked for; NaN where a method refuses the budget."""
    rng = np.random.default_rng((SEED, seed))
    new = rng.random((TESTED, game.n)) < keep
    design = lab.draw(game.n, calls, rng) if keep == 0.5 else lab.bernoulli(game.n, calls, rng, keep=keep)
    seen = lab.effects_of(design.masks, game.values(design.masks), groups=design.groups, keep=design.keep)
    found = {
        s.name: r2_of(s, seen, new, game.values(new))
        for s in SURROGATES.values()
        if not _too_slow(s.name, game.n, calls)
    }
    return found | {"reported": _reported(seen, new, game.values(new), rng)}


def held_out_of_table(table: Table, calls: int, seed: int) -> dict[str, float]:
    """R2 on the rows of a table that were not drawn for the fit."""
    order = np.random.default_rng((SEED, seed)).permutation(len(table.masks))
    asked, new = order[:calls], order[calls:]
    seen = lab.effects_of(table.masks[asked], table.effects[asked])
    return {s.name: r2_of(s, seen, table.masks[new], table.effects[new]) for s in SURROGATES.values()}


def r2_of(surrogate: Surrogate, seen: Effects, masks: Bools, effects: Floats) -> float:
    if len(np.unique(seen.groups)) < surrogate.smallest_pairs(seen.n):
        return float("nan")
    try:
        found = lab.r_squared(effects, surrogate.fit(seen).predict(masks))
    except BudgetError:
        return float("nan")
    return float("nan") if found is None else found


def _reported(seen: Effects, masks: Bools, effects: Floats, rng: np.random.Generator) -> float:
    """R2 of a line through the attributions that the package reports."""
    slopes = lab.estimate(seen, rng, surrogate=DEFAULT).attributions
    found = lab.r_squared(effects, Linear(float(seen.values.mean()), slopes, seen.keep).predict(masks))
    return float("nan") if found is None else found


def _too_slow(name: str, n: int, calls: int) -> bool:
    return n * calls > _MOST.get(name, np.inf)


# ---- the second question: Shapley values ----


def shapley_errors(game: Played, calls: int, seed: int) -> dict[str, float]:
    """Relative squared error of every method at so many calls, those for no unit and all units included."""
    rivals = {name: _relative(rival(game, calls, seed), game.shapley) for name, rival in RIVALS.items()}
    ends = game.values(np.array([np.zeros(game.n, bool), np.ones(game.n, bool)]))
    if 2**game.n - 1 <= calls:
        return {DEFAULT: 0.0} | rivals
    rng = np.random.default_rng((SEED, seed))
    design = lab.draw(game.n, calls - 2, rng, estimand="shapley", sizes="leverage")
    total = float(ends[1] - ends[0])
    seen = lab.effects_of(design, game.values(design.masks), total=total)
    ours = {DEFAULT: _relative(lab.estimate(seen, rng, surrogate=DEFAULT).attributions, game.shapley)}
    quick = [s for s in SURROGATES.values() if s.name not in _LEFT_OUT and not _too_slow(s.name, game.n, calls)]
    alone = {s.name: _relative(_alone(s, seen), game.shapley) for s in quick}
    unbiased = seen.weights().T @ seen.values / len(seen)
    return ours | alone | rivals | {"MSR": _relative(unbiased, game.shapley)}


_LEFT_OUT = {DEFAULT, "pairs"}
"""Interactions have no part in Shapley values from complement pairs: those of `pairs` are those of ridge."""


def _alone(surrogate: Surrogate, seen: Effects) -> Floats | None:
    """The surrogate's own values, as those who use it alone would report them."""
    if len(np.unique(seen.groups)) < surrogate.smallest_pairs(seen.n):
        return None
    try:
        return surrogate.fit(seen).attributions()
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


@cache
def _room() -> Room | None:
    """The newest shapiq at work, one for each process; None where it is not installed."""
    try:
        return Room.open(ROOM)
    except Missing:
        return None


def _newest(method: str, game: Played, budget: int, seed: int, new: Bools) -> Found | None:
    """What a method of the newest shapiq finds within the budget, the whole prompt included."""
    room = _room()
    if room is None:
        return None
    try:
        return room.explain(method, Box(game.values, budget), game.n, new=new, seed=seed)[0]
    except (CannotPlay, OverBudget, Missing):
        return None


def _of_newest(method: str) -> Callable[[Played, int, int], Floats | None]:
    def approximate(game: Played, calls: int, seed: int) -> Floats | None:
        found = _newest(method, game, calls, seed, np.ones((1, game.n), dtype=bool))
        return None if found is None else found.attributions

    return approximate


RIVALS: dict[str, Callable[[Played, int, int], Floats | None]] = {
    "KernelSHAP": _shapiq("KernelSHAP"),
    "KernelSHAP paired": _shapiq("KernelSHAP", pairing_trick=True),
    "permutations": _shapiq("PermutationSamplingSV"),
    "SVARM": _shapiq("SVARM"),
    "OddSHAP": _of_newest("OddSHAP"),
}


def _relative(found: Floats | None, truth: Floats) -> float:
    return float("nan") if found is None else float(((found - truth) ** 2).sum() / (truth**2).sum())


# ---- ProxySPEX ----


def spex_cells() -> Iterator[Cell]:
    for (n, calls), kind in itertools.product(ASKED, SPARSE):
        yield Cell(kind, n, calls, FEWER, 1, 0.5)
    for kind in SPARSE:
        yield Cell(kind, 24, 256, FEWER, 1)


def beside_spex(cell: Cell) -> Row:
    """The default and ProxySPEX on the same games: held-out R2, or where keep is None the relative Shapley error."""
    found: list[tuple[float, float]] = []
    for number in range(cell.games):
        game = game_of(cell, number)
        rng = np.random.default_rng((SEED, number))
        new = rng.random((TESTED, game.n)) < 0.5
        rival = _newest("ProxySPEX", game, cell.calls + (cell.keep is not None), 0, new)
        if rival is None:
            continue
        if cell.keep is None:
            found.append((shapley_errors(game, cell.calls, 0)[DEFAULT], _relative(rival.attributions, game.shapley)))
            continue
        design = lab.draw(game.n, cell.calls, rng)
        seen = lab.effects_of(design.masks, game.values(design.masks), groups=design.groups)
        ours = r2_of(SURROGATES[DEFAULT], seen, new, game.values(new))
        found.append((ours, lab.r_squared(game.values(new), rival.predictions) or float("nan")))
    ours, theirs = np.mean(found, axis=0).tolist() if found else (None, None)
    question = "relative squared Shapley error" if cell.keep is None else "held-out R2"
    return {
        "question": question, "game": cell.kind, "units": cell.n, "calls": cell.calls, "games": len(found),
        "default": ours, "ProxySPEX": theirs,
    }  # fmt: skip


# ---- cells and rows ----


def asked(cell: Cell, number: int, seed: int) -> dict[str, float]:
    """One game of a cell with one seed."""
    if cell.kind == "GPT-3.5":
        return held_out_of_table(games.recorded(), cell.calls, seed)
    game = game_of(cell, number)
    if cell.keep is None:
        return shapley_errors(game, cell.calls, seed)
    return held_out(game, cell.keep, cell.calls, seed)


def row(cell: Cell, workers: Executor) -> Row:
    """The cell with the mean of every method, and how far the default is behind the best other one."""
    pairs = list(itertools.product(range(cell.games), range(cell.seeds)))
    numbers = [seed if cell.kind == "GPT-3.5" else number for number, seed in pairs]
    found = workers.map(asked, itertools.repeat(cell), *zip(*pairs, strict=True))
    # Any of three is constant at a high keep: a run without a figure of the default is none.
    runs = [(number, one) for number, one in zip(numbers, found, strict=True) if np.isfinite(one[DEFAULT])]
    head: dict[str, object] = {
        "game": cell.kind,
        "n": cell.n,
        "keep": cell.keep,
        "calls": cell.calls,
        "runs": len(runs),
    }
    if len({number for number, _ in runs}) < 2:
        return head
    head |= summary(runs, larger_is_better=cell.keep is not None)
    if cell.keep is not None and cell.kind != "GPT-3.5":
        lines = [(number, {name: run[name] for name in ("reported", *LINES) if name in run}) for number, run in runs]
        head["reported behind a line"] = summary(lines, larger_is_better=True, default="reported")["behind"]
    return head


def summary(
    runs: list[tuple[int, dict[str, float]]], *, larger_is_better: bool, default: str = DEFAULT
) -> dict[str, object]:
    """Mean of each method, and the default less the best other one, paired by game, with a 95% interval.

    A method that refused any run of the cell is shown as NaN and is no rival in it.
    """
    means = {name: float(np.mean([run[name] for _, run in runs])) for name in runs[0][1]}
    sign = 1.0 if larger_is_better else -1.0
    others = {
        name: sign * mean for name, mean in means.items() if name not in {default, "reported"} and np.isfinite(mean)
    }
    best = max(others, key=others.__getitem__)
    by_game: dict[int, list[float]] = {}
    for number, run in runs:
        by_game.setdefault(number, []).append(sign * (run[best] - run[default]))
    gaps = np.array([np.mean(values) for values in by_game.values()])
    half = float(student_half_width(np.array(gaps.var(ddof=1) / len(gaps)), len(gaps) - 1.0))
    behind = [float(gaps.mean()), float(gaps.mean()) - half, float(gaps.mean()) + half]
    return {"methods": means, "best other": best, "behind": behind}


def shown(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rows for people: the default, the best other method and the interval of the difference."""
    return [
        {
            "game": r["game"], "n": r["n"], "keep": r["keep"], "calls": r["calls"], "runs": r["runs"],
            "default": r["methods"][DEFAULT], "best other": r["best other"],  # type: ignore[index]
            "its figure": r["methods"][r["best other"]],  # type: ignore[index]
            "behind": "{:+.4f} ({:+.4f} to {:+.4f})".format(*r["behind"]),  # type: ignore[misc]
        }
        for r in rows
        if "methods" in r
    ]  # fmt: skip


def told(question: str, rows: Sequence[Row]) -> list[dict[str, object]]:
    """In how many cells the default is ahead of, level with and behind the best other method of the cell, and the best
    single method over all cells: the one of the best mean where all that are shown took part.
    """
    judged = [row for row in rows if "methods" in row]
    if not judged:
        return []
    behind = [row["behind"] for row in judged]
    sign = -1.0 if "error" in question else 1.0
    common = set.intersection(*({n for n, v in row["methods"].items() if np.isfinite(v)} for row in judged))  # type: ignore[attr-defined]
    means = {name: float(np.mean([row["methods"][name] for row in judged])) for name in common - {"reported"}}  # type: ignore[index]
    single = max(common - {"reported", DEFAULT}, key=lambda name: sign * means[name])
    return [{
        "question": question, "cells": len(judged),
        "ahead": sum(high < 0 for _, _, high in behind), "level": sum(low <= 0 <= high for _, low, high in behind),  # type: ignore[misc]
        "behind": sum(low > 0 for _, low, _ in behind),  # type: ignore[misc]
        "behind by over .01": sum(low > 0 and mean > 0.01 for mean, low, _ in behind),  # type: ignore[misc]
        "default": means[DEFAULT], "best single method": single, "its figure": means[single],
    }]  # fmt: skip


def beside(question: str, rows: Sequence[Row], *, least: float = 1e-3) -> list[dict[str, object]]:
    """The default beside each method over the cells where that method took part, and how often either is better."""
    sign = -1.0 if "error" in question else 1.0
    judged = [row["methods"] for row in rows if "methods" in row]
    found: list[dict[str, object]] = []
    for name in sorted(set[str]().union(*judged) - {DEFAULT, "reported"}):  # type: ignore[arg-type]
        pairs = np.array([(m[DEFAULT], m[name]) for m in judged if np.isfinite(m.get(name, np.nan))])  # type: ignore[attr-defined,index]
        gain = sign * (pairs[:, 0] - pairs[:, 1])
        found.append({
            "question": question, "method": name, "cells": len(pairs), "its figure": float(np.median(pairs[:, 1])),
            "default": float(np.median(pairs[:, 0])),
            "default better in": int((gain > least).sum()), "worse in": int((gain < -least).sum()),
        })  # fmt: skip
    return found


def planted_row(row: Row) -> Row:
    """A planted family at keep .5 for a page."""
    methods = {name: row["methods"][name] for name in (DEFAULT, "ridge", "kernel-ridge", "pairs")}  # type: ignore[index]
    return {"game": row["game"], "units": row["n"], "calls": row["calls"], "games": row["runs"], **methods}


def losses(rows: Sequence[Row], *, least: float = 1e-3) -> list[dict[str, object]]:
    """Cells in which the default is behind the best other method by more than its interval, and by ``least``."""
    return [
        {
            "game": row["game"], "units": row["n"], "keep": row["keep"], "calls": row["calls"],
            "default": row["methods"][DEFAULT], "best other": row["best other"],  # type: ignore[index]
            "its figure": row["methods"][row["best other"]],  # type: ignore[index]
            "behind": dict(zip(("mean", "low", "high"), row["behind"], strict=True)),  # type: ignore[arg-type]
        }
        for row in rows
        if "methods" in row and row["behind"][1] > 0 and row["behind"][0] > least  # type: ignore[index]
    ]  # fmt: skip


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False, rivals: bool = False) -> None:
    del data
    if rivals:
        install(ROOM)
    kept = Rows("methods", minutes=minutes, fresh=fresh)
    spex = {f"ProxySPEX {cell.key}": cell for cell in spex_cells()}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        found = {cell.key: kept.get(cell.key, partial(row, cell, workers)) for cell in cells()}
        beside_it = {key: kept.get(key, partial(beside_spex, cell)) for key, cell in spex.items()}
        found |= {cell.key: kept.get(cell.key, partial(row, cell, workers)) for cell in further_cells()}
    rows = [row for row in found.values() if row is not None]
    r2 = [row for row in rows if row["keep"] is not None]
    shapley = [row for row in rows if row["keep"] is None]
    for title, part in (("Held-out R2 (more is better)", r2), ("Relative squared Shapley error (less)", shapley)):
        if shown(part):
            print(f"{title}\n\n{record.table(shown(part))}\n")
    left = [key for key, row in (found | beside_it).items() if row is None]
    if some := [row for row in beside_it.values() if row is not None]:
        print(f"ProxySPEX\n\n{record.table(some)}\n")
    questions = {"held-out R2": r2, "relative squared Shapley error": shapley}
    figures: dict[str, object] = dict(questions)
    figures["summary"] = [line for name, part in questions.items() for line in told(name, part)]
    figures["beside each"] = [line for name, part in questions.items() for line in beside(name, part)]
    figures |= {f"behind in {name}": losses(part) for name, part in questions.items()}
    figures["planted"] = [planted_row(row) for row in r2 if row["keep"] == 0.5 and row["game"] in FAMILIES]
    figures["ProxySPEX"] = some
    figures |= {"not run": left, "rivals": versions(ROOM)}
    record.write("methods", figures, seed=SEED)


if __name__ == "__main__":
    options = arguments(__doc__)
    options.add_argument("--install", dest="rivals", action="store_true", help="make the environment of shapiq")
    main(**vars(options.parse_args()))
