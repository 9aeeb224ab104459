"""The few anchors that stand for each group, and the neighbours of each anchor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Points, as_points
from whygen.anchors.groups import Grouping
from whygen.anchors.options import AnchorOptions, Selecting, parse_select
from whygen.anchors.samples import Prepared
from whygen.anchors.selection import SELECTIONS, Selection
from whygen.anchors.selection.bulk import require_faster_pam
from whygen.anchors.selection.points import METRICS, distance_blocks, pairwise
from whygen.anchors.selection.spread import EXACT_LIMIT
from whygen.errors import UnknownNameError, UsageError
from whygen.models.latent import UNBOUNDED, Layout
from whygen.results.anchors import GROUPS
from whygen.results.anchors_rows import UNSURE
from whygen.results.anchors_scores import Scored, Scores
from whygen.results.prompt import Warned
from whygen.stats.seeds import generator
from whygen.texts import counted

SMALL = 4096
TYPICAL_OF = 2000
"""To so many members at most the distances are summed that tell the typical one."""
SOLVERS = ("greedy", "exact")
"""Of k-dispersion and k-center."""
TRIED = 8
"""Points on which the options of a selection are tried."""
NEAR_DUPLICATE = 0.05
"""Two picks nearer than this part of the median distance between picks show the same thing twice."""
MAX_DISTANCES = 8_000_000
"""So many distances are held at once."""


@dataclass(frozen=True, slots=True)
class Space:
    """Where distances are measured."""

    name: str
    anchors: Points
    """Shape ``(n, dim)``."""
    reference: Points | None
    """Shape ``(m, dim)``; None without a reference, or where the space is that of the criteria."""


def open_space(plan: AnchorOptions, scores: Scores) -> Space:
    """Anchors and reference as points of the space that the plan names.

    Raises:
        UsageError: if the scores do not hold what that takes.
    """
    arrays, facts = scores.arrays, scores.facts
    name = settled_space(
        plan.space, facts.shape, has_features="anchors/features" in arrays,
        has_latent=scores.anchors.means.shape[1] > 0,
    )  # fmt: skip
    if name == "criteria":
        values = scores.anchors.values
        spread = values.std(axis=0)
        return Space(name, (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1), None)
    kept = {"latent": "means", "features": "features", "pixels": "raw"}[name]
    if f"anchors/{kept}" not in arrays or (facts.reference is not None and f"reference/{kept}" not in arrays):
        raise UsageError(
            f"space={name!r} is not among what was kept of this explanation. Give space='latent' or 'criteria', or "
            f"explain the anchors again with space={name!r}."
        )
    if name == "pixels":
        held = samples_of(scores)
        own, other = (None if each is None else each.rows(slice(None)).reshape(len(each), -1) for each in held)
    else:
        own, other = (arrays.get(f"{which}/{kept}") for which in ("anchors", "reference"))
    assert own is not None  # noqa: S101 - looked at above
    return Space(name, own, other)


def samples_of(scores: Scores) -> tuple[Prepared | None, Prepared | None]:
    """Anchors and reference as the model took them, as far as they were kept."""
    facts = scores.facts
    anchors, reference = (
        None if record is None or f"{which}/raw" not in scores.arrays else Prepared(
            raw=scores.arrays[f"{which}/raw"], shape=facts.shape, order=record.order, scale=record.scale,
            offset=record.offset, layout=cast("Layout | None", facts.layout), image=facts.image,
            value_range=facts.value_range or UNBOUNDED,
        )
        for which, record in (("anchors", facts.anchors), ("reference", facts.reference))
    )  # fmt: skip
    return anchors, reference


def settled_space(space: str, shape: Sequence[int], *, has_features: bool, has_latent: bool = True) -> str:
    """Where distances are measured: as asked for, or by what there is.

    Raises:
        UsageError: if features are asked for without an encoder, or latents of a model that does not encode.
    """
    if space == "latent" and not has_latent:
        raise UsageError("space='latent' needs a model that encodes. Give space='pixels' or 'criteria', or an encoder.")
    if space == "features" and not has_features:
        raise UsageError("space='features' needs an encoder: give encoder=callable (samples -> (n, dim)).")
    if space != "auto":
        return space
    if has_features:
        return "features"
    return "pixels" if int(np.prod(shape)) <= SMALL or not has_latent else "latent"


@dataclass(frozen=True, slots=True)
class Representatives:
    """For each group that has members, the picks as indices of anchors."""

    selections: Mapping[str, Selection]
    warnings: tuple[Warned, ...]
    groups: tuple[str, ...] = GROUPS

    @property
    def indices(self) -> dict[str, tuple[int, ...]]:
        """For every group, empty ones too."""
        picked = {name: tuple(int(i) for i in selection.indices) for name, selection in self.selections.items()}
        return {name: picked.get(name, ()) for name in self.groups}

    @property
    def shown(self) -> NDArray[np.int64]:
        """All representatives, group by group."""
        return np.array([index for indices in self.indices.values() for index in indices], dtype=np.int64)


def require_selection(plan: AnchorOptions) -> None:
    """Look at the ``select`` argument before anything is paid for.

    Raises:
        UsageError: if it is no selection.
        MissingExtraError: if it needs a package that is not installed.
    """
    selecting = parse_select(plan.select)
    if selecting.name == "k-medoids" and selecting.options.get("solver", plan.medoids) == "faster-pam":
        require_faster_pam()
    _try_options(plan, selecting)


def _try_options(plan: AnchorOptions, selecting: Selecting) -> None:
    """Pick of eight points, so that an option that cannot be is refused now and not after everything was scored."""
    options = dict(selecting.options)
    if isinstance(outliers := options.get("outliers"), int):
        options["outliers"] = min(outliers, TRIED - 1)
    solver = options.get("solver", SOLVERS[0])
    if selecting.name != "k-medoids" and solver not in SOLVERS:
        raise UnknownNameError(f"solver of {selecting.name}", str(solver), SOLVERS)
    metric = options.get("metric", METRICS[0])
    if metric not in METRICS:
        raise UnknownNameError(f"metric of {selecting.name}", str(metric), METRICS)
    points = np.arange(2.0 * TRIED, dtype=np.float32).reshape(TRIED, 2)
    try:
        _select(plan, replace(selecting, options=options), points, first=0, rng=generator(0, "trial"))
    except TypeError as error:
        raise UsageError(f"select is {plan.select!r}: an option has a value of the wrong kind ({error}).") from error


def represent(plan: AnchorOptions, grouping: Grouping, space: Space, scores: Scored, *, seed: int) -> Representatives:
    """Pick representatives of every group that has members, each anchor and its copies once.

    Unless the plan asks for all members: the typical one first, then whom the selection picks among those whose
    verdict is sure; where these are too few, the surest of the others fill up, never more of them than sure ones.
    """
    selecting = parse_select(plan.select)
    selections: dict[str, Selection] = {}
    warnings: list[Warned] = []
    for name in grouping.names.values():
        members = np.intersect1d(grouping.members(name), grouping.distinct)
        pool, unsure = _pool(plan, grouping.flip_rate[members], selecting.k, group=name)
        warnings += unsure
        if pool.size == 0:
            continue
        among = members[pool]
        points = space.anchors[among]
        local, told = pick_among(plan, points, scores.values[among], grouping.flip_rate[among], group=name, seed=seed)
        warnings += told
        # What was said of few sure members tells how many there are: no second warning of a small group.
        warnings += check_selection(local, points, group=name, k=len(local.indices) if unsure else selecting.k)
        selections[name] = replace(local, indices=among[local.indices], dropped=among[local.dropped])
    return Representatives(selections, tuple(warnings), tuple(grouping.names.values()))


def pick_among(
    plan: AnchorOptions, points: Points, values: NDArray[np.float64], flip_rate: NDArray[np.float64], *, group: str,
    seed: int,
) -> tuple[Selection, tuple[Warned, ...]]:  # fmt: skip
    """Pick of the points of a group, all of which may be picked; places among these, and what is to be said.

    Args:
        plan: names the selection and how it begins.
        points: shape ``(n, dim)``.
        values: criteria, ``(n, c)``.
        flip_rate: of each, ``(n,)``.
        group: its name.
        seed: of the run.
    """
    selecting = parse_select(plan.select)
    fitting, told = _fitting(selecting, len(points), group=group)
    first = _first(plan, points, values, flip_rate)
    return _select(plan, fitting, points, first=first, rng=generator(seed, "selection", group)), told


def _pool(
    plan: AnchorOptions, flip_rate: NDArray[np.float64], k: int, *, group: str
) -> tuple[NDArray[np.int64], tuple[Warned, ...]]:
    """Places of the members that may be picked; and where few of them are sure, how many were and who filled up."""
    everyone = np.arange(len(flip_rate), dtype=np.int64)
    if plan.members == "all" or len(everyone) == 0:
        return everyone, ()
    sure = np.flatnonzero(flip_rate <= UNSURE).astype(np.int64)
    short = min(k, len(everyone)) - len(sure)
    if short <= 0:
        return sure, ()
    unsure = np.setdiff1d(everyone, sure)
    filling = unsure[np.argsort(flip_rate[unsure], kind="stable")][: min(short, len(sure))]
    pool = np.sort(np.concatenate([sure, filling]))
    shown = (
        f"{len(pool)} are shown, {len(filling)} of them labelled unsure" if len(pool) else "none stands for the group"
    )
    others = " The list of samples to look at has the others." if len(pool) < len(everyone) else ""
    text = (
        f"Of the {_members(len(everyone))} of {group} {len(sure)} are sure (in another group in up to "
        f"{UNSURE:.0%} of redraws): {shown}.{others}"
    )
    return pool, (Warned(code="unsure-group", text=text),)


def _members(count: int) -> str:
    return f"{count} member{'' if count == 1 else 's'}"


def _first(
    plan: AnchorOptions, points: Points, values: NDArray[np.float64], flip_rate: NDArray[np.float64]
) -> int | None:
    """The paper's first pick is argmin(kld + sse), raw; by default it is the typical member."""
    if plan.first == "lowest-sum":
        return int(np.argmin(values.sum(axis=1)))
    return typical(points, flip_rate) if plan.first == "typical" else None


