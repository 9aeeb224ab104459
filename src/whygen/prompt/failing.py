"""What prompts that fail have in common: a unit without which no call succeeds ends a run before its budget is spent.

A service may refuse every prompt that lacks its delimiter, and a function may raise without the field it looks for.
Masks leave each unit out of half the prompts: then no pair of masks is ever answered, however many are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whygen.calls import End
from whygen.prompt.units import Sent, Units, shown
from whygen.texts import counted
from whygen.types import Failure, Output, Request

FEWEST: Final = 6
"""Failures that are needed before a unit is blamed."""
CHANCE: Final = 0.01
"""Probability at most that failures which have nothing to do with any unit look as if they had."""
HOPELESS: Final = 12
"""Failures after which a run ends, if more prompts failed than were answered."""


@dataclass(slots=True)
class Failing:
    """Hears the answers to perturbed prompts, and ends a run that cannot be saved; a `whygen.calls.runner.Watch`."""

    units: Units
    _names: tuple[str, ...] = ()
    _failed: set[Sent] = field(default_factory=set[Sent])
    _answered: set[Sent] = field(default_factory=set[Sent])
    _first: Failure | None = None
    _heard: list[tuple[Sent, bool]] = field(default_factory=list[tuple[Sent, bool]])
    """Prompts that were not looked at yet, and whether each failed."""
    _shared: dict[bool, NDArray[np.bool_]] = field(init=False)
    """Which names all failing prompts, and no answered one, lack (True) or have (False)."""

    def __post_init__(self) -> None:
        self._names = tuple(dict.fromkeys(self.units.texts))
        self._shared = {lacks: np.ones(len(self._names), dtype=bool) for lacks in (True, False)}

    def __call__(self, request: Request, answer: Output | Failure) -> End | None:
        """Why to send nothing more; None to go on."""
        prompt = request.prompt
        if isinstance(answer, Output) or answer.kind == "refused":
            self._answered.add(prompt)
            self._heard.append((prompt, False))
            return None
        self._failed.add(prompt)
        self._heard.append((prompt, True))
        self._first = self._first or answer
        blamed = self._blamed()
        hopeless = len(self._failed) >= HOPELESS and len(self._failed) > len(self._answered)
        return self._end(self._first, blamed) if blamed or hopeless else None

    def _narrow(self) -> None:
        """Find the names that still tell failing prompts from the others; those that do not are not looked for again.

        Only once that many failed that a unit may be blamed: a long prompt has thousands of names, and looking for
        them in each prompt took half the time of a run.
        """
        whole = shown(self.units.prompt)
        for sent, failed in self._heard:
            prompt, open_ = shown(sent), self._shared[True] | self._shared[False]
            fewer = [prompt.count(name) < whole.count(name) for name in compress(self._names, open_)]
            lacks = np.array(fewer, dtype=bool)
            self._shared[True][open_] &= lacks == failed
            self._shared[False][open_] &= lacks != failed
        self._heard.clear()

    def _blamed(self) -> str:
        """The units that tell failing prompts from answered ones; nothing where that may be chance."""
        # Masks come in pairs, one with and one without a unit: a pair is one toss of a coin, not two.
        tosses = max(len(self._failed), len(self._answered))
        if len(self._failed) < FEWEST or 2 * len(self._names) * 0.5**tosses > CHANCE:
            return ""
        self._narrow()
        for lacks, word in ((True, "lack"), (False, "have")):
            found = list(compress(self._names, self._shared[lacks]))
            if found and (self._answered or lacks):
                return f"All of them {word} {listed(found)}, and no prompt that was answered does."
        return ""

    def _end(self, first: Failure, blamed: str) -> End:
        passes = first.kind in {"transient", "rate_limit"} and not blamed
        count = f"{len(self._failed)} of {len(self._failed) + len(self._answered)} perturbed prompts failed."
        advice = first.advice if passes else _advice(blamed)
        text = " ".join(part for part in (first.said, count, blamed, advice) if part)
        return End("failures", text, again=passes)


def listed(names: Sequence[str]) -> str:
    """At most three texts in quotes, shortened."""
    short = [name if len(name) <= 40 else f"{name[:39]}…" for name in names]
    more = f" and {len(short) - 3} more" if len(short) > 3 else ""
    return ", ".join(map(repr, short[:3])) + more


def cause(failures: Sequence[Failure]) -> str:
    """Why calls failed, and what helps; running again is advised only where it can."""
    if not failures:
        return ""
    first = next((failure for failure in failures if failure.kind == "permanent"), failures[0])
    lasting = all(failure.kind == "permanent" for failure in failures)
    again = "" if lasting else " Answers are recorded: run again to ask for the missing ones."
    return f"{counted(len(failures), 'call')} failed; the first: {first.sentence}{again}"


def _advice(blamed: str) -> str:
    if blamed.startswith("All of them lack"):
        return "Pin it (--pin, pin=), so that it is always sent; or mend what fails without it."
    if blamed:
        return "Use other units (--units), or mend what fails with it."
    return "Pin what keeps the prompt valid (--pin, pin=), keep more of it (--keep 0.9), or use coarser units."
