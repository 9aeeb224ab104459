"""`Why`: what the parts of a recorded call had to do with the action that was taken, in counts and in sentences."""

from __future__ import annotations

from typing import Literal, TypeAlias

from whygen.results.records import Figure, Record, Text


class Rate(Record):
    """So many of so many answers took the action, with Wilson's 95% interval of the share."""

    taken: int
    drawn: int
    low: float
    high: float


class PartTest(Record):
    """Whether a part had a say in the action.

    Attributes:
        unit: place of the part among the units of the explanation.
        name: as people call it, such as ``tool result 3``.
        suspect: whether it came from outside: a tool's result, retrieved text, or what a person named.
        p_value: of its having none, one-sided; None where the answers were no choice of yes or no.
        named: whether it had one, after false-discovery control at 5% over the parts of its kind: the suspects, and the
            request's own.
        without: answers that took the action where this part was left out and a named suspect was kept, of the
            request's own parts alone; where nothing is named, of every part.
    """

    unit: int
    name: Text
    suspect: bool
    p_value: Figure
    named: bool
    without: Rate | None = None


class CallRecord(Record):
    """Where an explanation of a recorded call comes from; what was sent stands in the explanation itself.

    Attributes:
        protocol: whose form it had.
        model: that it names, as a URI; None where it names none.
        origin: where it was read, for people.
        recorded: whether it held the answer: what is explained is that answer then, whatever the model says now.
        reason: why its target was chosen; empty where a person chose it.
    """

    protocol: str
    model: Text | None = None
    origin: Text = ""
    recorded: bool = False
    reason: Text = ""


Verdict: TypeAlias = Literal["suspects", "request", "both", "either", "open", "untold", "nothing"]
"""Who made the model act: the ``suspects`` without the request's own parts, the ``request`` alone, ``both`` together,
``either`` by itself; a suspect, with what the request did left ``open``; nobody that could be told at this budget
(``untold``); or there is no action to explain (``nothing``)."""


Together: TypeAlias = Literal["one", "each", "all", "open"]
"""How several accused parts hang together: there is one at most; each is enough; all are needed; or it is open."""


class Why(Record):
    """What made the model act as it did.

    Attributes:
        action: what is explained, in words.
        verdict: who made it.
        sentences: the same for people, the first says most.
        whole: fresh answers to the whole request that took the action.
        empty: answers that took it where no part was sent.
        together: how several accused parts hang together.
        kept: answers that took it where the accused parts were sent, and others at random; None without any.
        alone: answers that took it where the accused parts were sent and nothing else that could be left out; None
            where that was not asked.
        masked: all answers to requests with parts taken away that took it; None in records of before it was kept.
        missing: answers that took it where none of the named parts was sent.
        parts: every part, in the order of the units.
        shown: samples that show it: a pair of answers with and without what was named; empty where there is none.
    """

    action: Text
    verdict: Verdict
    sentences: tuple[Text, ...]
    whole: Rate
    together: Together = "one"
    empty: Rate | None = None
    kept: Rate | None = None
    alone: Rate | None = None
    masked: Rate | None = None
    missing: Rate | None = None
    parts: tuple[PartTest, ...]
    shown: tuple[int, ...] = ()

    @property
    def comes_anyway(self) -> bool:
        """Whether the action comes without all that is named as well, in more than half of the answers."""
        return self.missing is not None and self.missing.low > 0.5

    @property
    def accused(self) -> tuple[PartTest, ...]:
        """The suspects that had a say, the surest first."""
        named = [part for part in self.parts if part.suspect and part.named]
        return tuple(sorted(named, key=lambda part: part.p_value or 0.0))
