"""The fewest units whose removal changes the answer, and the fewest that keep it, read from recorded calls.

Among the masks that were asked, those that did it are compared by inclusion; none that contains another is shown.
With a few further calls a set is shrunk: units go out of it, weakest attribution first, in halving chunks, as long as
what is left still does it (the reduction to a complement of Zeller and Hildebrandt 2002, section 3). That supposes
nothing of the model, neither that units act alone nor that more of them do more; a set is called minimal only where
every set of one unit less was tried, and failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.results.records import AnswerSets, UnitSet
from whygen.types import Effects, Masks

Mask: TypeAlias = NDArray[np.bool_]

SHOWN = 3
"""Sets that are shown of each kind, when no further call is made."""

ROUNDING = 1e-6
"""Effects that differ by less, as a share of f(1) or of 1, are the same: encoders are exact to that only."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made: its effect (NaN if it failed), what was sent, what came back, and its row of evidence."""

    effect: float
    prompt: str
    output: str
    row: int | None = None


Ask: TypeAlias = Callable[[Masks], Sequence[Call]]
"""Makes one call for each mask."""

Kind: TypeAlias = Literal["changing", "keeping"]
"""Members of a changing set are taken away together; those of a keeping set are sent alone."""


def changed_below(effects: Effects, repeats: Effects) -> float:
    """The effect under which an answer counts as changed: half way from f(1) to the median mask, and under all repeats.

    For a target that agrees or not, that is "the answer differs" (or, in more than half of the draws); for a distance,
    "further than half of what the masks do", which needs no number of the user's. Nothing that a repeat of the whole
    prompt does by itself counts as a change.
    """
    whole, worst = float(np.mean(repeats)), float(np.min(repeats))
    half_way = whole - max(0.0, whole - float(np.median(effects))) / 2.0
    return min(half_way, worst - ROUNDING * max(1.0, abs(worst)))


RULE = "half way from f(1) to the median of the masks, and under every repeat of the whole prompt"


