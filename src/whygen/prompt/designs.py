"""Which masks to ask about. Rows of one group (a complement pair, an antithetic pair) stand or fall together.

A design says how its masks were drawn, because the estimators need to know the chance that a unit was kept.
No design pays twice for a mask: rows may repeat only where the law of the design makes them (`bernoulli`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import BudgetError, UnknownNameError
from whygen.prompt.effects import Effects, law_of_number, members_by_size
from whygen.types import Floats, Masks

Repeats: TypeAlias = Literal["shared", "fresh"]
"""Whether a mask that is drawn again shares its answer (a model whose repeats agree), or is asked again."""

Halves: TypeAlias = Literal["complement", "independent"]
"""How the two masks of a group hang together: the second is the complement of the first, or drawn by itself."""
Sizes: TypeAlias = Literal["kernel", "leverage"]
"""The law of the size of a mask that is drawn for Shapley values, see `size_law`."""
LEVEL_BY_LEVEL = "level by level"
"""How the name of a hierarchy's design begins."""
MAX_ENUMERATED = 20
"""Beyond 2^20 masks no budget enumerates; the limit keeps the check free of overflow."""

_SHUFFLED = 2**16
"""Up to so many pairs all are shuffled; beyond, pairs are drawn until enough are distinct."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Masks and how they came about.

    Attributes:
        name: as shown in the report.
        masks: shape ``(m, n)``.
        groups: shape ``(m,)``; equal numbers share a fate in folds, flips and failures.
        keep: the probability that a unit is kept, independently of the others.
        population: number of groups the design draws from without replacement; None when it draws with
            replacement or from too many to matter.
    """

    name: str
    masks: Masks
    groups: NDArray[np.int64]
    keep: float = 0.5
    population: int | None = None
    sizes: NDArray[np.float64] | None = None
    """The chance of each size 1 .. n - 1 of a mask, where the design draws by size."""
    prompts: tuple[str, ...] | None = None
    """What is sent for each mask, where the design says so itself (recorded runs); else the operator renders it."""
    kept: NDArray[np.float64] | None = None
    """The chance of each number of kept units 0 .. n, where masks for Banzhaf values are drawn by that number."""
    drawn_from: float = math.inf
    """How many masks there were to draw from without replacement; infinite where a mask may come again."""
    whole: int = 0
    """So many groups, which come first, are layers that are asked whole."""

    @property
    def enumerated(self) -> bool:
        return self.population is not None and len(np.unique(self.groups)) == self.population

    @property
    def asks_all(self) -> bool:
        """Whether there is no other mask to ask: each of them stands there, or each unit left out."""
        return self.enumerated or self.name == "leave-one-out"

    def observed(
        self, effects: Floats, *, total: float | None = None, nearness: NDArray[np.float64] | None = None
    ) -> Effects:
        """The first ``len(effects)`` masks with their effects."""
        rows = len(effects)
        return Effects(
            self.masks[:rows], effects, self.groups[:rows], self.keep, self.sizes, total, nearness, self.kept,
            self.drawn_from,
        )  # fmt: skip


def fits_enumeration(n: int, calls: int, *, empty: bool = True) -> bool:
    """Whether all 2^n masks (less the pair {0, 1} without ``empty``) fit ``calls``; the full mask costs none."""
    return n <= MAX_ENUMERATED and 2**n - 1 - (not empty) <= calls


def _bits(codes: NDArray[np.int64], n: int) -> Masks:
    return ((codes[:, None] >> np.arange(n)) & 1).astype(bool)


def _paired(first: Masks, name: str, *, population: int | None = None) -> Design:
    """Interleave masks with their partners: rows 2j and 2j + 1 are group j."""
    pairs, n = first.shape
    masks = np.empty((2 * pairs, n), dtype=bool)
    masks[0::2], masks[1::2] = first, ~first
    groups = np.arange(2 * pairs, dtype=np.int64) // 2
    drawn_from = math.inf if population is None else 2.0 * population
    return Design(name=name, masks=masks, groups=groups, population=population, drawn_from=drawn_from)


def enumerated(n: int, *, empty: bool = True) -> Design:
    """All masks, as complement pairs; without ``empty`` the pair {0, 1} is left out. Shape ``(2^n or 2^n - 2, n)``."""
    codes = np.arange(0 if empty else 1, 2 ** (n - 1), dtype=np.int64)
    return _paired(_bits(codes, n), "enumerated", population=len(codes))


