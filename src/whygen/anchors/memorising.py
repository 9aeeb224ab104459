"""Has the model memorised its training samples? Only the gap between training and held-out ones speaks of that.

Low scores mean "well known", so a memorised sample lies in the lower tail of the held-out ones: its p-value there is
conformal, and of held-out samples at most a stated share is flagged (METHODS B6; Bates et al. 2023). Two-sided
typicality would hide it (corrections to B1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.controls import Verdicts
from whygen.anchors.copies import fingerprints
from whygen.anchors.groups import GROUPS
from whygen.anchors.loading import Loaded
from whygen.errors import DataError, UnknownNameError, UsageError, none_of
from whygen.results.anchors import group_names
from whygen.results.anchors_memorised import ROLES, AreaRecord, GapRecord, MemorisationRecord, RoleRecord
from whygen.results.anchors_scores import Scores, ShareRecord
from whygen.results.prompt import Warned
from whygen.stats.auroc import auroc
from whygen.stats.conformal import p_values, realised_level, smallest_reference
from whygen.stats.crossed import share_unseen
from whygen.stats.wilson import wilson

REFERENCE_ROLES = ("held-out", "training")
"""What a reference may be to the model."""
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

PERMUTED = (199, 1999)
"""Permutations behind a p-value: as many as `MOST_PERMUTED` values allow, within these."""
MOST_PERMUTED = 20_000_000
RESAMPLED = 200
"""Bootstrap samples behind the share of memorised samples."""
MOST_TRACED = 24
"""So many flagged anchors are shown beside their reconstruction and the nearest other training sample."""
EXAMPLES = 3
LEVEL = 0.05
"""Of the permutation test, over all criteria."""


@dataclass(frozen=True, slots=True)
class Memorised:
    """What was found.

    Attributes:
        record: the gap; None without training anchors or held-out samples.
        roles: groups by role.
        p: lower-tail p-values of all anchors against the held-out samples, ``(n, c)``.
        flagged: which anchors are called memorised, ``(n,)``.
        traced: flagged training anchors, the surest first: those to look at.
        warnings: what makes the gap say less.
    """

    record: MemorisationRecord | None
    roles: tuple[RoleRecord, ...]
    p: Floats | None = None
    flagged: NDArray[np.bool_] | None = None
    traced: Rows | None = None
    warnings: tuple[Warned, ...] = ()


def require_reference_role(role: object) -> None:
    """Refuse what a reference cannot be to a model.

    Raises:
        UsageError: names what it can be.
    """
    if role not in REFERENCE_ROLES:
        raise none_of("reference_role", role, REFERENCE_ROLES)


def parts_by_role(source: object) -> Mapping[str, object] | None:
    """Anchors that are given by role; None where they are something else."""
    if not isinstance(source, Mapping):
        return None
    held = cast("Mapping[str, object]", source)
    return held if held and set(held) <= set(ROLES) else None


def settle_roles(roles: object, n: int) -> tuple[str, ...] | None:
    """One role for each of ``n`` anchors.

    Raises:
        UnknownNameError: if there is no such role.
        DataError: if they are not as many as the anchors.
    """
    if roles is None:
        return None
    given = [roles] * n if isinstance(roles, str) else [str(each) for each in cast("Sequence[object]", roles)]
    for role in dict.fromkeys(given):
        if role not in ROLES:
            raise UnknownNameError("role of anchors", str(role), ROLES)
    if len(given) != n:
        raise DataError(
            f"There are {len(given):,} roles for {n:,} anchors; give one for each, one for all, or the anchors by "
            'role: {"training": ..., "held-out": ...}.'
        )
    return tuple(map(str, given))


def overlap_of(subject: Loaded) -> tuple[Rows, Rows]:
    """Held-out anchors, and reference samples, that are exact copies of training anchors."""
    roles, nothing = subject.anchor_set.roles, np.zeros(0, np.int64)
    if roles is None or "training" not in roles:
        return nothing, nothing
    keys = list(fingerprints(subject.anchors))
    seen = {key for key, role in zip(keys, roles, strict=True) if role == "training"}
    held = [row for row, (key, role) in enumerate(zip(keys, roles, strict=True)) if role == "held-out" and key in seen]
    reference = subject.reference
    shared = [] if reference is None else [row for row, key in enumerate(fingerprints(reference)) if key in seen]
    return np.array(held, np.int64), np.array(shared, np.int64)


def check_roles(subject: Loaded, *, criteria: int, rate: float, reference_role: str) -> tuple[Warned, ...]:
    """Refuse too few held-out samples for the rate, before anything is scored; say what cannot be told without them.

    Raises:
        UsageError: says how many are needed.
    """
    roles = subject.anchor_set.roles
    if not 0 < rate < 1:
        raise UsageError(f"false_positives={rate} is no share; give a number between 0 and 1, such as 0.05.")
    if roles is None or "training" not in roles:
        return ()
    in_anchors, in_reference = overlap_of(subject)
    held = [row for row in subject.distinct.tolist() if roles[row] == "held-out"]
    by_reference = not held and subject.reference is not None and reference_role == "held-out"
    overlap = in_reference if by_reference else in_anchors
    n = len(subject.reference or ()) - len(in_reference) if by_reference else len(set(held) - set(in_anchors.tolist()))
    if not by_reference and "held-out" not in roles:
        text = (
            "The anchors are training samples, and there are none that the model has not seen: whether it has "
            'memorised them cannot be told. Give such anchors too ({"training": ..., "held-out": ...}), or a held-out '
            "reference."
        )
        return (Warned(code="no-held-out", text=text),)
    if n < smallest_reference(rate / criteria):
        left = f" ({len(overlap)} more are copies of training anchors)" if len(overlap) else ""
        raise UsageError(
            f"There are {n} held-out samples{left}, but at {rate:g} false positives by {criteria} criteria at least "
            f"{smallest_reference(rate / criteria)} are needed. Give more held-out samples, fewer criteria, or "
            f"false_positives={min(0.99, criteria / (n + 1) + 0.0005):.3f}."
        )
    if not len(overlap):
        return ()
    samples = subject.reference_set if by_reference else subject.anchor_set
    names = ", ".join(samples.name(row) for row in overlap[:EXAMPLES].tolist()) if samples is not None else ""
    text = (
        f"{len(overlap):,} held-out samples are exact copies of training anchors ({names}): the model has seen them, "
        "and they are left out of the held-out ones."
    )
    return (Warned(code="role-overlap", text=text),)


def memorisation(verdicts: Verdicts) -> Memorised | None:
    """Groups by role, and the gap where there are training anchors and held-out samples; None without roles."""
    scores, facts = verdicts.scores, verdicts.scores.facts
    if facts.roles is None:
        return None
    roles = np.array(facts.roles)
    by_role = {role: verdicts.counted[roles[verdicts.counted] == role] for role in ROLES}
    shares = tuple(_role(role, rows, verdicts) for role, rows in by_role.items() if len(rows))
    held = _held_out(verdicts, by_role["held-out"])
    training = by_role["training"]
    if not len(training) or held is None:
        return Memorised(None, shares)
    values, known, held_by = scores.anchors.values, held[0], held[1]
    rate, count = verdicts.plan.false_positives, len(scores.names)
    level = realised_level(len(known), rate / count)
    if level <= 0.0:  # read again at another rate, or a run that ended early
        text = (
            f"At {rate:g} false positives by {count} criteria at least {smallest_reference(rate / count)} held-out "
            f"samples are needed, and {len(known)} were scored: the memorisation gap is left out."
        )
        return Memorised(None, shares, warnings=(Warned(code="few-held-out", text=text),))
    p = _lower_tail(values, known, rows=by_role["held-out"] if held_by == "anchors" else None)
    called = p <= level * (1 + 1e-9)
    flagged = np.asarray(called.any(axis=1), dtype=np.bool_)
    gaps = tuple(_gap(verdicts, column, by_role, known, called, held_by) for column in range(count))
    size = _size(scores, training, by_role["held-out"], held_by)
    record = MemorisationRecord(
        held_by="anchors" if held_by == "anchors" else "reference",
        n_training=len(training),
        n_held_out=len(known),
        overlap=len(scores.arrays.get(f"{held_by}/overlap", ())),
        false_positives=rate,
        level=level,
        flagged=int(flagged[training].sum()),
        by_chance=min(1.0, level * count) * len(training),
        criteria=gaps,
        size=size,
        found=is_found(gaps, size),
    )
    best = int(np.argmax([gap.auroc.area for gap in gaps]))  # the criterion that tells most comes first
    order = np.lexsort((values[training, best], p[training].min(axis=1), p[training, best]))
    traced = training[order][flagged[training][order]][:MOST_TRACED]
    return Memorised(record, shares, p, flagged, traced, differing(record))


def _role(role: str, rows: Rows, verdicts: Verdicts) -> RoleRecord:
    counts = np.bincount(verdicts.grouping.codes[rows], minlength=len(GROUPS))
    groups = {name: int(counts[code]) for code, name in group_names(verdicts.kinds).items()}
    return RoleRecord.model_validate({"role": role, "n": len(rows), "groups": groups})


def _held_out(verdicts: Verdicts, rows: Rows) -> tuple[Floats, str] | None:
    """Criteria of the held-out samples, ``(n, c)``: anchors where there are any, else a held-out reference."""
    arrays = verdicts.scores.arrays
    if len(rows):
        return verdicts.scores.anchors.values[np.setdiff1d(rows, arrays.get("anchors/overlap", rows[:0]))], "anchors"
    reference = verdicts.reference
    if reference is None or verdicts.scores.facts.role != "held-out":
        return None
    return np.delete(reference.values, arrays.get("reference/overlap", np.zeros(0, np.int64)), axis=0), "reference"


def _lower_tail(values: Floats, known: Floats, *, rows: Rows | None) -> Floats:
    """Conformal p-values ``(n, c)``, small where a criterion is lower than the held-out samples'.

    ``rows`` are held-out anchors: each is compared with the others alone.
    """
    columns = zip(values.T, known.T, strict=True)
    p: Floats = np.column_stack([p_values(-held, -own) for own, held in columns])
    if rows is not None:
        p[rows] = among_others(p[rows], len(known))
    return p


def among_others(p: Floats, n: int) -> Floats:
    """P-values of held-out samples against the other n - 1, from those against all n."""
    return np.clip((p * (n + 1) - 1) / n, 1 / n, 1.0)


def _gap(
    verdicts: Verdicts, column: int, by_role: dict[str, Rows], known: Floats, called: NDArray[np.bool_], held_by: str
) -> GapRecord:
    scores, name = verdicts.scores, verdicts.scores.names[column]
    values, training = scores.anchors.values[:, column], by_role["training"]
    return gap_between(
        name, values[training], known[:, column],
        foreign=values[by_role["foreign"]],
        flagged=int(called[training, column].sum()),
        rate=verdicts.plan.false_positives,
        criteria=len(scores.names),
        untrained=_of_copy(scores, column, held_by),
        rng=verdicts.rng("memorised", name),
    )  # fmt: skip


def gap_between(
    name: str, own: Floats, held: Floats, *, foreign: Floats, flagged: int, rate: float, criteria: int,
    untrained: tuple[Floats, Floats] | None, rng: np.random.Generator,
) -> GapRecord:  # fmt: skip
    """Training against held-out samples by one criterion.

    Args:
        name: of the criterion.
        own: it of the training samples, low where they are well known.
        held: it of the held-out samples.
        foreign: it of foreign ones, if any.
        flagged: how many training samples are called memorised by it.
        rate: of false positives, over all criteria.
        criteria: how many there are.
        untrained: the same two sets by a model that was not trained on them.
        rng: of permutations and bootstrap.
    """
    gap, half = _welch(held, own)
    memorised, recall = _estimated(own, held, level=realised_level(len(held), rate / criteria), rng=rng)
    p_value = _permuted(own, held, rng)
    return GapRecord(
        criterion=name,
        training=float(own.mean()),
        held_out=float(held.mean()),
        gap=gap,
        low=gap - half,
        high=gap + half,
        auroc=area(own, held),
        p_value=p_value,
        flagged=flagged,
        memorised=memorised,
        recall=recall if p_value * criteria <= LEVEL else None,
        untrained=None if untrained is None else area(*untrained),
        foreign=area(held, foreign) if len(foreign) else None,
    )


def area(low: Floats, high: Floats) -> AreaRecord:
    """Chance that a score of ``high`` exceeds one of ``low``."""
    middle, lower, upper = auroc(low, high)
    return AreaRecord(area=middle, low=lower, high=upper)


def _welch(held: Floats, own: Floats) -> tuple[float, float]:
    """Difference of means, and half of its 95% interval (Welch); one sample alone is taken to vary as the others do."""
    spread = [float(each.var(ddof=1)) if len(each) > 1 else 0.0 for each in (held, own)]
    sizes = (len(held), len(own))
    parts = [(each if size > 1 else max(spread)) / size for each, size in zip(spread, sizes, strict=True)]
    variance = sum(parts)
    weights = sum(part**2 / max(1, len(each) - 1) for part, each in zip(parts, (held, own), strict=True))
    degrees = variance**2 / weights if weights > 0 else 1.0
    return float(held.mean() - own.mean()), float(stdtrit(degrees, 0.975)) * variance**0.5


def _permuted(own: Floats, held: Floats, rng: np.random.Generator) -> float:
    """One-sided p-value of "training samples score no lower than held-out ones": permutations of the rank sum."""
    both = np.concatenate([own, held])
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]  # ties share their mean rank
    seen = ranks[: len(own)].sum()
    rounds = int(np.clip(MOST_PERMUTED // len(both), *PERMUTED))
    fewer = min(len(own), len(held))
    total = ranks.sum()
    lower = 0
    for _ in range(rounds):
        drawn = rng.choice(ranks, size=fewer, replace=False).sum()
        lower += (drawn if fewer == len(own) else total - drawn) <= seen + 1e-9
    return (1 + lower) / (1 + rounds)


def _estimated(
    own: Floats, held: Floats, *, level: float, rng: np.random.Generator
) -> tuple[ShareRecord, ShareRecord | None]:
    """The share of training samples that is better known than held-out ones, and how many of these are flagged.

    If a share m of training samples were memorised and the rest scored as held-out ones do, half of the rest would
    score above the held-out median: m = 1 - 2 P(own > median), a lower bound where memorised ones lie above it too
    (Storey 2002, JRSS B 64:479, at lambda = .5). Of what is flagged, level (1 - m) is by chance. Intervals by the
    bootstrap over both sets; few samples that all lie below the median do so in every resample too, so the intervals
    hold what Wilson's of the two counts make of them, and the share that so many may have missed altogether.
    """

    def counts(one: Floats, other: Floats) -> tuple[float, float]:
        middle = np.median(other)
        above = float((one > middle).mean() + (one == middle).mean() / 2)
        return above, float((p_values(-other, -one) <= level * (1 + 1e-9)).mean())

    def shares(above: float, flags: float) -> tuple[float, float]:
        m = max(0.0, 1 - 2 * above)
        return m, min(1.0, max(0.0, flags - level * (1 - m)) / m) if m > 0 else 0.0

    n, (above, flags) = len(own), counts(own, held)
    here = shares(above, flags)
    drawn = np.array([shares(*counts(rng.choice(own, n), rng.choice(held, len(held)))) for _ in range(RESAMPLED)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    fewer, more = wilson(round(above * n), n)
    few = [shares(more, flags)[0], max(shares(fewer, flags)[0], share_unseen(n))]
    caught = [end / max(here[0], 1e-9) for end in wilson(round(flags * n), n)]
    low = np.minimum(low, [few[0], caught[0]])
    high = np.clip(np.maximum(high, [few[1], caught[1]]), 0.0, 1.0)
    records = [
        ShareRecord(share=value, low=min(value, float(a)), high=max(value, float(b)))
        for value, a, b in zip(here, low, high, strict=True)
    ]
    return records[0], records[1] if low[0] > 0 else None


def _of_copy(scores: Scores, column: int, held_by: str) -> tuple[Floats, Floats] | None:
    """Training and held-out samples by the untrained copy; None where it did not score both."""
    copy, roles = scores.scored("copy/anchors"), scores.facts.roles
    if copy is None or roles is None:
        return None
    own = np.array(roles)[scores.arrays["copy/rows"]]
    values, reference = copy.values[:, column], scores.scored("copy/reference")
    if held_by == "anchors":
        held = values[own == "held-out"]
    else:
        held = np.zeros(0) if reference is None else reference.values[:, column]
    trained = values[own == "training"]
    return (trained, held) if len(trained) > 1 and len(held) > 1 else None


def _size(scores: Scores, training: Rows, held: Rows, held_by: str) -> AreaRecord | None:
    sizes = scores.arrays.get("anchors/sizes")
    others = sizes if held_by == "anchors" else scores.arrays.get("reference/sizes")
    if sizes is None or others is None:
        return None
    return area(sizes[training].astype(np.float64), (others[held] if held_by == "anchors" else others).astype(float))


def _differs(of: AreaRecord) -> bool:
    return not of.low <= 0.5 <= of.high


def is_found(gaps: Sequence[GapRecord], size: AreaRecord | None) -> bool:
    """Whether a gap was found that neither an untrained copy nor the compressed size shows."""
    return any(_is_found(gap, len(gaps)) for gap in gaps) and (size is None or not _differs(size))


def _is_found(gap: GapRecord, criteria: int) -> bool:
    """Whether training samples are better known by a criterion, and more than an untrained copy tells."""
    without = gap.untrained is None or gap.auroc.low > gap.untrained.high
    return gap.p_value * criteria <= LEVEL and gap.auroc.low > 0.5 and (without or not _differs_up(gap.untrained))


def _differs_up(of: AreaRecord | None) -> bool:
    return of is not None and of.low > 0.5


def differing(record: MemorisationRecord) -> tuple[Warned, ...]:
    """That training and held-out samples differ without the model, so that a gap need not be of its memory."""
    told = [f"compressed size {record.size.area:.2f}"] if record.size is not None and _differs(record.size) else []
    told += [
        f"{gap.criterion} by an untrained copy {gap.untrained.area:.2f}"
        for gap in record.criteria
        if gap.untrained is not None and _differs(gap.untrained)
    ]
    if not told:
        return ()
    text = (
        f"Training and held-out samples differ without the model (AUROC: {', '.join(told)}): a gap between them may be "
        "theirs. Draw both at random from one set before training, then ask again."
    )
    return (Warned(code="roles-differ", text=text),)
