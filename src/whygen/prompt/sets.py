"""Few units whose removal changes the answer, and few that keep it, read from recorded calls.

Among the masks that were asked, those that did it are compared by inclusion; none that contains another is shown.
With a few further calls a set is shrunk: units go out of it, weakest attribution first, in halving chunks, as long as
what is left still does it (the reduction to a complement of Zeller and Hildebrandt 2002, section 3). That supposes
nothing of the model, neither that units act alone nor that more of them do more.

A set is called minimal only where it is decided that it does it, and that every set of one unit less does not; the
fewest only where every smaller set is decided. Where the model samples, each of these is a sequential test of its own
(see `decided`), their errors share `ERROR`, and calls that are left go there; what they do not reach is neither.

A set does it where more than half of its answers would. Draw by draw that is a sequential test of a share against one
half, and it may be looked at after every call: the likelihood ratio of a mixture against one half exceeds 1 / a at any
time with a chance of at most a (Ville's inequality; Robbins 1970, Annals of Mathematical Statistics 41:1397-1409).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, betaln

from whygen.prompt.noise import Steadiness
from whygen.prompt.units import Sent, shown
from whygen.results.records import AnswerSets, UnitSet
from whygen.types import Floats, Masks

Mask: TypeAlias = NDArray[np.bool_]

SHOWN = 3
"""Sets that are shown of each kind, when no further call is made."""

ROUNDING = 1e-6
"""Effects that differ by less, as a share of f(1) or of 1, are the same: encoders are exact to that only."""

ERROR = 0.02
"""Chance with which a set that is not minimal is called so, where the model samples. Where its answers are near a coin
few sets are decided, and of those under 5% are to be wrong."""

LONGEST = 80
"""Calls of one set at most: what is not decided by then is near one half, and stays open."""

ODD_REPEATS = 0.25
"""Share of repeats of the whole prompt that may count as a change by themselves."""


@dataclass(frozen=True, slots=True)
class SetCall:
    """A call that was made: its effect (NaN if it failed), what was sent, what came back, and its row of evidence."""

    effect: float
    prompt: Sent
    output: str
    row: int | None = None


Ask: TypeAlias = Callable[[Masks], Sequence[SetCall]]
"""Makes one call for each mask."""

Kind: TypeAlias = Literal["changing", "keeping"]
"""Members of a changing set are taken away together; those of a keeping set are sent alone."""


def changed_below(effects: Floats, repeats: Floats) -> float:
    """The effect under which an answer counts as changed: half way from f(1) to the median mask, and under the repeats.

    For a target that agrees or not, that is "the answer differs"; for a distance, "further than half of what the masks
    do", which needs no number of the user's. What repeats of the whole prompt do by themselves is no change; but up to
    `ODD_REPEATS` of them may be odd answers of a model that samples.
    """
    whole = float(np.mean(repeats))
    half_way = whole - max(0.0, whole - float(np.median(effects))) / 2.0
    like = repeats[repeats >= half_way] if np.mean(repeats < half_way) <= ODD_REPEATS else repeats
    worst = float(np.min(like))
    return min(half_way, worst - ROUNDING * max(1.0, abs(worst)))


RULE = "half way from f(1) to the median of the masks, and under the repeats of the whole prompt"


@dataclass(slots=True)
class _Search:
    """What is known of masks, and how many further calls may be made to know more."""

    kind: Kind
    threshold: float
    known: dict[bytes, list[SetCall]]
    steady: Steadiness
    ask: Ask | None = None
    left: int = 0
    made: int = field(default=0)

    def mask(self, members: Mask) -> Mask:
        return ~members if self.kind == "changing" else members

    def calls(self, members: Mask) -> list[SetCall]:
        """The answered calls of a set, in order."""
        return [call for call in self.known.get(self.mask(members).tobytes(), ()) if not np.isnan(call.effect)]

    def does(self, members: Mask) -> list[bool]:
        """Of each of these calls, whether the set did it."""
        return [(call.effect < self.threshold) == (self.kind == "changing") for call in self.calls(members)]

    def call(self, members: Mask) -> bool:
        """Make one more call for a set, if it can be paid for."""
        if self.ask is None or self.left <= 0:
            return False
        self.left, self.made = self.left - 1, self.made + 1
        mask = self.mask(members)
        self.known.setdefault(mask.tobytes(), []).append(self.ask(mask[None, :])[0])
        if self.steady == "so far" and len(set(self.does(members))) > 1:
            self.steady = "differs"
        return True

    def leans(self, members: Mask) -> bool | None:
        """Whether a set does it as far as calls say."""
        return leaning(self.does(members))

    def is_decided(self, members: Mask, *, error: float) -> bool | None:
        """Whether a set does it, but for a chance of ``error``; None where that is open."""
        return decided(self.does(members), steady=self.steady, error=error)

    def tried(self, members: Mask) -> bool:
        """Whether a set seems to do it, after a call or two if that is not known and can be paid for.

        A model that is not known to be steady has to do it twice, and more often than not.
        """
        if self.mask(members).tobytes() not in self.known:
            self.call(members)
        while self.steady != "known" and self.leans(members) is not False and len(self.does(members)) < 3:
            if sum(self.does(members)) >= 2 or not self.call(members):
                break
        return self.leans(members) is True

    def observed(self, n: int) -> list[Mask]:
        """Sets that did it more often than not, fewest units first, then the clearest; none contains another.

        Where the model samples, those that are decided go before: a set that did it once may have done it by chance.
        """
        sets = [self.mask(np.frombuffer(key, dtype=bool)) for key in self.known]
        doing = [members for members in sets if members.sum() < n + (self.kind == "changing") and self.leans(members)]
        doing.sort(key=lambda members: (self._doubt(members), int(members.sum()), self._unclear(members),
                                        np.flatnonzero(members).tolist()))  # fmt: skip
        minimal: list[Mask] = []
        for members in doing:
            if not any(_contains(members, kept) or _contains(kept, members) for kept in minimal):
                minimal.append(members)
        return minimal

    def _doubt(self, members: Mask) -> int:
        """0 where a set is decided, 1 where it did it more than once, else 2; always 0 for a steady model."""
        if self.steady == "known" or self.is_decided(members, error=ERROR):
            return 0
        return 1 if sum(self.does(members)) > 1 else 2

    def _unclear(self, members: Mask) -> float:
        effect = float(np.mean([call.effect for call in self.calls(members)]))
        return effect if self.kind == "changing" else -effect

    def shrunk(self, members: Mask, strength: Floats) -> Mask:
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

    def tested(self, members: Mask) -> None:
        """Call a set and all of one unit less, until each is decided, one turns out otherwise, or no call is left."""
        error = _each(members)
        for one, should in ((members, True), *((less, False) for less in _one_less(members))):
            while self.is_decided(one, error=error) is None and len(self.does(one)) < LONGEST:
                if not self.call(one) or self.leans(one) is (not should):
                    break
            if self.is_decided(one, error=error) is not should:
                return

    def is_minimal(self, members: Mask) -> bool | None:
        """Whether it is decided that a set does it and those of one unit less do not; a set of no unit has none."""
        error = _each(members)
        less = [self.is_decided(one, error=error) for one in _one_less(members)]
        sure = self.is_decided(members, error=error) is True and all(each is False for each in less)
        return True if sure else None

    def is_fewest(self, members: Mask, n: int) -> bool:
        """Whether it is minimal, and it is decided of every smaller set that it does not do it."""
        size = int(members.sum())
        smaller = sum(math.comb(n, k) for k in range(size))
        if not self.is_minimal(members) or smaller > len(self.known):
            return False
        sets = (self.mask(np.frombuffer(key, dtype=bool)) for key in self.known)
        error = ERROR / (smaller + 1)
        found = [self.is_decided(each, error=error) for each in sets if each.sum() < size]
        return len(found) == smaller and all(each is False for each in found)


def _each(members: Mask) -> float:
    """The error of each decision that a minimal set rests on: of itself, and of each set of one unit less."""
    return ERROR / (int(members.sum()) + 1)


def _contains(members: Mask, others: Mask) -> bool:
    return not (others & ~members).any()


def _one_less(members: Mask) -> Iterator[Mask]:
    return _without(members, members.astype(np.float64), 1)


def _without(members: Mask, strength: Floats, size: int) -> Iterator[Mask]:
    """The set without each chunk of ``size`` of its units, the weakest chunk first."""
    units = np.flatnonzero(members)
    units = units[np.argsort(strength[units], kind="stable")]
    for start in range(0, len(units), size):
        less = members.copy()
        less[units[start : start + size]] = False
        yield less


def _beginnings(strength: Floats, below: int) -> Iterator[Mask]:
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
    calls: Sequence[Sequence[SetCall]],
    repeats: Floats,
    *,
    texts: Sequence[str],
    strength: Floats | None = None,
    threshold: float | None = None,
    steady: Steadiness = "known",
    ask: Ask | None = None,
    budget: int = 0,
) -> AnswerSets:
    """Few units whose removal changes the answer, and few that keep it.

    Args:
        masks: that were asked, shape ``(m, n)``.
        calls: the calls of each, in order.
        repeats: effects of repeats of the whole prompt.
        texts: the units, n of them.
        strength: attributions ``(n,)``: what is tried first, with further calls; they decide nothing else.
        threshold: an effect under it is a changed answer; `changed_below` by default.
        steady: whether equal questions get equal answers; a further call that differs from an earlier one settles it.
        ask: makes further calls that shrink sets of each kind and test them; None reads what was recorded.
        budget: further calls at most; changing sets take half of them, and keeping sets what is left.
    """
    effects = np.array([np.mean([call.effect for call in each]) for each in calls], dtype=np.float64)
    below = changed_below(effects[np.isfinite(effects)], repeats) if threshold is None else threshold
    known: dict[bytes, list[SetCall]] = {}
    for mask, each in zip(masks, calls, strict=True):
        known.setdefault(mask.tobytes(), []).extend(each)
    every = np.ones(len(texts), dtype=bool)
    # f(1) is never shown and never asked; its repeats are.
    known.setdefault(every.tobytes(), [SetCall(float(effect), "", "") for effect in (np.mean(repeats), *repeats)])
    force = np.zeros(len(texts)) if strength is None else strength
    changing = _Search("changing", below, known, steady, ask, budget // 2)
    _look(changing, force)
    keeping = _Search("keeping", below, known, changing.steady, ask, budget - changing.made)
    _look(keeping, force)
    changing.steady = keeping.steady
    return AnswerSets(
        threshold=below,
        rule=RULE if threshold is None else "given",
        changing=_found(changing, texts),
        keeping=_found(keeping, texts),
        calls=changing.made + keeping.made,
    )


def _look(search: _Search, strength: Floats) -> None:
    """Shrink and test sets of one kind, where calls may be made."""
    if search.ask is None or search.left <= 0:
        return
    start = _start(search, strength)
    if start is not None:
        search.tested(search.shrunk(start, strength))
    _look_at_the_others(search, strength)


def _found(search: _Search, texts: Sequence[str]) -> tuple[UnitSet, ...]:
    """The sets of one kind: the fewest of those observed."""
    return tuple(_shown(search, members, texts) for members in search.observed(len(texts))[:SHOWN])


def _look_at_the_others(search: _Search, strength: Floats) -> None:
    """The next sets in their turn, as long as calls are left: each is shrunk, and becomes minimal or gives way."""
    while search.left > 0:
        before = search.made
        shown = search.observed(len(strength))[:SHOWN]
        for members in [members for members in shown if not search.is_minimal(members)]:
            if search.tried(members):
                search.tested(search.shrunk(members, strength))
        if search.made == before:  # what is still open is near one half, or failed
            return


def _start(search: _Search, strength: Floats) -> Mask | None:
    """The smallest set that does it: of those observed, or a few of the strongest units; else all units."""
    n = len(strength)
    known = next((members for members in search.observed(n) if search.tried(members)), None)
    below = n if known is None else int(known.sum())
    for members in _beginnings(strength, below):
        if search.tried(members):
            return members
    if known is not None:
        return known
    every = np.ones(n, dtype=bool)
    return every if search.kind == "keeping" or search.tried(every) else None


def _shown(search: _Search, members: Mask, texts: Sequence[str]) -> UnitSet:
    units = tuple(np.flatnonzero(members).tolist())
    calls, does = search.calls(members), search.does(members)
    shows = next(call for call, did in zip(calls, does, strict=True) if did)
    return UnitSet(
        units=units,
        texts=tuple(texts[unit] for unit in units),
        effect=float(np.mean([call.effect for call in calls])),
        row=next((call.row for call in calls if call.row is not None), None),
        prompt=shown(shows.prompt),
        output=shows.output,
        minimal=search.is_minimal(members),
        fewest=search.is_fewest(members, len(texts)),
        asked=len(calls),
        did=sum(does),
    )


AGREEING = 3
"""Answers to one prompt that must agree where a model is steady so far: one odd answer in five deceives three of them
in one prompt of a hundred."""

SHARPLY = 0.95
"""Half of the mixture is a share so far from one half, for models that are odd at times; the other half is uniform."""


def evidence(successes: int, draws: int) -> float:
    """Likelihood ratio of "more than half" against "half" after so many draws, over shares between one half and one.

    Its expected value is at most one where the share is one half or under, after any number of draws that was chosen on
    the way.
    """
    misses = draws - successes
    log_half = -draws * np.log(2.0)
    uniform = np.log(2.0 * betaincc(successes + 1.0, misses + 1.0, 0.5)) + betaln(successes + 1.0, misses + 1.0)
    sharp = successes * np.log(SHARPLY) + misses * np.log1p(-SHARPLY)
    return float(np.exp(np.logaddexp(uniform, sharp) - log_half) / 2.0)


def decided(does: list[bool], *, steady: Steadiness, error: float) -> bool | None:
    """Whether a prompt does it, from its calls in order; None while that is open.

    Args:
        does: of each call; the first may have chosen the prompt among others, so it is no evidence where the model
            samples.
        steady: of the model.
        error: chance of a wrong answer at most.
    """
    if not does:
        return None
    if steady == "known":
        return does[0]
    if steady == "so far" and len(set(does)) == 1:
        return does[0] if len(does) >= AGREEING else None
    fresh = does[1:]
    yes = sum(fresh)
    for said, successes in ((True, yes), (False, len(fresh) - yes)):
        if evidence(successes, len(fresh)) >= 1.0 / error:
            return said
    return None


def leaning(does: list[bool]) -> bool | None:
    """What most calls say; None without a call, and where as many say the one as the other."""
    yes = sum(does)
    return None if 2 * yes == len(does) else 2 * yes > len(does)
