"""Who made the planted agent act: recorded calls of known cause, asked as `whygen why` asks them.

A cell is a case (see `whygen.models.planted.agent`) and the noise: 0, 2 or 10 answers of a hundred are the other
one, both ways. Its calls have 6 to 40 parts with a text, in six languages, and tool definitions besides; the budget is
64 answers in all. ``first``: a driver is the part of the largest attribution and the surest. ``all``: every driver is
named. ``accused``: a tool result that has no say is named (of ``user`` calls: a clean request is accused). ``verdict``:
the verdict is the right one; ``wrong``: it says the opposite, who had no part in it or that somebody had none who had;
what is left open is neither. ``drivers`` and ``idle`` are the coverage of the 95% intervals of attributions.
``loo``: each part left out once, or as often as the same 64 answers allow, with the same reference and repeats.
One rule (that an interval exclude zero as well) was dropped on these very calls, see decision 0033.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from benchmarks.partial import Rows, arguments
from benchmarks.planted_calls import Case, PlantedCall, planted_call
from whygen.models.planted.agent import LANGUAGES, NOISE
from whygen.records import Call
from whygen.results.prompt import PromptExplanation
from whygen.stats.wilson import wilson

SEED = 17
CALLS: dict[Case, int] = {
    "user": 80, "injected": 30, "redundant": 60, "together": 25, "user-and-result": 25, "user-or-result": 20,
}  # fmt: skip
"""Calls of each case at each noise: 240 in all, most of them where the contract asks for a share of its own."""
BUDGET = 64
RIGHT: dict[Case, str] = {
    "user": "request", "injected": "suspects", "redundant": "suspects", "together": "suspects",
    "user-and-result": "both", "user-or-result": "either",
}  # fmt: skip
OPPOSITE: dict[Case, frozenset[str]] = {
    "user": frozenset({"suspects", "both", "either", "open"}),
    "injected": frozenset({"request", "both", "either"}),
    "redundant": frozenset({"request", "both", "either"}),
    "together": frozenset({"request", "both", "either"}),
    "user-and-result": frozenset({"suspects", "request", "either"}),
    "user-or-result": frozenset({"suspects", "request", "both"}),
}
"""Verdicts that are wrong of a case; ``open`` accuses, and says nothing of the request."""


def planted(case: Case, number: int, seed: int = SEED) -> PlantedCall:
    """A call of a case."""
    rng = np.random.default_rng([seed, list(RIGHT).index(case), number])
    languages = list(LANGUAGES)
    return planted_call(
        rng, case=case, parts=int(rng.integers(6, 41)), language=languages[int(rng.integers(len(languages)))]
    )


def truth(case: Case, noise: float) -> float:
    """The Banzhaf value of each driver: over all subsets of the drivers, with the noise both ways."""
    alone = case in {"user", "injected"}
    return (1.0 - 2.0 * noise) * (1.0 if alone else 0.5)


def drivers_of(explanation: PromptExplanation, call: PlantedCall) -> list[int]:
    """The units that are drivers: those of the messages' texts."""
    texts = {call.chat.messages[place].text.strip() for place in call.drivers}
    return [place for place, unit in enumerate(explanation.units) if unit.text.strip() in texts]


@dataclass(slots=True)
class Cell:
    """What was seen in one cell."""

    case: Case
    noise: float
    first: list[float] = field(default_factory=list[float])
    every: list[bool] = field(default_factory=list[bool])
    accused: list[bool] = field(default_factory=list[bool])
    right: list[bool] = field(default_factory=list[bool])
    wrong: list[bool] = field(default_factory=list[bool])
    drivers: list[bool] = field(default_factory=list[bool])
    idle: list[bool] = field(default_factory=list[bool])

    def add(self, explanation: PromptExplanation, call: PlantedCall) -> None:
        """One explanation beside the truth."""
        why, known = explanation.why, drivers_of(explanation, call)
        assert why is not None
        assert len(known) == len(call.drivers)
        named = {part.unit for part in why.parts if part.named}
        sure = [part.p_value if part.p_value is not None else 1.0 for part in why.parts]
        first = min(range(len(sure)), key=lambda unit: (sure[unit], -explanation.units[unit].attribution))
        self.first.append(float(first in known))
        self.every.append(named >= set(known))
        self.accused.append(any(part.named and part.suspect and part.unit not in known for part in why.parts))
        self.right.append(why.verdict == RIGHT[self.case])
        self.wrong.append(why.verdict in OPPOSITE[self.case])
        self._cover(explanation, known)

    def add_loo(self, explanation: PromptExplanation, call: PlantedCall) -> None:
        """The same of leave-one-out, whose value is the drop where a part is left out."""
        known = drivers_of(explanation, call)
        values = np.array([unit.attribution for unit in explanation.units])
        top = np.flatnonzero(values >= values.max() - 1e-9)
        self.first.append(float(np.isin(top, known).mean()))
        named = {place for place, unit in enumerate(explanation.units) if unit.significant and unit.attribution > 0.0}
        self.every.append(named >= set(known))
        results = {call.chat.messages[place].text.strip() for place in call.results}
        self.accused.append(any(explanation.units[place].text.strip() in results for place in named - set(known)))

    def _cover(self, explanation: PromptExplanation, known: list[int]) -> None:
        value = truth(self.case, self.noise)
        for place, unit in enumerate(explanation.units):
            right = value if place in known else 0.0
            held = unit.low is not None and unit.high is not None and unit.low - 1e-9 <= right <= unit.high + 1e-9
            (self.drivers if place in known else self.idle).append(held)

    def row(self, way: str) -> dict[str, object]:
        """A line of the table."""
        shares = {
            "first": self.first, "all": self.every, "accused": self.accused, "verdict": self.right,
            "wrong": self.wrong, "drivers": self.drivers, "idle": self.idle,
        }  # fmt: skip
        means = {name: float(np.mean(found)) if found else None for name, found in shares.items()}
        return {"way": way, "noise": self.noise, "case": self.case, "calls": len(self.first), **means}