def complement_pairs(n: int, pairs: int, rng: np.random.Generator, *, empty: bool = True) -> Design:
    """Distinct complement pairs, uniform over all pairs (keep probability one half). METHODS A1, A2.

    The pairs come in an order that the generator alone decides: a larger number begins with the same pairs, so a raised
    budget asks only for the new ones.

    Args:
        n: number of units.
        pairs: number of pairs; at most all there are.
        rng: the only source of chance.
        empty: whether the pair {no unit, all units} may be drawn.

    Returns:
        A design of ``2 * pairs`` masks.
    """
    lowest = 0 if empty else 1
    population = 2 ** (n - 1) - lowest if n <= MAX_ENUMERATED else None
    if population is not None and population <= _SHUFFLED:
        first = _bits(lowest + rng.permutation(population)[:pairs], n)
    else:
        first = _distinct(n, pairs, rng, empty=empty)
    return _paired(first, "complement pairs", population=population)


def _distinct(n: int, pairs: int, rng: np.random.Generator, *, empty: bool) -> Masks:
    seen: set[bytes] = set() if empty else {np.zeros(n, bool).tobytes()}
    rows: list[NDArray[np.bool_]] = []
    while len(rows) < pairs:
        row = rng.random(n) < 0.5
        row = row if not row[-1] else ~row  # one name for both halves of a pair
        if row.tobytes() not in seen:
            seen.add(row.tobytes())
            rows.append(row)
    return np.array(rows)


def independent(n: int, pairs: int, rng: np.random.Generator, *, empty: bool = True) -> Design:
    """Distinct masks, uniform over all (keep probability one half), two to a group so that the estimators see groups
    of the size they know. METHODS A1; docs/decisions/0007-few-calls.md.

    With fewer pairs than units a complement spends half of the calls on what attributions do not rest on. The masks
    come in an order that the generator alone decides, as those of `complement_pairs` do.

    Args:
        n: number of units.
        pairs: number of groups; at most ``2^(n - 1)``, one less without ``empty``.
        rng: the only source of chance.
        empty: whether the masks of no unit and of all units may be drawn.

    Returns:
        A design of ``2 * pairs`` masks.
    """
    seen: set[bytes] = set() if empty else {np.zeros(n, bool).tobytes(), np.ones(n, bool).tobytes()}
    rows: list[NDArray[np.bool_]] = []
    while len(rows) < 2 * pairs:
        row = rng.random(n) < 0.5
        if row.tobytes() not in seen:
            seen.add(row.tobytes())
            rows.append(row)
    groups = np.arange(2 * pairs, dtype=np.int64) // 2
    masks = np.array(rows, dtype=bool).reshape(-1, n)
    population = 2 ** (n - 1) - (not empty) if n <= MAX_ENUMERATED else None
    return Design(
        name="independent masks",
        masks=masks,
        groups=groups,
        population=population,
        drawn_from=math.inf if population is None else 2.0 * population,
    )


def bernoulli(
    n: int, calls: int, rng: np.random.Generator, *, keep: float, repeats: Repeats = "shared", empty: bool = True
) -> Design:
    """Independent Bernoulli(keep) units with antithetic uniforms: a pair is built from u and 1 - u. METHODS A1.

    At a high ``keep`` short prompts repeat their masks. With ``repeats="shared"`` that costs nothing: pairs are drawn
    until they hold ``calls`` distinct masks (the full one is free), or four times as many rows. With ``"fresh"`` every
    row is asked anew, the full mask too: at a high ``keep`` it fills much of a short prompt's rows, and one estimate of
    f(1) in all of them would be an error that they share.
    """
    rows: list[NDArray[np.bool_]] = []
    paid: set[bytes] = set()
    full, none = np.ones(n, bool).tobytes(), np.zeros(n, bool).tobytes()
    cost = 0
    while len(rows) < 4 * calls:
        uniform = rng.random(n)
        pair = (uniform < keep, (1.0 - uniform) < keep)
        keys = {mask.tobytes() for mask in pair} - {full}
        if not empty and none in keys:
            continue
        cost += len(pair) if repeats == "fresh" else len(keys - paid)
        if cost > calls:
            break
        paid |= keys
        rows.extend(pair)
    return Design(
        name=f"Bernoulli({keep:g}), antithetic",
        masks=np.array(rows, dtype=bool).reshape(-1, n),
        groups=np.arange(len(rows), dtype=np.int64) // 2,
        keep=keep,
    )


