"""Which masks to ask about. Rows of one group (a complement pair, an antithetic pair) stand or fall together.

A design says how its masks were drawn, because the estimators need to know the chance that a unit was kept.
No design pays twice for a mask: rows may repeat only where the law of the design makes them (`bernoulli`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import BudgetError, UnknownNameError
from whygen.types import Masks

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

    @property
    def enumerated(self) -> bool:
        return self.population is not None and len(np.unique(self.groups)) == self.population


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
    return Design(name=name, masks=masks, groups=groups, population=population)


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
    return Design(name="independent masks", masks=masks, groups=groups, population=population)


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