def asked(case: Case, model: str, number: int, seed: int = SEED) -> tuple[PromptExplanation, PlantedCall]:
    """One call as `whygen why` explains it."""
    call = planted(case, number, seed)
    recorded = Call(chat=call.chat, answer=call.answer, model=f"planted/{model}")
    return whygen.explain_prompt(None, recorded, budget=BUDGET, seed=number, cache=None, interactions=0), call


def left_out(case: Case, model: str, number: int, seed: int = SEED) -> tuple[PromptExplanation, PlantedCall]:
    """One call by leave-one-out, with as many draws as the budget allows."""
    call = planted(case, number, seed)
    recorded = Call(chat=call.chat, answer=call.answer, model=f"planted/{model}")
    units = len([message for message in call.chat.messages if message.text]) + len(call.chat.tools) - 1
    found = whygen.explain_prompt(
        None, recorded, budget=BUDGET, estimand="loo", draws=max(1, (BUDGET - 3) // units), suspect=None, sets=None,
        seed=number, cache=None,
    )  # fmt: skip
    return found, call


def cell(case: Case, model: str, way: str, seed: int = SEED) -> dict[str, object]:
    """All calls of one cell."""
    found = Cell(case, NOISE[model])
    for number in range(CALLS[case]):
        if way == "why":
            found.add(*asked(case, model, number, seed))
        else:
            found.add_loo(*left_out(case, model, number, seed))
    return found.row(way)


def contract(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """The figures of the contract, for each noise; counts with Wilson's intervals."""
    lines: list[dict[str, object]] = []
    for noise in NOISE.values():
        own = [row for row in rows if row["way"] == "why" and row["noise"] == noise]
        if len(own) < len(RIGHT):
            continue
        by_case = {str(row["case"]): row for row in own}
        clean = by_case["user"]
        low, high = wilson(round(_share(clean, "accused") * CALLS["user"]), CALLS["user"])
        lines.append({
            "noise": noise, "calls": sum(CALLS.values()), "first": _over_calls(own, "first"),
            "redundant: both": _share(by_case["redundant"], "all"), "clean: accused": _share(clean, "accused"),
            "low": low, "high": high, "cover drivers": _over_calls(own, "drivers"),
            "cover idle": _over_calls(own, "idle"),
        })  # fmt: skip
    return lines


def _share(row: dict[str, object], name: str) -> float:
    return float(str(row[name]))


def _over_calls(rows: list[dict[str, object]], name: str) -> float:
    """Mean of a share over the calls of several cells."""
    return float(np.average([_share(row, name) for row in rows], weights=[int(str(row["calls"])) for row in rows]))


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False, seed: int = SEED) -> None:
    del data
    name = "agent" if seed == SEED else f"agent_{seed}"
    kept = Rows(name, minutes=minutes, fresh=fresh)
    rows: list[dict[str, object]] = []
    for way in ("why", "loo"):
        for model in NOISE:
            for case in RIGHT:
                row = kept.get(f"{way} {model} {case}", lambda c=case, m=model, w=way: cell(c, m, w, seed))
                if row is not None:
                    rows.append(row)
    print(record.table(rows))
    figures = contract(rows)
    if figures:
        print(record.table(figures))
    record.write(name, {"rows": rows, "contract": figures}, seed=seed)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="of the calls; another than 17 gives calls that are new")
    main(**vars(parser.parse_args()))