def size_law(n: int, sizes: Sizes) -> NDArray[np.float64]:
    """The chance of each size 1 .. n - 1 of a mask, shape ``(n - 1,)``.

    ``kernel`` is proportional to ``1 / (s (n - s))``, the Shapley kernel (Lundberg and Lee 2017, NeurIPS, Theorem 2).
    ``leverage`` is the same for all sizes: a mask is as probable as its leverage score in the regression that defines
    Shapley values (Musco and Witter 2024, arXiv 2410.01917, Lemma 3.2).

    Raises:
        UnknownNameError: if there is no such law.
    """
    size = np.arange(1, n)
    laws = {"kernel": 1.0 / (size * (n - size)), "leverage": np.ones(n - 1)}
    if sizes not in laws:
        raise UnknownNameError("law of sizes", sizes, laws)
    return laws[sizes] / laws[sizes].sum()


def by_size(
    n: int,
    calls: int,
    rng: np.random.Generator,
    *,
    repeats: Repeats = "shared",
    sizes: Sizes = "leverage",
    halves: Halves = "complement",
) -> Design:
    """Masks in twos whose size is drawn from a `size_law`: complement pairs, or two of their own. METHODS A1, A2.

    The leverage law is the default: over the planted families and N = 64 .. 512 its squared error is 23% lower at 60
    units, 8% lower at 24, the same at 12 and 7% higher at 8 (benchmarks/results/sizes.json,
    docs/decisions/0004-designs.md).

    They are drawn with replacement. With ``repeats="shared"`` a repeated mask costs nothing: masks are drawn until they
    hold ``calls`` distinct ones, or four times as many rows. With ``"fresh"`` every row is asked anew. The empty and
    the full mask are a stratum of their own and not in the design.
    """
    law = size_law(n, sizes)
    rows: list[NDArray[np.bool_]] = []
    paid: set[bytes] = set()
    while len(rows) < 4 * calls:
        first = _of_some_size(n, law, rng)
        second = ~first if halves == "complement" else _of_some_size(n, law, rng)
        paid |= {first.tobytes(), second.tobytes()}
        if (len(rows) + 2 if repeats == "fresh" else len(paid)) > calls:
            break
        rows += [first, second]
    name = f"{'complement pairs' if halves == 'complement' else 'independent masks'} by size ({sizes})"
    groups = np.arange(len(rows), dtype=np.int64) // 2
    return Design(name=name, masks=np.array(rows, dtype=bool).reshape(-1, n), groups=groups, sizes=law)


LAYERED, NUMBERED = "complement pairs by size (layers)", "masks by number of units left out"
"""Names of designs by layers: the chance of each size is that with which it came."""

OUTER = 2.0
"""The outermost layer is asked whole where its share of the calls would pay for half of it: one of its masks alone
tells what a unit does by itself (or what is lost without it), and weighs most."""

FEWEST_DRAWN = 8
"""So many groups at least are left for the layers that are not asked whole."""


class Layers(NamedTuple):
    """How many groups of each layer are asked; a layer is all masks (or complement pairs) of one size.

    Attributes:
        whole: the layers of which all are asked, shape ``(layers,)``.
        expected: of each of the others the expected number, shape ``(layers,)``.
    """

    whole: NDArray[np.bool_]
    expected: NDArray[np.float64]


def layers_for(share: NDArray[np.float64], members: NDArray[np.float64], groups: int) -> Layers:
    """Which layers, from the outermost on, are asked whole, and how the other groups are shared out. METHODS A1.

    A layer is whole where its share of what is left would pay for it, the outermost where it would pay for half of it
    (`OUTER`), as long as `FEWEST_DRAWN` groups are left for the others (docs/decisions/0009-shapley-and-keep.md).

    Args:
        share: how much each layer should get, shape ``(layers,)``, in any unit.
        members: groups in each layer, shape ``(layers,)``.
        groups: to share out.
    """
    if groups >= members.sum():
        return Layers(np.ones(len(share), dtype=bool), np.zeros(len(share)))
    whole = np.zeros(len(share), dtype=bool)
    left = float(groups)
    for layer in range(len(share) - 1):
        paid = share[layer] / share[layer:].sum() * left * (OUTER if layer == 0 else 1.0)
        others = float(members[layer + 1 :].sum())
        if paid < members[layer] or left - members[layer] < min(FEWEST_DRAWN, others):
            break
        whole[layer] = True
        left -= float(members[layer])
    rest = np.where(whole, 0.0, share)
    return Layers(whole, _capped(rest / rest.sum() * left, np.where(whole, 0.0, members)))


