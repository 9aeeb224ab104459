"""A laboratory for estimators: ask a game whose values are known as a model is asked, fit, and score.

    rng = np.random.default_rng(0)
    game = lab.Game(12, "pairwise", rng)
    play = lab.play(game, 128, rng)
    found = lab.estimate(play, rng)                               # attributions, intervals, p-values
    new = rng.random((1000, 12)) < 0.5
    fitted = lab.SURROGATES["adaptive"].fit(play.effects)
    lab.r_squared(game.values(new), fitted.predict(new))

Nothing here asks a model: it is for whoever compares estimators, and whygen's own benchmarks measure with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.choosing import choose
from whygen.anchors.loading import settle
from whygen.anchors.samples import Raw, prepare
from whygen.anchors.scoring import Generation, NoiseKind, noise_for, score
from whygen.models import load_latent
from whygen.models.planted.games import FAMILIES, Game
from whygen.prompt import designs, fidelity, gsmile, intervals, noise, stopping
from whygen.prompt.designs import Design, bernoulli, enumerated
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import MaskDraw, load_estimand
from whygen.prompt.fidelity import chance_level, r_squared
from whygen.prompt.intervals import LEVEL, LEVEL_OF_LOOKS, Estimate, collapsed, collapsed_estimate, narrowest
from whygen.prompt.kernels import Dropped, WeightedLeastSquares, WordMover
from whygen.prompt.plan import REDRAWS, REPEATS
from whygen.prompt.proxy import proxy_evidence, with_proxy
from whygen.prompt.stopping import widest
from whygen.prompt.surrogates import SURROGATES, Fitted, Linear, Surrogate, load_surrogate
from whygen.results.estimands import EstimandName
from whygen.stats.intervals import Interval
from whygen.types import Floats, Masks

__all__ = [
    "FAMILIES",
    "LEVEL",
    "LEVEL_OF_LOOKS",
    "SURROGATES",
    "Answer",
    "Design",
    "Dropped",
    "Effects",
    "Estimate",
    "Fitted",
    "Game",
    "Interval",
    "Linear",
    "Play",
    "Playable",
    "Surrogate",
    "WeightedLeastSquares",
    "WordMover",
    "bernoulli",
    "ceiling",
    "chance_level",
    "contrasts",
    "draw",
    "effects_of",
    "enumerated",
    "estimate",
    "estimate_drawn",
    "generated", "gsmile",
    "held_out",
    "limits",
    "looks",
    "nearness",
    "play",
    "proxied",
    "r_squared",
    "scores",
    "widest",
]  # fmt: skip

Answer: TypeAlias = Callable[[Floats], Floats]


def __dir__() -> list[str]:
    return __all__


"""One draw of masks whose clean effects are ``(m,)``."""


class Playable(Protocol):
    """A game: a value for each mask. `Game` is one, whose Banzhaf and Shapley values are known besides."""

    @property
    def n(self) -> int:
        """Number of units."""
        ...

    def values(self, masks: Masks) -> Floats:
        """Values ``(m,)`` of masks ``(m, n)``."""
        ...


def effects_of(
    asked: Design | Masks, values: Floats, *, groups: NDArray[np.int64] | None = None, keep: float = 0.5,
    total: float | None = None, sizes: Floats | None = None, nearness: Floats | None = None,
) -> Effects:  # fmt: skip
    """Masks with their effects: what every surrogate and every estimate reads.

    Args:
        asked: a design, which knows how its masks were drawn, or masks ``(m, n)`` alone.
        values: effects, shape ``(m,)``.
        groups: of masks alone: which were drawn together, shape ``(m,)``; each by itself unless given.
        keep: of masks alone: the chance with which each unit was kept.
        total: f(1) - f(0), which Shapley values share out.
        sizes: of masks alone: the chance of each size 1 .. n - 1, where they were drawn by size.
        nearness: the weight of each mask under a kernel, shape ``(m,)``.
    """
    if isinstance(asked, Design):
        return asked.observed(values, total=total, nearness=nearness)
    groups = np.arange(len(asked)) if groups is None else groups
    return Effects(asked, values, groups, keep, sizes=sizes, total=total, nearness=nearness)


def draw(
    n: int, calls: int, rng: np.random.Generator, *, estimand: Literal["banzhaf", "shapley"] = "banzhaf",
    keep: float = 0.5, sizes: designs.Sizes | None = None, repeats: designs.Repeats = "shared",
) -> Design:  # fmt: skip
    """Masks of ``n`` units for so many calls, drawn as `explain_prompt` draws them.

    Args:
        n: number of units.
        calls: masks to ask.
        rng: the only source of chance.
        estimand: what is to be estimated.
        keep: the chance with which each unit is kept; Shapley values take no other than one half.
        sizes: another law of sizes than the default's, for Shapley values.
        repeats: whether a mask that is drawn again is asked again, for Shapley values.
    """
    if keep == 0.5 and designs.fits_enumeration(n, calls):
        return designs.enumerated(n)
    wanted = load_estimand(estimand)
    if wanted.shares_total and sizes is not None:
        halves = designs.halves_for(n, calls)
        return designs.by_size(n, calls, rng, repeats=repeats, sizes=sizes, halves=halves)
    return wanted.design(n, calls, rng, MaskDraw(keep=keep, repeats=repeats))


@dataclass(frozen=True, slots=True)
class Play:
    """What a game showed when it was asked as `explain_prompt` asks a model.

    Attributes:
        effects: of masks.
        noise: of an effect, as redrawn prompts tell it.
        whole: mean effect of the repeats of the whole prompt.
        enumerated: whether every mask was asked.
    """

    effects: Effects
    noise: noise.MeasuredNoise
    whole: float
    enumerated: bool

    def first(self, pairs: int) -> Play:
        """What was known after so many pairs."""
        return replace(self, effects=self.effects.take(self.effects.groups < pairs))


def play(
    game: Playable, calls: int, rng: np.random.Generator, *, estimand: Literal["banzhaf", "shapley"] = "banzhaf",
    keep: float = 0.5, sizes: designs.Sizes | None = None, answer: Answer | None = None, steady: bool = False,
) -> Play:  # fmt: skip
    """Ask a game for masks, for the whole and the empty prompt, and for some masks again.

    Args:
        game: what is asked.
        calls: masks to ask.
        rng: draws the masks and which are asked again.
        estimand: what is to be estimated.
        keep: the chance with which each unit is kept.
        sizes: as for `draw`.
        answer: one noisy draw of clean effects; without it the game gives these.
        steady: whether it is known that equal questions get equal answers; so it is without ``answer``.
    """
    steady = steady or answer is None
    design = draw(
        game.n, calls, rng, estimand=estimand, keep=keep, sizes=sizes, repeats="shared" if steady else "fresh"
    )
    say: Answer = answer or np.copy
    clean = game.values(design.masks)
    effects = say(clean)
    ends = game.values(np.array([[True] * game.n, [False] * game.n]))
    # f(1) is the mean of the repeats of the whole prompt, and stands for it among the masks; f(0) is one call.
    repeats = say(np.repeat(ends[:1], REPEATS))
    whole, kept = float(repeats.mean()), design.masks.mean(axis=1)
    total = float(whole - say(ends[1:])[0]) if load_estimand(estimand).shares_total else None
    draws = np.full((len(clean), REPEATS), np.nan)
    draws[:, 0] = effects
    draws[kept == 1.0] = repeats
    if not steady:
        rows = rng.permutation(np.flatnonzero(kept < 1.0))[:REDRAWS]
        draws[rows, 1] = say(clean[rows])
    known = noise.measure(draws, known=steady, speaks=kept < 1.0, kept=kept)
    seen = replace(design.observed(np.nanmean(draws, axis=1), total=total), noise=known)
    return Play(seen, known, whole, design.enumerated)


def estimate(
    shown: Play | Effects, rng: np.random.Generator, *, surrogate: str | Surrogate = "adaptive", level: float = LEVEL
) -> Estimate:
    """What `explain_prompt` would say: attributions ``(n,)``, their intervals and p-values.

    Shapley values where the total is known, the line through the nearest masks where these have a nearness, else
    Banzhaf values. Where no mask of a play changed anything, there may be no interval, and the method says so. Masks
    without a play are taken for exact answers.

    Args:
        shown: a play, or masks with their effects.
        rng: deals the folds, and draws the signs of the band.
        surrogate: what the scores are fitted with.
        level: of the intervals; `LEVEL_OF_LOOKS` where a stop rule may end the run.
    """
    seen = shown.effects if isinstance(shown, Play) else shown
    if seen.nearness is not None:
        return intervals.local_estimate(seen)
    own, most, shared, span = 0.0, 0.0, 0.0, 0.0
    if isinstance(shown, Play):
        one = collapsed(seen, np.full(REPEATS, shown.whole))
        if one is not None and one.kind == "unchanged" and not shown.enumerated:
            return collapsed_estimate(seen, one)
        if shown.enumerated:
            every = intervals.enumerated_estimate if seen.total is None else intervals.enumerated_shapley
            return every(seen, shown.noise)
        own, most = shown.noise.bound, shown.noise.most
        shared = own * (1.0 + 1.0 / REPEATS)
        span = float(np.ptp(np.append(seen.values, shown.whole)))

    def of(fitted: Surrogate) -> Estimate:
        fit = intervals.cross_fit(seen, fitted, rng)
        if seen.total is not None:
            return intervals.shapley_estimate(fit, seen, rng, noise=own, most=most, shared=shared, level=level)
        return intervals.sampled_estimate(fit, rng, noise=own, most=most, span=span, level=level)

    return narrowest(_surrogate(surrogate), of)


def proxied(
    apart: Effects, asked: Masks, effects: Floats, rng: np.random.Generator, *, surrogate: str | Surrogate = "adaptive"
) -> Surrogate:  # fmt: skip
    """The surrogate with what a cheap game did beside it, as ``explain_prompt(..., proxy=)`` has it.

    Args:
        apart: masks that only the cheap game was asked, pair by pair, drawn apart from ``asked``.
        asked: of the game that is explained, shape ``(m, n)``.
        effects: of the cheap game there, shape ``(m,)``.
        rng: deals the folds of the cheap game's own estimate.
        surrogate: what is fitted to the rest.
    """
    base = _surrogate(surrogate)
    if apart.is_complete():
        found = load_estimand("banzhaf" if apart.total is None else "shapley").from_all(
            apart, noise.measure(apart.values[:, None], known=True)
        )
    else:
        found = estimate(apart, rng, surrogate=base)
    evidence = proxy_evidence(apart, found, masks=asked, effects=effects)
    return with_proxy(base, evidence)


def limits(shown: Effects, rng: np.random.Generator, *, surrogate: str | Surrogate = "adaptive") -> Interval:
    """The intervals of Banzhaf values alone, as a look of a stop rule takes them: no band is drawn."""
    return intervals.sampled_error(intervals.cross_fit(shown, _surrogate(surrogate), rng)).interval()


def held_out(shown: Effects, rng: np.random.Generator, *, surrogate: str | Surrogate = "adaptive") -> Floats:
    """Predictions ``(m,)`` of each mask by a surrogate that did not see its fold."""
    return intervals.cross_fit(shown, _surrogate(surrogate), rng).predicted


def _surrogate(given: str | Surrogate) -> Surrogate:
    return load_surrogate(given) if isinstance(given, str) else given


def looks(n: int, calls: int) -> tuple[int, ...]:
    """Pairs at which a stop rule looks, for so many units and masks; the last is all of them."""
    return stopping.looks(calls // 2, designs.turning_point(n, calls))


# ---- where every mask is asked ----


def nearness(masks: Masks) -> Floats:
    """What `local` calls near, shape ``(m,)``: by the share that is kept."""
    return Dropped().weights(masks, (), "")


def contrasts(masks: Masks, *, estimand: EstimandName) -> Floats:
    """What each effect counts in the attributions, shape ``(m, n)``.

    Args:
        masks: every mask; for ``loo`` those with one unit left out, in order, and the whole.
        estimand: what is estimated.
    """
    effects = Effects(masks, np.zeros(len(masks)), np.arange(len(masks)), nearness=nearness(masks))
    return load_estimand(estimand).weights(effects)


def estimate_drawn(masks: Masks, draws: Floats, *, estimand: EstimandName, reach: float = 0.0) -> Estimate:
    """What `explain_prompt` would say of masks that were all asked: what is uncertain is the model's own noise.

    Args:
        masks: as for `contrasts`.
        draws: the effect of each draw, shape ``(m, d)``; NaN where a mask was drawn less often.
        estimand: what is estimated.
        reach: how far the target lets two effects be apart; 0 if nobody knows.
    """
    means: Floats = np.nanmean(draws, axis=1)
    wanted = load_estimand(estimand)
    if not wanted.samples:
        whole = draws[-1][~np.isnan(draws[-1])]
        rows = np.arange(len(masks) - 1)
        return wanted.from_all(Effects(masks[:-1], means[:-1], rows, 1.0, whole=whole, draws=draws[:-1], reach=reach))
    known = noise.measure(draws, speaks=masks.sum(axis=1) < masks.shape[1], reach=reach, kept=masks.mean(axis=1))
    return wanted.from_all(Effects(masks, means, np.arange(len(masks)), nearness=nearness(masks)), known)


def ceiling(masks: Masks, draws: Floats, *, reach: float = 0.0) -> fidelity.Ceiling | None:
    """The best R2 that any explanation of these masks can have, see `fidelity.noise_ceiling`.

    Args:
        masks: shape ``(m, n)``.
        draws: the effect of each draw, shape ``(m, d)``; NaN where a mask was drawn less often.
        reach: as for `estimate_drawn`.
    """
    return fidelity.noise_ceiling(
        np.nanmean(draws, axis=1), noise.measure(draws, speaks=masks.sum(axis=1) < masks.shape[1], reach=reach)
    )


# ---- criteria of samples ----


def scores(
    model: object, samples: Raw, *, criteria: str = "kld,sse", draws: int | Literal["mean"] = 1, seed: int = 0,
    kind: NoiseKind = "shared", stream: str = "",
) -> Floats:  # fmt: skip
    """Criteria of every sample under every posterior draw, ``(draws, n, criteria)``, as `explain_anchors` takes them.

    Args:
        model: what `load_latent` takes.
        samples: shape ``(n, ...)``.
        criteria: names, separated by commas.
        draws: of the posterior; ``mean`` decodes its mean.
        seed: of the draws.
        kind: whether samples share their noise.
        stream: tells the noise of several sets apart, where it is not shared.
    """
    ready = settle(load_latent(model), samples)
    prepared = prepare(samples, ready)
    noises = noise_for(draws, seed=seed, kind=kind)
    own = noises.stream(stream) if stream else noises.stream()
    return score(ready, prepared, choose(criteria, prepared).criteria, own).draws


def generated(
    model: object, like: Raw, *, rounds: int, per_round: int, criteria: str = "kld,sse",
    draws: int | Literal["mean"] = 1, seed: int = 0, kind: NoiseKind = "independent",
) -> Iterator[Iterable[Floats]]:  # fmt: skip
    """Criteria of generated samples, round by round, each round in parts ``(k, criteria)``, as the paper calibrates.

    Args:
        model: what `load_latent` takes; it draws the samples.
        like: samples as it takes them.
        rounds: how many rounds.
        per_round: samples in each.
        criteria: as for `scores`.
        draws: as for `scores`.
        seed: of the samples and the draws.
        kind: as for `scores`.
    """
    ready = settle(load_latent(model), like)
    prepared = prepare(like, ready)
    chosen, noises = choose(criteria, prepared).criteria, noise_for(draws, seed=seed, kind=kind)
    for number in range(rounds):
        yield Generation(ready, prepared, chosen, noises, round_=number).part(slice(0, per_round))