@dataclass(slots=True)
class _Search:
    """What is known of masks, and how many further calls may be made to know more."""

    kind: Kind
    threshold: float
    known: dict[bytes, Call]
    ask: Ask | None = None
    left: int = 0
    made: int = field(default=0)

    def mask(self, members: Mask) -> Mask:
        return ~members if self.kind == "changing" else members

    def tried(self, members: Mask) -> bool:
        """Whether a set is known to do it, after a call if that is not known and can be paid for."""
        mask = self.mask(members)
        if mask.tobytes() not in self.known and self.ask is not None and self.left > 0:
            self.left, self.made = self.left - 1, self.made + 1
            self.known[mask.tobytes()] = self.ask(mask[None, :])[0]
        return self.does_it(members) is True

    def does_it(self, members: Mask) -> bool | None:
        """Whether a set changes (or keeps) the answer; None where that is not known."""
        call = self.known.get(self.mask(members).tobytes())
        if call is None or np.isnan(call.effect):
            return None
        return (call.effect < self.threshold) == (self.kind == "changing")

    def observed(self, n: int) -> list[Mask]:
        """Sets that did it in known calls, fewest units first, then the clearest; none contains another."""
        sets = [self.mask(np.frombuffer(key, dtype=bool)) for key in self.known]
        doing = [members for members in sets if members.sum() < n + (self.kind == "changing") and self.does_it(members)]
        doing.sort(key=lambda members: (int(members.sum()), self._unclear(members), np.flatnonzero(members).tolist()))
        minimal: list[Mask] = []
        for members in doing:
            if not any((kept & ~members).sum() == 0 for kept in minimal):
                minimal.append(members)
        return minimal

    def _unclear(self, members: Mask) -> float:
        effect = self.known[self.mask(members).tobytes()].effect
        return effect if self.kind == "changing" else -effect

    def shrunk(self, members: Mask, strength: Effects) -> Mask:
        """Fewer of the units, as long as what is left does it and calls are left; the weakest go first."""
        size = max(1, int(members.sum()) // 2)
        while True:
            smaller = next((less for less in _without(members, strength, size) if self.tried(less)), None)
            if smaller is not None:
                members, size = smaller, max(1, min(size, int(smaller.sum()) // 2))
            elif size == 1:
                return members
            else:
                size = size // 2

    def is_minimal(self, members: Mask) -> bool:
        """Whether each set of one unit less is known not to do it; a set of no unit has none."""
        return all(self.does_it(less) is False for less in _without(members, members.astype(np.float64), 1))


def _without(members: Mask, strength: Effects, size: int) -> Iterator[Mask]:
    """The set without each chunk of ``size`` of its units, the weakest chunk first."""
    units = np.flatnonzero(members)
    units = units[np.argsort(strength[units], kind="stable")]
    for start in range(0, len(units), size):
        less = members.copy()
        less[units[start : start + size]] = False
        yield less


def _beginnings(strength: Effects, below: int) -> Iterator[Mask]:
    """The strongest unit, the two strongest, four, eight ...: fewer than ``below``."""
    order = np.argsort(-strength, kind="stable")
    size = 1
    while size < below:
        members = np.zeros(len(strength), dtype=bool)
        members[order[:size]] = True
        yield members
        size *= 2


def answer_sets(
    masks: Masks,
    calls: Sequence[Call],
    repeats: Effects,
    *,
    texts: Sequence[str],
    strength: Effects | None = None,
    threshold: float | None = None,
    ask: Ask | None = None,
    budget: int = 0,
) -> AnswerSets:
    """The fewest units whose removal changes the answer, and the fewest that keep it.

    Args:
        masks: that were asked, shape ``(m, n)``.
        calls: their calls.
        repeats: effects of repeats of the whole prompt.
        texts: the units, n of them.
        strength: attributions ``(n,)``: what is tried first, with further calls; they decide nothing else.
        threshold: an effect under it is a changed answer; `changed_below` by default.
        ask: makes further calls that shrink the fewest of each kind; None reads what was recorded.
        budget: further calls at most; changing sets take half of them, and keeping sets what is left.
    """
    effects = np.array([call.effect for call in calls], dtype=np.float64)
    below = changed_below(effects[np.isfinite(effects)], repeats) if threshold is None else threshold
    known = {mask.tobytes(): call for mask, call in zip(masks, calls, strict=True)}
    every = np.ones(len(texts), dtype=bool)
    known.setdefault(every.tobytes(), Call(float(np.mean(repeats)), "", ""))  # f(1): never shown, never asked
    force = np.zeros(len(texts)) if strength is None else strength
    changing = _Search("changing", below, known, ask, budget // 2)
    changes = _found(changing, force, texts)
    keeping = _Search("keeping", below, known, ask, budget - changing.made)
    keeps = _found(keeping, force, texts)
    return AnswerSets(
        threshold=below,
        rule=RULE if threshold is None else "given",
        changing=changes,
        keeping=keeps,
        calls=changing.made + keeping.made,
    )


def _found(search: _Search, strength: Effects, texts: Sequence[str]) -> tuple[UnitSet, ...]:
    """The sets of one kind: the fewest of those observed, after calls have shrunk them where calls may be made."""
    n = len(texts)
    if search.ask is not None and search.left > 0:
        start = _start(search, strength)
        if start is not None:
            search.shrunk(start, strength)
        _shrink_the_others(search, strength)
    return tuple(_shown(search, members, texts) for members in search.observed(n)[:SHOWN])


def _shrink_the_others(search: _Search, strength: Effects) -> None:
    """The next sets in their turn, as long as calls are left: each becomes minimal, or gives way to a smaller one."""
    done: set[bytes] = set()
    while search.left > 0:
        shown = search.observed(len(strength))[:SHOWN]
        todo = [members for members in shown if members.tobytes() not in done and not search.is_minimal(members)]
        if not todo:
            return
        done.add(todo[0].tobytes())
        search.shrunk(todo[0], strength)


def _start(search: _Search, strength: Effects) -> Mask | None:
    """The smallest set that does it: of those observed, or a few of the strongest units; else all units."""
    n = len(strength)
    known = search.observed(n)
    below = int(known[0].sum()) if known else n
    for members in _beginnings(strength, below):
        if search.tried(members):
            return members
    if known:
        return known[0]
    every = np.ones(n, dtype=bool)
    return every if search.kind == "keeping" or search.tried(every) else None


def _shown(search: _Search, members: Mask, texts: Sequence[str]) -> UnitSet:
    units = tuple(np.flatnonzero(members).tolist())
    call = search.known[search.mask(members).tobytes()]
    return UnitSet(
        units=units,
        texts=tuple(texts[unit] for unit in units),
        effect=call.effect,
        row=call.row,
        prompt=call.prompt,
        output=call.output,
        minimal=search.is_minimal(members),
    )
