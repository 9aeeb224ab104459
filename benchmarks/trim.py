"""How often is a trimmed prompt called not worse that is worse, and what does an obvious way to trim do?

A planted template, inputs drawn anew for each run, and a score between 0 and 1. Of eight units all inputs need unit 1,
and unit 2 or 3 (which say the same); some need unit 5; the score is the share of three needs that are met. "All or
nothing": twelve units, the first six needed by all, and the score is 1 only where all six are there. A part of the
answers has the opposite score, anew for each call. A trimmed prompt is wrong where its true mean loss, over inputs like
these or these alone, is the margin or more. "At the margin": unit 5 is needed by so many inputs that to drop it costs
just that.

Both stages run as `trim` runs them; the answers come from arrays. Beside it two naive ways, each for as many calls as
`trim` took on average: an attribution (pairs of masks) or a leave-one-out effect and a t-test for each unit, and all
units that are not significant dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from benchmarks import record
from whygen.prompt.trim.deciding import Stages
from whygen.prompt.trim.panel import Told
from whygen.prompt.trim.plan import plan_trim
from whygen.stats.wilson import wilson

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

INPUTS, MARGIN, ERROR = 100, 0.1, 0.05
RUNS, SEED = 400, 83
WAYS = ("attribution", "leave one out")


@dataclass(frozen=True)
class Cell:
    """A row: the share of inputs that need unit 5, answers that are turned round, and what the test holds for."""

    name: str
    needs: float
    noise: float
    over: str = "like-these"
    inputs: int = INPUTS

    @property
    def units(self) -> int:
        return 12 if self.name == "all or nothing" else 8

    def met(self, mask: Mask, needs: bool) -> float:
        """The score of an answer; ``needs`` says whether the input needs unit 5."""
        if self.name == "all or nothing":
            return float(mask[:6].all())
        return (float(mask[1]) + float(mask[2] or mask[3]) + float(mask[5] or not needs)) / 3.0


def cells() -> list[Cell]:
    return [
        Cell("redundant pair", 0.0, 0.0),
        Cell("redundant pair", 0.0, 0.02),
        Cell("redundant pair", 0.0, 0.1),
        Cell("needed by one input in fifty", 0.02, 0.0),
        Cell("at the margin", 0.3, 0.0),
        Cell("at the margin", 0.3 / 0.96, 0.02),
        Cell("at the margin", 0.3 / 0.8, 0.1),
        Cell("needed by half", 0.5, 0.02),
        Cell("needed by half", 0.5, 0.1),
        Cell("all or nothing", 0.0, 0.0),
        Cell("all or nothing", 0.0, 0.02),
        Cell("all or nothing", 0.0, 0.1),
        Cell("all or nothing", 0.0, 0.1, inputs=300),
        Cell("at the margin", 0.3, 0.0, over="these", inputs=20),
        Cell("at the margin", 0.3 / 0.8, 0.1, over="these", inputs=20),
    ]


@dataclass
class Planted:
    """Stands for `Panel`: its answers come from a rule."""

    cell: Cell
    number: int
    asked: int = 0
    cut: SimpleNamespace = field(init=False)
    references: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng((SEED, self.number))
        self.third = self.rng.random(self.cell.inputs) < self.cell.needs
        self.cut = SimpleNamespace(each=range(self.cell.inputs))
        self.steady = self.cell.noise == 0.0
        self.runner = SimpleNamespace(tally=self)
        self.whole = np.ones(self.cell.units, dtype=bool)

    def begin(self, inputs: Sequence[int]) -> list[int]:
        self.asked += len(set(inputs) - self.references)
        self.references.update(inputs)
        return list(inputs)

    def told(self, wanted: Sequence[tuple[int, Mask]], *, times: int = 1) -> list[Told]:
        self.asked += len(wanted) * times
        return [Told(self._drawn(self.cell.met(mask, bool(self.third[each])), times), ()) for each, mask in wanted]

    def _drawn(self, score: float, times: int) -> float:
        odd = self.rng.binomial(times, self.cell.noise) / times
        return score + odd * (1.0 - 2.0 * score)

    def shares(self, inputs: Sequence[int], told: Sequence[Told]) -> Floats:
        del inputs
        return np.array([one.effect for one in told])

    def losses(self, inputs: Sequence[int], before: Sequence[Told], after: Sequence[Told]) -> Floats:
        return self.shares(inputs, before) - self.shares(inputs, after)

    def loss(self, mask: Mask) -> float:
        """The true mean loss over inputs like these, or over these."""
        share = float(self.third.mean()) if self.cell.over == "these" else self.cell.needs
        without, with_it = (self.cell.met(self.whole, needs) - self.cell.met(mask, needs) for needs in (False, True))
        return (1.0 - 2.0 * self.cell.noise) * ((1.0 - share) * without + share * with_it)


def trimmed(cell: Cell, number: int) -> tuple[bool, int, int]:
    """Whether what was trimmed is wrong, how many units were dropped, and calls."""
    planted = Planted(cell, number)
    plan = plan_trim(
        cell.units, cell.inputs, margin=MARGIN, error=ERROR, over=cell.over, draws=1, budget=None, steady=planted.steady
    )
    stages = Stages(planted, plan, number)
    mask = stages.verify(stages.choose())
    if mask is None:
        return False, 0, planted.asked
    return planted.loss(mask) >= MARGIN - 1e-9, int((~mask).sum()), planted.asked


def tested(cell: Cell, number: int) -> bool:
    """Whether the test alone, without a choice before it, calls a prompt not worse whose loss is the margin."""
    planted = Planted(cell, 20_000 + number)
    plan = plan_trim(
        cell.units, cell.inputs, margin=MARGIN, error=ERROR, over=cell.over, draws=1, budget=None, steady=planted.steady
    )
    stages = Stages(planted, plan, number, testing=list(range(cell.inputs))[-plan.testing :])
    mask = stages.verify([np.arange(cell.units) != 5])
    return mask is not None and planted.loss(mask) >= MARGIN - 1e-9


def naive(cell: Cell, number: int, calls: int, *, way: str) -> tuple[bool, int]:
    """Whether dropping all that is not significant is wrong, and how many units that drops."""
    planted = Planted(cell, 10_000 + number)
    values, error, degrees = (_attributed if way == "attribution" else _left_out)(planted, calls)
    kept = np.asarray(2.0 * stdtr(degrees, -np.abs(values) / error)) < 0.05
    return planted.loss(kept) >= MARGIN - 1e-9, int((~kept).sum())


def _attributed(planted: Planted, calls: int) -> tuple[Floats, Floats, float]:
    """Banzhaf values by least squares over pairs of masks, each asked of one input, and their standard errors."""
    pairs, n = calls // 2, planted.cell.units
    masks = planted.rng.random((pairs, n)) < 0.5
    owners = planted.rng.integers(planted.cell.inputs, size=pairs).tolist()
    told = planted.told([(owner, one) for owner, mask in zip(owners, masks, strict=True) for one in (mask, ~mask)])
    scores = np.array([one.effect for one in told]).reshape(pairs, 2)
    signs, differences = 2.0 * masks - 1.0, (scores[:, 0] - scores[:, 1]) / 2.0
    inverse = np.linalg.inv(signs.T @ signs)
    values = inverse @ signs.T @ differences
    left = differences - signs @ values
    return values, np.sqrt(np.maximum(np.diag(inverse) * (left @ left) / (pairs - n), 1e-30)), float(pairs - n)


def _left_out(planted: Planted, calls: int) -> tuple[Floats, Floats, float]:
    """Mean fall of the score without each unit, over as many inputs as the calls pay, and its standard error."""
    each = max(2, calls // (planted.cell.units + 1))
    inputs = planted.rng.integers(planted.cell.inputs, size=each).tolist()
    masks = [planted.whole, *~np.eye(planted.cell.units, dtype=bool)]
    scores = np.array([one.effect for mask in masks for one in planted.told([(owner, mask) for owner in inputs])])
    falls = scores.reshape(len(masks), each)[0] - scores.reshape(len(masks), each)[1:]
    return falls.mean(axis=1), np.maximum(falls.std(axis=1, ddof=1), 1e-15) / each**0.5, each - 1.0


def row(cell: Cell, runs: int = RUNS) -> dict[str, object]:
    found = [trimmed(cell, number) for number in range(runs)]
    calls = round(float(np.mean([each[2] for each in found])))
    control = {way: [naive(cell, number, calls, way=way) for number in range(runs)] for way in WAYS}
    wrong = sum(each[0] for each in found)
    low, high = wilson(wrong, runs)
    at_margin = cell.name == "at the margin"
    alone = sum(tested(cell, number) for number in range(runs)) / runs if at_margin else None
    return {
        "template": cell.name, "noise": cell.noise, "over": cell.over, "inputs": cell.inputs,
        "wrong": {"mean": wrong / runs, "low": low, "high": high},
        "dropped": float(np.mean([each[1] for each in found])), "calls": calls,
        "test alone: wrong": alone,
        **{f"{way}: wrong": sum(each[0] for each in found) / runs for way, found in control.items()},
        **{f"{way}: dropped": float(np.mean([each[1] for each in found])) for way, found in control.items()},
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    rows = [row(cell) for cell in cells()]
    print(record.table(rows))
    record.write("trim", {"rows": rows}, seed=SEED)


if __name__ == "__main__":
    main()