def _capped(expected: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same in all, with no layer over what it has: what it cannot take goes to the others, in proportion."""
    total = float(expected.sum())
    for _ in range(len(expected)):
        over = expected >= members
        if not (expected > members).any():
            break
        room = np.where(over, 0.0, expected)
        left = total - float(members[over].sum())
        expected = np.where(over, members, room * (left / room.sum() if room.any() else 0.0))
    return expected


def _systematic(expected: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Whole numbers of this mean, each off by less than one, with the same sum (but for rounding), ``(layers,)``."""
    edges = np.floor(np.concatenate([[0.0], np.cumsum(expected)]) + rng.random())
    edges[-1] = edges[0] + round(float(expected.sum()))
    return np.maximum(np.diff(edges), 0.0).astype(np.int64)


def _subsets(n: int, size: int, count: int, rng: np.random.Generator) -> Masks:
    """``count`` distinct masks of a size in random order; a larger number begins with the same ones."""
    if math.comb(n, size) <= min(_SHUFFLED, 8 * count):
        every = np.array(list(itertools.combinations(range(n), size)), dtype=np.int64).reshape(-1, size)
        masks = np.zeros((len(every), n), dtype=bool)
        np.put_along_axis(masks, every, True, axis=1)
        return masks[rng.permutation(len(every))[:count]]
    found: dict[bytes, NDArray[np.bool_]] = {}
    while len(found) < count:
        mask = np.zeros(n, dtype=bool)
        mask[rng.choice(n, size=size, replace=False)] = True
        found.setdefault(mask.tobytes(), mask)
    return np.array(list(found.values()), dtype=bool).reshape(-1, n)


def by_layers(n: int, calls: int, rng: np.random.Generator) -> Design:
    """Complement pairs for Shapley values, layer by layer of their size, without replacement. METHODS A1, A2.

    The layers of the smallest and largest sizes weigh most and have few masks: they are asked whole where the calls
    reach (`layers_for`). The others get numbers in proportion to ``1 / sqrt(s (n - s))``, which is Neyman's (1934)
    allocation where a surrogate misses masks of all sizes alike. The empty and the full mask are a stratum of their own
    and not in the design.

    Args:
        n: number of units, at least 3.
        calls: for masks.
        rng: the only source of chance.
    """
    size, members, layers = _layers_of_pairs(n, calls)
    streams = rng.spawn(len(size))
    counts = np.where(layers.whole, members, _systematic(layers.expected, rng)).astype(np.int64)
    first = [_first_halves(n, int(s), int(count), own) for s, count, own in zip(size, counts, streams, strict=True)]
    masks = _shuffled_after(np.concatenate(first), int(members[layers.whole].sum()), rng)
    design = _paired(masks, LAYERED)
    whole = int(members[layers.whole].sum())
    return replace(design, sizes=law_of_layers(n, calls), drawn_from=float(np.exp2(n)), whole=whole)


def _layers_of_pairs(n: int, calls: int) -> tuple[NDArray[np.int64], NDArray[np.float64], Layers]:
    """Sizes of the smaller halves of complement pairs, pairs of each size, and how many are asked."""
    size = np.arange(1, n // 2 + 1)
    twins = 2 * size == n
    members = members_by_size(n)[size] / np.where(twins, 2.0, 1.0)
    pairs = min(calls // 2, int(min(members.sum(), 1e9)) - 1)  # all of them are another design, and estimator
    return size, members, layers_for(np.where(twins, 0.5, 1.0) / np.sqrt(size * (n - size)), members, pairs)


def law_of_layers(n: int, calls: int) -> NDArray[np.float64]:
    """The chance of each size 1 .. n - 1 of a mask of `by_layers`, shape ``(n - 1,)``; no draw changes it."""
    size, members, layers = _layers_of_pairs(n, calls)
    share = np.where(layers.whole, members, layers.expected) / _groups(layers, members)
    chance = np.zeros(n - 1)
    chance[size - 1] += share / 2.0
    chance[n - size - 1] += share / 2.0
    return chance


def _groups(layers: Layers, members: NDArray[np.float64]) -> float:
    """How many groups are asked in all: whole layers, and as many of the others as `_systematic` deals out."""
    return float(int(members[layers.whole].sum()) + round(float(layers.expected.sum())))


def _first_halves(n: int, size: int, count: int, rng: np.random.Generator) -> Masks:
    """Distinct pairs' first halves; of two halves of one size the one without the last unit."""
    if 2 * size != n:
        return _subsets(n, size, count, rng)
    found = _subsets(n - 1, size, count, rng)
    return np.hstack([found, np.zeros((len(found), 1), dtype=bool)])


def _shuffled_after(masks: Masks, whole: int, rng: np.random.Generator) -> Masks:
    """All but the first ``whole`` rows in random order, so that a run that ends early has a fair part of them."""
    order = np.concatenate([np.arange(whole), whole + rng.permutation(len(masks) - whole)])
    return masks[order]


def by_number(n: int, calls: int, rng: np.random.Generator, *, keep: float, empty: bool = True) -> Design:
    """Single masks for Banzhaf values at ``keep``, layer by layer of how many units are left out, without replacement.

    The law is that of units kept independently; what differs is that each number of units left out comes as often as
    it should, and that the layers nearest to the whole prompt are asked whole where the calls reach (`layers_for`):
    masks that lack one unit carry weights of ``1 / (1 - keep)``. The full mask is free. METHODS A1, A2.

    Args:
        n: number of units.
        calls: for masks; all are asked where they are no fewer.
        rng: the only source of chance.
        keep: the probability that a unit is kept.
        empty: whether the mask of no unit may be drawn.
    """
    without, members, layers = _layers_by_number(n, calls, keep=keep, empty=empty)
    streams = rng.spawn(n)
    counts = np.where(layers.whole, members, _systematic(layers.expected, rng)).astype(np.int64)
    drawn = [~_subsets(n, int(s), int(count), own) for s, count, own in zip(without, counts, streams, strict=True)]
    whole = 1 + int(members[layers.whole].sum())
    masks = _shuffled_after(np.concatenate([np.ones((1, n), dtype=bool), *drawn]), whole, rng)
    return Design(
        name=f"{NUMBERED} (keep {keep:g})",
        masks=masks,
        groups=np.arange(len(masks), dtype=np.int64),
        keep=keep,
        population=len(masks) if bool((counts == members)[members > 0.0].all()) else None,
        kept=law_of_kept(n, calls, keep=keep, empty=empty),
        drawn_from=float(np.exp2(n)),
        whole=whole,
    )


def _layers_by_number(
    n: int, calls: int, *, keep: float, empty: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64], Layers]:
    """How many units may be left out, masks of each such layer, and how many are asked."""
    without = np.arange(1, n + 1)
    law = law_of_number(n, 1.0 - keep)[1:]
    law[-1] *= empty
    weight = ((n - without) / keep**2 + without / (1.0 - keep) ** 2) / n
    members = np.where(law > 0.0, members_by_size(n)[1:], 0.0)
    return without, members, layers_for(law * np.sqrt(weight), members, calls)


def law_of_kept(n: int, calls: int, *, keep: float, empty: bool = True) -> NDArray[np.float64]:
    """The chance of each number 0 .. n of kept units in masks of `by_number`, ``(n + 1,)``; no draw changes it."""
    _, members, layers = _layers_by_number(n, calls, keep=keep, empty=empty)
    chance = np.concatenate([[1.0], np.where(layers.whole, members, layers.expected)])
    return chance[::-1] / (1.0 + _groups(layers, members))


def _of_some_size(n: int, law: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    mask = np.zeros(n, dtype=bool)
    mask[rng.choice(n, size=int(rng.choice(np.arange(1, n), p=law)), replace=False)] = True
    return mask


def halves_for(n: int, masks: int) -> Halves:
    """Complement pairs where they are at least as many as units, else independent masks.

    A pair cancels every interaction of two units and costs an equation: with ``n`` pairs attributions of a pairwise
    game are exact, with fewer a second mask of one's own is worth more (docs/decisions/0007-few-calls.md).
    """
    return "complement" if masks // 2 >= n else "independent"


def turning_point(n: int, masks: int) -> int:
    """Groups at which there are as many equations as units: a pair is one equation, two independent masks are two."""
    return n if halves_for(n, masks) == "complement" else -(-n // 2)


def leave_one_out(n: int) -> Design:
    """Each unit left out once. Shape ``(n, n)``; the full mask is estimated from the repeats."""
    return Design(name="leave-one-out", masks=~np.eye(n, dtype=bool), groups=np.arange(n), keep=1.0)


def require(calls: int, *, needed: int, overhead: int, what: str, draws: int = 1) -> None:
    """Refuse a budget that cannot work, naming the smallest that does.

    Raises:
        BudgetError: if ``calls`` (what the budget leaves for masks) is under ``needed`` masks of ``draws`` calls each.
    """
    if calls < needed * draws:
        smallest = needed * draws + overhead
        each = f" of {draws} calls" if draws > 1 else ""
        raise BudgetError(
            f"budget={calls + overhead} is too small: {what} needs {needed} masks{each}, and {overhead} calls go to "
            f"the reference and its repeats. The smallest budget that works is {smallest}.",
            smallest=smallest,
        )