def typical(points: Points, flip_rate: NDArray[np.float64]) -> int:
    """The medoid of the surer half: of the members with at most the median flip rate, the one nearest to the others.

    In large groups "the others" are `TYPICAL_OF` of them, evenly spaced.
    """
    surer = np.flatnonzero(flip_rate <= np.median(flip_rate))
    among = points[surer]
    others = among[:: -(-len(among) // TYPICAL_OF)]
    sums = np.concatenate([block.sum(axis=1) for _, block in distance_blocks(among, others, metric="euclidean")])
    return int(surer[np.argmin(sums)])


def _fitting(selecting: Selecting, n: int, *, group: str) -> tuple[Selecting, tuple[Warned, ...]]:
    """The selection as asked for, or greedy (and a warning) where the group is too large for the exact solver."""
    if selecting.options.get("solver") != "exact" or n <= EXACT_LIMIT:
        return selecting, ()
    options = {key: value for key, value in selecting.options.items() if key != "solver"}
    text = (
        f"{group} has {n} members, and the exact solver takes up to {EXACT_LIMIT}: its representatives were picked "
        "greedily, and the gap to the optimum is reported."
    )
    return replace(selecting, options=options), (Warned(code="greedy-instead", text=text),)


def _select(
    plan: AnchorOptions, selecting: Selecting, points: Points, *, first: int | None, rng: np.random.Generator
) -> Selection:
    options: dict[str, Any] = dict(selecting.options)
    if selecting.name == "k-medoids":
        options = {"solver": plan.medoids, **options, "rng": rng}
    elif selecting.name != "facility-location" and not options.get("outliers"):
        options["first"] = first
    found = SELECTIONS[selecting.name](points, selecting.k, **options)
    if plan.first == "typical" and first is not None and options.get("first") == first:
        return replace(found, first="the typical member: nearest to the others, of those that flip least")
    return found


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each anchor its nearest reference sample, or (without a reference) the nearest other anchor."""

    index: NDArray[np.int64]
    """Shape ``(n,)``; -1 where nobody looked."""
    distance: NDArray[np.float64]
    """Shape ``(n,)``; NaN where nobody looked."""


def neighbours(space: Space, rows: NDArray[np.int64]) -> Neighbours:
    """Nearest neighbours of the named anchors by Euclidean distance: of all of them would cost as much as decoding."""
    own = space.reference is None
    known = space.anchors if space.reference is None else space.reference
    found = Neighbours(np.full(len(space.anchors), -1, np.int64), np.full(len(space.anchors), np.nan))
    if own and len(known) < 2:
        return found
    centre = known.mean(axis=0, dtype=np.float64).astype(known.dtype)
    squares = np.square(known - centre).sum(axis=1)
    size = max(1, MAX_DISTANCES // len(known))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        apart = squares - 2 * (space.anchors[some] - centre) @ (known - centre).T
        if own:
            apart[np.arange(len(some)), some] = np.inf
        found.index[some] = apart.argmin(axis=1)
    found.distance[rows] = distances_between(space.anchors[rows], known[found.index[rows]])
    return found


def distances_between(points: Points, others: Points) -> NDArray[np.float64]:
    """Row by row, by differences: exact, where products of large vectors would round."""
    return np.sqrt(np.square(points - others).sum(axis=1, dtype=np.float64))


def check_selection(selection: Selection, points: ArrayLike, *, group: str, k: int) -> tuple[Warned, ...]:
    """Warn of representatives that are too few, or two of which show the same thing."""
    found = list[Warned]()
    if len(selection.indices) < k:
        text = (
            f"{group} has {_members(len(selection.indices))} to pick from, fewer than the {k} representatives asked "
            f"for: all are shown. Give more anchors, or ask for fewer."
        )
        found.append(Warned(code="small-group", text=text))
    near = _near_duplicates(as_points(points)[selection.indices])
    if near:
        text = (
            f"Representatives of {group} that are nearly the same: {counted(near, 'pair')}. Remove duplicates from the "
            f"anchors, ask for fewer than {k}, or measure distances in another space."
        )
        found.append(Warned(code="near-duplicates", text=text))
    return tuple(found)


def _near_duplicates(picks: NDArray[np.floating]) -> int:
    if len(picks) < 2:
        return 0
    distances = pairwise(picks, metric="euclidean")[np.triu_indices(len(picks), 1)]
    return int((distances <= NEAR_DUPLICATE * np.median(distances)).sum())
